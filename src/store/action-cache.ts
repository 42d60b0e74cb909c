// Results of actions, by the digest of the Action. A result is a blob of the store like any other; what is kept here is
// which blob answers which action, in memory and in one file of fixed records, appended to in batches:
//   0  action hash (32 bytes)   32  action size (u64 LE)   40  result hash (32 bytes)   72  result size (u64 LE)
// A torn record at the end is cut off. A record that a power cut made wrong names a blob that is not there.
//
// A result is given only while every blob that it refers to is in the store. The oldest entries go first.
import { readFileSync } from 'node:fs';
import { digestKey, digestOf, isDigest, parseDigestKey, type Digest, type DigestKey } from '../reapi/digest.ts';
import { ActionResult, Directory, Tree } from '../reapi/gen/remote_execution.ts';
import type { Clock } from '../observe/clock.ts';
import type { BlobStore } from './blob-store.ts';
import { writeWhole, type StoreWriter } from './store-writer.ts';

export type ActionCache = {
  /** The result, if all its blobs are here; they count as used now. */
  readonly get: (action: Digest) => ActionResult | undefined;
  /** @throws StoreError RESOURCE_EXHAUSTED. */
  readonly put: (action: Digest, result: ActionResult) => void;
  readonly close: () => void;
};

export type ActionCacheOptions = {
  /** The file `results` of the writer's store. */
  readonly path: string;
  readonly writer: StoreWriter;
  readonly store: BlobStore;
  readonly clock: Clock;
  readonly maxEntries?: number;
};

const recordBytes = 80;
// Some 300 bytes of memory each: 15 MB when full.
const defaultMaxEntries = 50_000;
const batchRecords = 128;
const quietMs = 3000;

function writeDigest(record: Buffer, digest: Digest, at: number): void {
  record.write(digest.hash, at, 32, 'hex');
  record.writeBigUInt64LE(BigInt(digest.sizeBytes), at + 32);
}

function readDigest(record: Buffer, at: number): Digest | undefined {
  const size = record.readBigUInt64LE(at + 32);
  const digest = { hash: record.toString('hex', at, at + 32), sizeBytes: Number(size) };
  return isDigest(digest) ? digest : undefined;
}

function encodeRecord(action: Digest, result: Digest): Buffer {
  const record = Buffer.alloc(recordBytes);
  writeDigest(record, action, 0);
  writeDigest(record, result, 40);
  return record;
}

function load(path: string, maxEntries: number): Map<DigestKey, Digest> {
  const entries = new Map<DigestKey, Digest>();
  let file: Buffer;
  try {
    file = readFileSync(path);
  } catch {
    return entries;
  }
  for (let at = 0; at + recordBytes <= file.length; at += recordBytes) {
    const record = file.subarray(at, at + recordBytes);
    const [action, result] = [readDigest(record, 0), readDigest(record, 40)];
    if (action === undefined || result === undefined) continue;
    entries.delete(digestKey(action));
    entries.set(digestKey(action), result);
  }
  for (const key of entries.keys()) {
    if (entries.size <= maxEntries) break;
    entries.delete(key);
  }
  return entries;
}

export function openActionCache(options: ActionCacheOptions): ActionCache {
  const { path, writer, store, clock, maxEntries = defaultMaxEntries } = options;
  const entries = load(path, maxEntries);
  let unwritten: Buffer[] = [];
  let timer: { readonly cancel: () => void } | undefined;

  const rewrite = (): void => {
    const records: Buffer[] = [];
    for (const [key, result] of entries) {
      const action = parseDigestKey(key);
      if (action !== undefined) records.push(encodeRecord(action, result));
    }
    unwritten = [];
    writeWhole(writer, { kind: 'replace', file: 'results' }, Buffer.concat(records));
  };
  // Leaves out what is superseded, and a torn end that later records would stand behind.
  const safely = (write: () => void): void => {
    try {
      write();
    } catch {
      // A cache that cannot be written is a smaller cache: what is in memory goes on to serve.
    }
  };
  safely(rewrite);
  let recordsInFile = entries.size;

  const flush = (): void => {
    timer?.cancel();
    timer = undefined;
    if (unwritten.length === 0) return;
    safely(() => {
      recordsInFile += unwritten.length;
      if (recordsInFile > 2 * maxEntries) {
        rewrite();
        recordsInFile = entries.size;
      } else writeWhole(writer, { kind: 'append', file: 'results' }, Buffer.concat(unwritten));
      unwritten = [];
    });
  };

  const put: ActionCache['put'] = (action, result) => {
    const bytes = Buffer.from(ActionResult.encode(result).finish());
    const digest = digestOf(bytes);
    store.write(digest, bytes);
    const key = digestKey(action);
    entries.delete(key);
    entries.set(key, digest);
    for (const oldest of entries.keys()) {
      if (entries.size <= maxEntries) break;
      entries.delete(oldest);
    }
    unwritten.push(encodeRecord(action, digest));
    if (unwritten.length >= batchRecords) flush();
    else timer ??= clock.after(quietMs, flush);
  };

  const get: ActionCache['get'] = (action) => {
    const key = digestKey(action);
    const digest = entries.get(key);
    if (digest === undefined) return undefined;
    const bytes = store.readNow(digest);
    const result = bytes === undefined ? undefined : ActionResult.decode(bytes);
    if (result === undefined || !isComplete(store, result)) {
      entries.delete(key);
      return undefined;
    }
    entries.delete(key);
    entries.set(key, digest);
    return result;
  };

  return { get, put, close: flush };
}

function isComplete(store: BlobStore, result: ActionResult): boolean {
  const digests: Digest[] = [];
  const need = (digest: Digest | undefined): void => void (digest !== undefined && digests.push(digest));
  need(result.stdoutDigest);
  need(result.stderrDigest);
  for (const { digest } of result.outputFiles) need(digest);
  if (store.missing(digests).length > 0) return false;
  return result.outputDirectories.every(
    ({ treeDigest, rootDirectoryDigest }) =>
      (treeDigest === undefined || hasTree(store, treeDigest)) &&
      (rootDirectoryDigest === undefined || hasDirectory(store, rootDirectoryDigest)),
  );
}

function hasFiles(store: BlobStore, { files }: Directory): boolean {
  return store.missing(files.flatMap(({ digest }) => digest ?? [])).length === 0;
}

function hasTree(store: BlobStore, digest: Digest): boolean {
  const bytes = store.readNow(digest);
  if (bytes === undefined) return false;
  const { root, children } = Tree.decode(bytes);
  return [...(root === undefined ? [] : [root]), ...children].every((directory) => hasFiles(store, directory));
}

function hasDirectory(store: BlobStore, digest: Digest): boolean {
  const bytes = store.readNow(digest);
  if (bytes === undefined) return false;
  const directory = Directory.decode(bytes);
  if (!hasFiles(store, directory)) return false;
  return directory.directories.every(({ digest: child }) => child === undefined || hasDirectory(store, child));
}
