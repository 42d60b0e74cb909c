// What a job left, as REAPI has it: files, links, and directories as Tree messages. Everything goes into the store.
import { posix } from 'node:path';
import { digestKey, digestOf, type Digest, type DigestKey } from '../../reapi/digest.ts';
import { GrpcError, grpcCode } from '../../reapi/errors.ts';
import {
  Command_OutputDirectoryFormat,
  Directory,
  Tree,
  type OutputDirectory,
  type OutputFile,
  type OutputSymlink,
} from '../../reapi/gen/remote_execution.ts';
import type { BlobStore } from '../../store/blob-store.ts';
import type { UnderstoodAction, WantedOutput } from './action-input.ts';
import type { SandboxOutput } from '../sandbox/sandbox.ts';

export type StoredOutputs = {
  readonly outputFiles: OutputFile[];
  readonly outputDirectories: OutputDirectory[];
  readonly outputSymlinks: OutputSymlink[];
  readonly outputFileSymlinks: OutputSymlink[];
  readonly outputDirectorySymlinks: OutputSymlink[];
};

/** Puts bytes into the store and gives their digest. */
export type Put = (bytes: Buffer) => Digest;

/** A `Put` that also remembers the blobs, which are wanted again for the answer. */
export function rememberingPut(store: BlobStore, owner: string, fresh: Map<DigestKey, Buffer>): Put {
  return (bytes) => {
    const digest = digestOf(bytes);
    store.write(digest, bytes, owner);
    fresh.set(digestKey(digest), bytes);
    return digest;
  };
}

const none = { nodeProperties: undefined };
const noContents = Buffer.alloc(0);

/** @throws GrpcError FAILED_PRECONDITION if an output is of another kind than the Command says; StoreError. */
export function storeOutputs(action: UnderstoodAction, found: readonly SandboxOutput[], put: Put): StoredOutputs {
  const stored: StoredOutputs = {
    outputFiles: [],
    outputDirectories: [],
    outputSymlinks: [],
    outputFileSymlinks: [],
    outputDirectorySymlinks: [],
  };
  const byPath = new Map(found.map((output) => [output.path, output]));
  let below: ReadonlyMap<string, readonly SandboxOutput[]> | undefined;
  for (const wanted of action.outputs) {
    const output = byPath.get(wanted.path);
    if (output === undefined) continue;
    checkKind(wanted, output);
    const path = wanted.requested;
    if (output.kind === 'file') {
      const digest = put(output.content);
      stored.outputFiles.push({ path, digest, isExecutable: output.executable, contents: noContents, ...none });
    } else if (output.kind === 'symlink') symlinksFor(stored, wanted).push({ path, target: output.target, ...none });
    else {
      below ??= byParent(byPath);
      const format = action.command.outputDirectoryFormat;
      stored.outputDirectories.push({ path, ...storeDirectory(below, { path: wanted.path, format, put }) });
    }
  }
  return stored;
}

function checkKind({ kind, requested }: WantedOutput, output: SandboxOutput): void {
  if (kind === 'any' || output.kind === 'symlink' || kind === output.kind) return;
  throw new GrpcError(grpcCode.FAILED_PRECONDITION, `the output ${requested} is a ${output.kind}, not a ${kind}`);
}

function symlinksFor(stored: StoredOutputs, { kind }: WantedOutput): OutputSymlink[] {
  if (kind === 'any') return stored.outputSymlinks;
  return kind === 'file' ? stored.outputFileSymlinks : stored.outputDirectorySymlinks;
}

function byParent(byPath: ReadonlyMap<string, SandboxOutput>): ReadonlyMap<string, readonly SandboxOutput[]> {
  const children = new Map<string, SandboxOutput[]>();
  for (const output of byPath.values()) {
    if (output.path === '') continue;
    const parent = posix.dirname(output.path).replace(/^\.$/, '');
    const siblings = children.get(parent);
    if (siblings === undefined) children.set(parent, [output]);
    else siblings.push(output);
  }
  return children;
}

type DirectoryRequest = { readonly path: string; readonly format: Command_OutputDirectoryFormat; readonly put: Put };

function storeDirectory(
  below: ReadonlyMap<string, readonly SandboxOutput[]>,
  { path, format, put }: DirectoryRequest,
): Omit<OutputDirectory, 'path'> {
  const asBlobs = format !== Command_OutputDirectoryFormat.TREE_ONLY;
  // By digest, children before parents; a directory that stands twice is there once.
  const distinct = new Map<DigestKey, Directory>();
  const visit = (at: string): Digest => {
    const directory: Directory = { files: [], directories: [], symlinks: [], nodeProperties: undefined };
    const entries = (below.get(at) ?? []).toSorted((a, b) => Buffer.compare(Buffer.from(a.path), Buffer.from(b.path)));
    for (const entry of entries) {
      const name = posix.basename(entry.path);
      if (entry.kind === 'directory') directory.directories.push({ name, digest: visit(entry.path) });
      else if (entry.kind === 'symlink') directory.symlinks.push({ name, target: entry.target, ...none });
      else directory.files.push({ name, digest: put(entry.content), isExecutable: entry.executable, ...none });
    }
    const bytes = Buffer.from(Directory.encode(directory).finish());
    const digest = asBlobs ? put(bytes) : digestOf(bytes);
    if (!distinct.has(digestKey(digest))) distinct.set(digestKey(digest), directory);
    return digest;
  };
  const rootDigest = visit(path);
  // Parents before children, the root first: what a reader needs to unpack in one pass.
  const [root, ...children] = [...distinct.values()].toReversed();
  const wantsTree = format !== Command_OutputDirectoryFormat.DIRECTORY_ONLY;
  const tree = wantsTree ? put(Buffer.from(Tree.encode({ root, children }).finish())) : undefined;
  return {
    treeDigest: tree,
    isTopologicallySorted: wantsTree,
    rootDirectoryDigest: asBlobs ? rootDigest : undefined,
  };
}
