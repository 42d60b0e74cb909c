// The store of one worker: blobs on disk up to a bound, the small ones of late in memory as well.
//
// A small blob stays in memory alone until that is full or a file of it is wanted. Most of what a job uploads
// (Directories, Action, Command, source) is read once, from memory, in the next millisecond; a file each would cost 44 µs
// of CPU, ten times a job. When the store has been quiet for a while, and at its end, those without a file are written
// together into one. What a crash loses in between, REAPI allows to be missing, and the client sends it again.
import type { Clock } from '../observe/clock.ts';
import { digestKey, digestOf, sameDigest, type Digest, type DigestKey } from '../reapi/digest.ts';
import { openBlobFiles, type FoundBlobs } from './blob-files.ts';
import { StoreError, type BlobStore } from './blob-store.ts';
import { streamFile } from './blob-stream.ts';
import { newShares } from './shares.ts';
import { fileUpload, memoryUpload } from './blob-upload.ts';
import type { StoreWriter } from './store-writer.ts';

export type DiskStoreOptions = {
  readonly directory: string;
  readonly writer: StoreWriter;
  readonly maxBytes: number;
  readonly maxMemoryBytes?: number;
  readonly maxBlobs?: number;
  readonly clock: Clock;
};

/** Larger blobs are never held in memory by the store. */
export const smallBlobBytes = 64 << 10;
const defaultMemoryBytes = 16 << 20;
// Each takes some 200 bytes of memory: 40 MB when full. At 50 KB a blob that is the default bound of 10 GiB.
const defaultMaxBlobs = 200_000;
const quietMs = 3000;

type Entry = {
  readonly digest: Digest;
  place: 'memory' | 'disk' | 'unverified';
  readonly owner: string | undefined;
};

export type DiskStore = BlobStore & { readonly sizeBytes: () => number; readonly count: () => number };

export async function openDiskStore(options: DiskStoreOptions): Promise<DiskStore> {
  return diskStore(await openBlobFiles(options.directory, options.writer), options);
}

/** Least recently used first; a use moves an entry to the end. Holds at most `maxBytes` and `maxBlobs`. */
type Index = {
  readonly entries: Map<DigestKey, Entry>;
  readonly leases: Map<DigestKey, number>;
  sizeBytes: number;
};

function diskStore({ files, blobs, clean, pack, packed }: FoundBlobs, options: DiskStoreOptions): DiskStore {
  const { maxBytes, writer, clock, maxMemoryBytes = defaultMemoryBytes, maxBlobs = defaultMaxBlobs } = options;
  const index: Index = { entries: new Map(), leases: new Map(), sizeBytes: 0 };
  const shares = newShares(maxBytes);
  const hot = new Map<DigestKey, Buffer>();
  // Blobs without a file, and those of them that are not in the pack.
  const unwritten = new Set<DigestKey>();
  let unpacked = new Set<DigestKey>();
  let hotBytes = 0;
  let writes = 0;
  let saveTimer: { readonly cancel: () => void } | undefined;

  const forget = (key: DigestKey, entry: Entry): void => {
    index.entries.delete(key);
    release(entry.digest.sizeBytes, entry.owner);
    shares.remove(entry.owner, key);
    cool(key);
    unwritten.delete(key);
  };

  const release = (bytes: number, owner: string | undefined): void => {
    index.sizeBytes -= bytes;
    shares.count(owner, -bytes);
  };

  const cool = (key: DigestKey): void => {
    const bytes = hot.get(key);
    if (bytes === undefined) return;
    hot.delete(key);
    hotBytes -= bytes.length;
  };

  const use = (digest: Digest): Entry | undefined => {
    const key = digestKey(digest);
    const entry = index.entries.get(key);
    if (entry === undefined) return undefined;
    index.entries.delete(key);
    index.entries.set(key, entry);
    shares.use(entry.owner, key);
    return entry;
  };

  /** Makes room for `wanted` more bytes by dropping the least recently used that nobody holds. */
  const reserve = (wanted: number, owner?: string): void => {
    const full = (): boolean => index.sizeBytes + wanted > maxBytes || index.entries.size >= maxBlobs;
    if (wanted <= maxBytes && full()) {
      const own = shares.ownOf(owner, wanted);
      for (const key of own ?? index.entries.keys()) {
        const entry = index.entries.get(key);
        if (entry === undefined || index.leases.has(key)) continue;
        forget(key, entry);
        if (entry.place !== 'memory') files.remove(entry.digest);
        if (!full()) break;
      }
    }
    if (full()) throw new StoreError('RESOURCE_EXHAUSTED', `the store of ${maxBytes} bytes is full of blobs in use`);
    index.sizeBytes += wanted;
    shares.count(owner, wanted);
  };

  const toDisk = (key: DigestKey): void => {
    const entry = index.entries.get(key);
    const bytes = hot.get(key);
    if (entry === undefined || bytes === undefined) return;
    files.put(entry.digest, bytes);
    entry.place = 'disk';
    unwritten.delete(key);
  };

  const warm = (key: DigestKey, bytes: Buffer): void => {
    hot.set(key, bytes);
    hotBytes += bytes.length;
    for (const [oldest] of hot) {
      if (hotBytes <= maxMemoryBytes) return;
      if (unwritten.has(oldest)) toDisk(oldest);
      cool(oldest);
    }
  };

  const inMemory = function* (keys: Iterable<DigestKey>): Generator<readonly [DigestKey, Buffer]> {
    for (const key of keys) {
      const bytes = unwritten.has(key) ? hot.get(key) : undefined;
      if (bytes !== undefined) yield [key, bytes];
    }
  };

  const savePack = (): void => {
    // What it holds of blobs that have gone, or have files by now, is left out when it has grown.
    if (pack.sizeBytes() > 2 * maxMemoryBytes) pack.rewrite(inMemory(unwritten));
    else pack.append(inMemory(unpacked));
    unpacked = new Set();
  };

  const saveWhenQuiet = (): void => {
    if (saveTimer !== undefined) return;
    const before = writes;
    saveTimer = clock.after(quietMs, () => {
      saveTimer = undefined;
      try {
        if (writes !== before) saveWhenQuiet();
        else savePack();
      } catch {
        // The disk is full: the blobs stay in memory, and whoever needs a file is told.
      }
    });
  };

  const add = (digest: Digest, place: Entry['place'], owner?: string): Entry => {
    const entry: Entry = { digest, place, owner };
    index.entries.set(digestKey(digest), entry);
    shares.add(owner, digestKey(digest));
    return entry;
  };

  const write: BlobStore['write'] = (digest, bytes, owner) => {
    if (!sameDigest(digestOf(bytes), digest)) throw notThatBlob(digest);
    if (digest.sizeBytes === 0 || use(digest) !== undefined) return;
    reserve(digest.sizeBytes, owner);
    const small = digest.sizeBytes <= smallBlobBytes;
    const entry = add(digest, small ? 'memory' : 'disk', owner);
    try {
      if (small) keep(entry, bytes);
      else files.put(digest, bytes);
    } catch (error) {
      forget(digestKey(digest), entry);
      throw error;
    }
  };

  const keep = ({ digest }: Entry, bytes: Uint8Array): void => {
    const key = digestKey(digest);
    unwritten.add(key);
    unpacked.add(key);
    writes += 1;
    warm(key, ownCopy(bytes));
    saveWhenQuiet();
  };

  const readNow: BlobStore['readNow'] = (digest) => {
    if (digest.sizeBytes === 0) return noBytes;
    const entry = use(digest);
    if (entry === undefined) return undefined;
    const key = digestKey(digest);
    const kept = hot.get(key);
    if (kept !== undefined) {
      hot.delete(key);
      hot.set(key, kept);
      return kept;
    }
    const bytes = files.read(digest);
    if (bytes === undefined) forget(key, entry);
    else {
      entry.place = 'disk';
      if (bytes.length <= smallBlobBytes) warm(key, bytes);
    }
    return bytes;
  };

  const file: BlobStore['file'] = async (digest) => {
    const key = digestKey(digest);
    const entry = use(digest);
    if (entry === undefined) return undefined;
    if (entry.place === 'unverified') {
      if (!(await files.verify(digest))) {
        if (index.entries.get(key) === entry) forget(key, entry);
        return undefined;
      }
      if (index.entries.get(key) !== entry) return file(digest);
      entry.place = 'disk';
    }
    if (entry.place === 'memory') toDisk(key);
    return files.path(digest);
  };

  const stream: BlobStore['stream'] = async (digest, range = { offset: 0, limit: digest.sizeBytes }) => {
    if (digest.sizeBytes <= smallBlobBytes) {
      const bytes = readNow(digest);
      return bytes === undefined ? undefined : once(bytes.subarray(range.offset, range.offset + range.limit));
    }
    const path = await file(digest);
    if (path === undefined) return undefined;
    const opened = await streamFile(path, range);
    const entry = index.entries.get(digestKey(digest));
    if (opened === undefined && entry !== undefined) forget(digestKey(digest), entry);
    return opened;
  };

  const upload: BlobStore['upload'] = (digest, owner) =>
    digest.sizeBytes <= smallBlobBytes
      ? memoryUpload(digest, (digest, bytes) => write(digest, bytes, owner))
      : fileUpload(digest, {
          open: () => writer.open({ kind: 'blob', digest }),
          reserve: (bytes) => reserve(bytes, owner),
          release: (bytes) => release(bytes, owner),
          adopt: () => {
            // Another upload of the same blob may have ended first: its bytes are the same and counted already.
            if (use(digest) !== undefined) return 'known';
            add(digest, 'disk', owner);
            return 'adopted';
          },
        });

  const lease: BlobStore['lease'] = (digests) => {
    const keys = digests.map(digestKey);
    for (const key of keys) index.leases.set(key, (index.leases.get(key) ?? 0) + 1);
    let held = true;
    return () => {
      if (!held) return;
      held = false;
      for (const key of keys) {
        const left = (index.leases.get(key) ?? 1) - 1;
        if (left === 0) index.leases.delete(key);
        else index.leases.set(key, left);
      }
    };
  };

  const missing: BlobStore['missing'] = (digests) => {
    const absent = new Map<DigestKey, Digest>();
    for (const digest of digests) {
      if (digest.sizeBytes > 0 && use(digest) === undefined) absent.set(digestKey(digest), digest);
    }
    return [...absent.values()];
  };

  const closeNow = (): void => {
    saveTimer?.cancel();
    try {
      pack.rewrite(inMemory(unwritten));
      files.saveOrder(index.entries.keys());
    } catch {
      // No room for the last blobs or the order: the next start takes the end for unclean and checks what it finds.
    }
  };

  const close: BlobStore['close'] = async () => Promise.resolve(closeNow());

  for (const digest of blobs) {
    const key = digestKey(digest);
    const bytes = packed.get(key);
    add(digest, bytes !== undefined ? 'memory' : clean ? 'disk' : 'unverified');
    index.sizeBytes += digest.sizeBytes;
    if (bytes === undefined) continue;
    unwritten.add(key);
    warm(key, ownCopy(bytes));
  }
  // The bound may be smaller than last time.
  if (blobs.length > 0) {
    try {
      reserve(0);
    } catch {
      // Everything was dropped, and `maxBlobs` is still reached only if it is 0.
    }
  }

  const sizeBytes = (): number => index.sizeBytes;
  return { missing, readNow, stream, file, write, upload, lease, close, sizeBytes, count: () => index.entries.size };
}

const noBytes = Buffer.alloc(0);

function notThatBlob(digest: Digest): StoreError {
  return new StoreError('INVALID_ARGUMENT', `the bytes are not those of ${digestKey(digest)}`);
}

/** A buffer of its own: a slice would keep alive the whole message that it came in. */
function ownCopy(bytes: Uint8Array): Buffer {
  const copy = Buffer.allocUnsafeSlow(bytes.length);
  copy.set(bytes);
  return copy;
}

async function* once(bytes: Buffer): AsyncGenerator<Buffer> {
  yield await Promise.resolve(bytes);
}
