// A simulated compiler: from an action to the work that it is and the object that it makes. One reads the action as a
// worker does; the other knows its actions beforehand, for runs in which only the scheduler is of interest.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { digestKey, isDigest, type Digest, type DigestKey } from '../../src/reapi/digest.ts';
import { Action, Command, Directory } from '../../src/reapi/gen/remote_execution.ts';
import { blobIn, type Store } from './store.ts';

export type CompilerJob = {
  readonly kind: 'job';
  /** On a host of pace 1. */
  readonly workMs: number;
  readonly workKind: string;
  /** Root-relative. */
  readonly output: string;
  readonly object: Buffer;
};

export type Prepared = CompilerJob | { readonly kind: 'missing'; readonly digests: readonly Digest[] };

export type Compiler = (action: Digest, store: Store) => Prepared;

/** How a generated source says what work it is. */
export function sourceText(workMs: number, text: string): string {
  return `/* ${workMs} ms */\n${text}`;
}

const workIn = (source: Buffer): number => Number(/^\/\* ([0-9.]+) ms/.exec(source.toString('latin1', 0, 40))?.[1]);

/** A compiler that makes an object of a source's and a command line's bytes, so that no two are alike. */
export function newObjectMaker(): (source: Buffer, argv: readonly string[]) => Buffer {
  // An object of this box's own compiler, with a tail: what is looked at in an object holds.
  const directory = mkdtempSync(join(tmpdir(), 'shoal-object-'));
  execFileSync('gcc', ['-c', '-x', 'c', '/dev/null', '-o', join(directory, 'o')]);
  const empty = readFileSync(join(directory, 'o'));
  rmSync(directory, { recursive: true });
  return (source, argv) => {
    const tail = createHash('sha256').update(argv.join('\0')).update('\0\0').update(source);
    return Buffer.concat([empty, tail.digest()]);
  };
}

/** Reads the action, its command, its whole tree, and the source in it. */
export function readingCompiler(makeObject: ReturnType<typeof newObjectMaker>): Compiler {
  return (digest, store) => {
    const missing: Digest[] = [];
    const read = (wanted: Digest | undefined): Buffer | undefined => {
      if (!isDigest(wanted)) throw new Error('an action without a digest');
      const bytes = blobIn(store, wanted);
      if (bytes === undefined) missing.push(wanted);
      return bytes;
    };
    const actionBytes = read(digest);
    if (actionBytes === undefined) return { kind: 'missing', digests: missing };
    const action = Action.decode(actionBytes);
    const commandBytes = read(action.commandDigest);
    if (isDigest(action.inputRootDigest)) lookThrough(store, action.inputRootDigest, missing);
    if (commandBytes === undefined || missing.length > 0) return { kind: 'missing', digests: missing };
    return compile(store, Command.decode(commandBytes), { action, makeObject });
  };
}

function lookThrough(store: Store, digest: Digest, missing: Digest[]): void {
  const key = digestKey(digest);
  if (store.whole.has(key)) return;
  const bytes = blobIn(store, digest);
  if (bytes === undefined) {
    missing.push(digest);
    return;
  }
  const before = missing.length;
  const { files, directories } = Directory.decode(bytes);
  for (const { digest: file } of files) if (isDigest(file) && blobIn(store, file) === undefined) missing.push(file);
  for (const { digest: below } of directories) if (isDigest(below)) lookThrough(store, below, missing);
  if (missing.length === before) store.whole.add(key);
}

function compile(
  store: Store,
  { arguments: argv, outputPaths, platform }: Command,
  { action, makeObject }: { readonly action: Action; readonly makeObject: ReturnType<typeof newObjectMaker> },
): CompilerJob {
  const cwd = platform?.properties.find(({ name }) => name === 'shoal-cwd')?.value ?? '/';
  const source = argv.find((word) => word.endsWith('.c')) ?? '';
  const bytes = fileAt(store, action.inputRootDigest, `${cwd}/${source}`);
  return {
    kind: 'job',
    workMs: workIn(bytes),
    workKind: argv.includes('-O2') ? 'c -O' : 'c',
    output: outputPaths[0] ?? '',
    object: makeObject(bytes, argv),
  };
}

function fileAt(store: Store, root: Digest | undefined, path: string): Buffer {
  const names = path.split('/').filter((name) => name !== '');
  const last = names.pop();
  let at = root;
  for (const name of names) at = directoryAt(store, at).directories.find((one) => one.name === name)?.digest;
  const digest = directoryAt(store, at).files.find(({ name }) => name === last)?.digest;
  const bytes = digest === undefined ? undefined : blobIn(store, digest);
  if (bytes === undefined) throw new Error(`the tree has no ${path}`);
  return bytes;
}

function directoryAt(store: Store, digest: Digest | undefined): Directory {
  return Directory.decode((digest === undefined ? undefined : blobIn(store, digest)) ?? Buffer.alloc(0));
}

export type ListedJob = CompilerJob & { readonly root: Digest };

/** Knows each action beforehand; of its tree it asks for the root alone. */
export function listedCompiler(jobs: ReadonlyMap<DigestKey, ListedJob>): Compiler {
  return (action, store) => {
    const job = jobs.get(digestKey(action));
    if (job === undefined) throw new Error(`an unknown action ${action.hash}`);
    return blobIn(store, job.root) === undefined ? { kind: 'missing', digests: [job.root] } : job;
  };
}
