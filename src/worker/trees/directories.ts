// Directory messages of input trees, decoded once. They come from clients, and their names become paths on this disk:
// each is checked here to be one path segment, in order and unique, before anything else sees it.
import { Directory, type FileNode, type SymlinkNode } from '../../reapi/gen/remote_execution.ts';
import { digestKey, isDigest, type Digest, type DigestKey } from '../../reapi/digest.ts';
import { GrpcError, grpcCode } from '../../reapi/errors.ts';
import type { BlobStore } from '../../store/blob-store.ts';

export type TreeFile = {
  readonly digest: Digest;
  readonly executable: boolean;
  readonly mtimeNs: bigint | undefined;
};

export type TreeEntries = {
  readonly digest: Digest;
  readonly files: ReadonlyMap<string, TreeFile>;
  readonly directories: ReadonlyMap<string, Digest>;
  readonly symlinks: ReadonlyMap<string, string>;
};

export type Directories = {
  /** Undefined if the store lacks it. @throws GrpcError INVALID_ARGUMENT if the blob is no proper Directory. */
  readonly read: (digest: Digest) => TreeEntries | undefined;
};

// Linux: NAME_MAX, and PATH_MAX less its terminating byte.
const maxNameBytes = 255;
const maxTargetBytes = 4095;
// A Directory of 20,000 files: far above what people have, far below what hurts.
const maxDirectoryBytes = 2 << 20;
// Counted by encoded bytes; decoded they take some four times as much.
const defaultKeptBytes = 6 << 20;

export function invalidTree(why: string): GrpcError {
  return new GrpcError(grpcCode.INVALID_ARGUMENT, `the input tree is wrong: ${why}`);
}

function checkName(name: string): void {
  if (name === '' || name === '.' || name === '..' || name.includes('/') || name.includes('\0')) {
    throw invalidTree(`${JSON.stringify(name)} is no name`);
  }
  if (name.length * 3 > maxNameBytes && Buffer.byteLength(name) > maxNameBytes) throw invalidTree('a name is too long');
}

const hasSurrogate = /[\ud800-\udfff]/;

/** True if `a` stands before `b` by UTF-8 bytes. UTF-16 order is the same but for surrogates. */
function isBefore(a: string, b: string): boolean {
  if (hasSurrogate.test(a) || hasSurrogate.test(b)) return Buffer.compare(Buffer.from(a), Buffer.from(b)) < 0;
  return a < b;
}

function sortedMap<Node extends { readonly name: string }, Value>(
  nodes: readonly Node[],
  valueOf: (node: Node) => Value,
): Map<string, Value> {
  const map = new Map<string, Value>();
  let last: string | undefined;
  for (const node of nodes) {
    checkName(node.name);
    if (last !== undefined && !isBefore(last, node.name)) {
      throw invalidTree(`${JSON.stringify(node.name)} is out of order or there twice`);
    }
    last = node.name;
    map.set(node.name, valueOf(node));
  }
  return map;
}

function digestIn(name: string, digest: Digest | undefined): Digest {
  if (!isDigest(digest)) throw invalidTree(`${JSON.stringify(name)} has no SHA-256 digest`);
  return digest;
}

function fileOf(node: FileNode): TreeFile {
  const time = node.nodeProperties?.mtime;
  const mtimeNs = time === undefined ? undefined : BigInt(time.seconds) * 1_000_000_000n + BigInt(time.nanos);
  return { digest: digestIn(node.name, node.digest), executable: node.isExecutable, mtimeNs };
}

function targetOf({ name, target }: SymlinkNode): string {
  if (target === '' || target.includes('\0') || Buffer.byteLength(target) > maxTargetBytes) {
    throw invalidTree(`the target of ${JSON.stringify(name)} is none`);
  }
  return target;
}

export function decodeDirectory(digest: Digest, bytes: Uint8Array): TreeEntries {
  let message: Directory;
  try {
    message = Directory.decode(bytes);
  } catch (error) {
    throw invalidTree(`${digestKey(digest)} is no Directory: ${(error as Error).message}`);
  }
  const files = sortedMap(message.files, fileOf);
  const directories = sortedMap(message.directories, (node) => digestIn(node.name, node.digest));
  const symlinks = sortedMap(message.symlinks, targetOf);
  for (const name of [...directories.keys(), ...symlinks.keys()]) {
    if (files.has(name) || (symlinks.has(name) && directories.has(name))) {
      throw invalidTree(`${JSON.stringify(name)} is two things`);
    }
  }
  return { digest, files, directories, symlinks };
}

/** Keeps what it decoded, the most recently used `keptBytes` of it. */
export function newDirectories(store: BlobStore, keptBytes: number = defaultKeptBytes): Directories {
  const kept = new Map<DigestKey, TreeEntries>();
  let bytesKept = 0;

  const keep = (key: DigestKey, entries: TreeEntries): void => {
    kept.set(key, entries);
    bytesKept += entries.digest.sizeBytes;
    for (const [oldest, { digest }] of kept) {
      if (bytesKept <= keptBytes) return;
      kept.delete(oldest);
      bytesKept -= digest.sizeBytes;
    }
  };

  const read: Directories['read'] = (digest) => {
    const key = digestKey(digest);
    const known = kept.get(key);
    if (known !== undefined) {
      kept.delete(key);
      kept.set(key, known);
      return known;
    }
    if (digest.sizeBytes > maxDirectoryBytes) throw invalidTree(`a Directory of ${digest.sizeBytes} bytes`);
    const bytes = store.readNow(digest);
    if (bytes === undefined) return undefined;
    const entries = decodeDirectory(digest, bytes);
    keep(key, entries);
    return entries;
  };

  return { read };
}
