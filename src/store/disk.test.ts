import assert from 'node:assert/strict';
import {
  mkdtempSync,
  readdirSync,
  rmSync,
  writeFileSync,
  chmodSync,
  statSync,
  truncateSync,
  unlinkSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'node:test';
import fc from 'fast-check';
import { realClock, type Clock } from '../observe/clock.ts';
import { digestOf, emptyDigest, type Digest } from '../reapi/digest.ts';
import { openDiskStore, smallBlobBytes, type DiskStore, type DiskStoreOptions } from './disk.ts';
import { openStoreWriter } from './store-writer.ts';

type Limits = Partial<Pick<DiskStoreOptions, 'maxBytes' | 'maxMemoryBytes' | 'maxBlobs'>>;

async function withDirectory(body: (directory: string) => Promise<void>): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'shoal-store-'));
  try {
    await body(directory);
  } finally {
    rmSync(directory, { recursive: true });
  }
}

const openIn = (directory: string, limits: Limits = {}): Promise<DiskStore> =>
  openDiskStore({ directory, writer: openStoreWriter(directory), maxBytes: 1 << 30, clock: realClock, ...limits });

function blobOf(seed: number, sizeBytes: number): { readonly digest: Digest; readonly bytes: Buffer } {
  const bytes = Buffer.alloc(sizeBytes, `blob ${seed} `);
  return { digest: digestOf(bytes), bytes };
}

const bigBytes = smallBlobBytes + 1;

async function wholeOf(store: DiskStore, digest: Digest): Promise<Buffer | undefined> {
  const pieces = await store.stream(digest);
  if (pieces === undefined) return undefined;
  const got: Buffer[] = [];
  for await (const piece of pieces) got.push(piece);
  return Buffer.concat(got);
}

test('what was written is read back, also after a restart', () =>
  withDirectory(async (directory) => {
    const blobs = [blobOf(1, 10), blobOf(2, smallBlobBytes), blobOf(3, bigBytes), blobOf(4, 3 << 20)];
    const first = await openIn(directory);
    for (const { digest, bytes } of blobs) first.write(digest, bytes);
    await first.close();
    const second = await openIn(directory);
    for (const store of [first, second]) {
      for (const { digest, bytes } of blobs) {
        assert.deepEqual(store.readNow(digest), bytes);
        assert.deepEqual(await wholeOf(store, digest), bytes);
      }
    }
    assert.deepEqual(second.missing(blobs.map((blob) => blob.digest)), []);
  }));

test('bytes that are not the digest’s are refused', () =>
  withDirectory(async (directory) => {
    const store = await openIn(directory);
    const { digest } = blobOf(1, 10);
    assert.throws(() => store.write(digest, Buffer.from('other')), { code: 'INVALID_ARGUMENT' });
    assert.throws(() => store.write({ ...digest, sizeBytes: 11 }, blobOf(1, 10).bytes), { code: 'INVALID_ARGUMENT' });
    assert.deepEqual(store.missing([digest]), [digest]);
  }));

test('the empty blob is always there', () =>
  withDirectory(async (directory) => {
    const store = await openIn(directory);
    assert.deepEqual(store.missing([emptyDigest]), []);
    assert.equal(store.readNow(emptyDigest)?.length, 0);
  }));

test('an upload in pieces becomes the blob, and one of wrong bytes leaves nothing', () =>
  withDirectory(async (directory) => {
    const store = await openIn(directory);
    for (const { digest, bytes } of [blobOf(1, 100), blobOf(2, 1 << 20)]) {
      const upload = store.upload(digest);
      for (let at = 0; at < bytes.length; at += 9999) await upload.write(bytes.subarray(at, at + 9999));
      assert.equal(upload.receivedBytes(), bytes.length);
      await upload.commit();
      assert.deepEqual(await wholeOf(store, digest), bytes);
    }
    const before = store.sizeBytes();
    const { digest, bytes } = blobOf(3, bigBytes);
    const short = store.upload(digest);
    await short.write(bytes.subarray(1));
    await assert.rejects(short.commit(), { code: 'INVALID_ARGUMENT' });
    const long = store.upload(digest);
    await long.write(bytes);
    await assert.rejects(long.write(Buffer.from('x')), { code: 'INVALID_ARGUMENT' });
    await long.abort();
    assert.equal(store.sizeBytes(), before);
    assert.deepEqual(readdirSync(join(directory, 'incoming')), []);
  }));

test('two uploads of one blob at once both succeed, and it counts once', () =>
  withDirectory(async (directory) => {
    const store = await openIn(directory);
    const { digest, bytes } = blobOf(1, bigBytes);
    const uploads = [store.upload(digest), store.upload(digest)];
    for (const upload of uploads) await upload.write(bytes);
    for (const upload of uploads) await upload.commit();
    assert.equal(store.sizeBytes(), bigBytes);
    assert.deepEqual(readdirSync(join(directory, 'incoming')), []);
  }));

test('the least recently used goes first, and never what is leased', () =>
  withDirectory(async (directory) => {
    const store = await openIn(directory, { maxBytes: 3 * bigBytes });
    const [a, b, c, d, e] = [1, 2, 3, 4, 5].map((seed) => blobOf(seed, bigBytes));
    assert.ok(a && b && c && d && e);
    for (const { digest, bytes } of [a, b, c]) store.write(digest, bytes);
    assert.deepEqual(store.missing([a.digest]), []);
    const release = store.lease([c.digest]);
    store.write(d.digest, d.bytes);
    assert.deepEqual(store.missing([b.digest]), [b.digest]);
    store.write(e.digest, e.bytes);
    assert.deepEqual(store.missing([c.digest, e.digest]), []);
    const releaseAll = store.lease([c, d, e].map((blob) => blob.digest));
    assert.throws(() => store.write(b.digest, b.bytes), { code: 'RESOURCE_EXHAUSTED' });
    releaseAll();
    release();
    store.write(b.digest, b.bytes);
    assert.equal(store.sizeBytes(), 3 * bigBytes);
  }));

test('a blob larger than the bound is refused and pushes nothing out', () =>
  withDirectory(async (directory) => {
    const store = await openIn(directory, { maxBytes: 2 * bigBytes });
    const kept = blobOf(1, bigBytes);
    store.write(kept.digest, kept.bytes);
    const large = blobOf(2, 3 * bigBytes);
    assert.throws(() => store.write(large.digest, large.bytes), { code: 'RESOURCE_EXHAUSTED' });
    assert.deepEqual(store.missing([kept.digest]), []);
  }));

test('the order of use survives a clean restart', () =>
  withDirectory(async (directory) => {
    const first = await openIn(directory);
    const blobs = [1, 2, 3].map((seed) => blobOf(seed, bigBytes));
    for (const { digest, bytes } of blobs) first.write(digest, bytes);
    const [a, b] = blobs;
    assert.ok(a && b);
    first.readNow(a.digest);
    await first.close();
    const second = await openIn(directory, { maxBytes: 3 * bigBytes });
    const next = blobOf(4, bigBytes);
    second.write(next.digest, next.bytes);
    assert.deepEqual(second.missing(blobs.map((blob) => blob.digest)), [b.digest]);
  }));

test('after an unclean end a blob is checked before its first use', () =>
  withDirectory(async (directory) => {
    const first = await openIn(directory);
    const [good, cut] = [blobOf(1, bigBytes), blobOf(2, bigBytes)];
    assert.ok(good && cut);
    for (const { digest, bytes } of [good, cut]) first.write(digest, bytes);
    const path = await first.file(cut.digest);
    assert.ok(path !== undefined);
    chmodSync(path, 0o644);
    writeFileSync(path, Buffer.alloc(bigBytes));
    // No close: as after a power cut.
    const second = await openIn(directory);
    assert.equal(await second.file(cut.digest), undefined);
    assert.deepEqual(second.missing([good.digest, cut.digest]), [cut.digest]);
    assert.ok((await second.file(good.digest)) !== undefined);
    second.write(cut.digest, cut.bytes);
    assert.deepEqual(second.readNow(cut.digest), cut.bytes);
  }));

/** A clock whose timers run when the test says so. */
function steppedClock(): Clock & { readonly step: () => void } {
  let due: (() => void)[] = [];
  return {
    nowMs: () => 0,
    after: (_delayMs, callback) => {
      due.push(callback);
      return { cancel: () => void (due = due.filter((each) => each !== callback)) };
    },
    step: () => {
      const now = due;
      due = [];
      for (const callback of now) callback();
    },
  };
}

test('small blobs survive a crash once the store has been quiet, and a torn pack costs its end alone', () =>
  withDirectory(async (directory) => {
    const clock = steppedClock();
    const crashing = await openDiskStore({ directory, writer: openStoreWriter(directory), maxBytes: 1 << 20, clock });
    const blobs = [1, 2, 3, 4].map((seed) => blobOf(seed, 100 * seed));
    const digests = blobs.map((blob) => blob.digest);
    for (const [at, { digest, bytes }] of blobs.entries()) {
      crashing.write(digest, bytes);
      // The first step sees that there were writes since, the second that there were none.
      if (at === 1 || at === 2) for (const _ of [1, 2, 3]) clock.step();
    }
    const pack = join(directory, 'pack');
    truncateSync(pack, statSync(pack).size - 1);
    const second = await openDiskStore({ directory, writer: openStoreWriter(directory), maxBytes: 1 << 20, clock });
    assert.deepEqual(second.missing(digests), digests.slice(2));
    for (const { digest, bytes } of blobs) second.write(digest, bytes);
    for (const _ of [1, 2, 3]) clock.step();
    const third = await openDiskStore({ directory, writer: openStoreWriter(directory), maxBytes: 1 << 20, clock });
    assert.deepEqual(third.missing(digests), []);
    for (const { digest, bytes } of blobs) assert.deepEqual(third.readNow(digest), bytes);
  }));

test('a file that somebody removed or changed is absent, and can be written again', () =>
  withDirectory(async (directory) => {
    const store = await openIn(directory);
    const { digest, bytes } = blobOf(1, bigBytes);
    for (const spoil of [unlinkSync, (path: string) => (chmodSync(path, 0o644), writeFileSync(path, 'x'))]) {
      store.write(digest, bytes);
      spoil((await store.file(digest)) ?? '');
      assert.equal(store.readNow(digest), undefined);
      assert.deepEqual(store.missing([digest]), [digest]);
    }
    assert.equal(store.sizeBytes(), 0);
  }));

test('a blob in memory gets its file when one is wanted, read-only', () =>
  withDirectory(async (directory) => {
    const store = await openIn(directory);
    const { digest, bytes } = blobOf(1, 100);
    store.write(digest, bytes);
    const path = await store.file(digest);
    assert.equal(statSync(path ?? '').mode & 0o777, 0o444);
  }));

test('whatever the order of calls, the bounds hold and no read gives wrong bytes', () =>
  fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(fc.constantFrom('write', 'read', 'file', 'upload', 'restart'), fc.nat(12)), { maxLength: 60 }),
      async (calls) =>
        withDirectory(async (directory) => {
          const limits = { maxBytes: 300_000, maxMemoryBytes: 20_000, maxBlobs: 9 };
          let store = await openIn(directory, limits);
          for (const [call, seed] of calls) {
            const { digest, bytes } = blobOf(seed, 1 + seed * 7001);
            const known = store.missing([digest]).length === 0;
            if (call === 'write') store.write(digest, bytes);
            else if (call === 'upload') {
              const upload = store.upload(digest);
              await upload.write(bytes);
              await upload.commit();
            } else if (call === 'restart') {
              await store.close();
              store = await openIn(directory, limits);
            } else {
              const got = call === 'read' ? store.readNow(digest) : await wholeOf(store, digest);
              assert.equal(got !== undefined, known);
              if (got !== undefined) assert.deepEqual(got, bytes);
            }
            assert.ok(store.sizeBytes() <= limits.maxBytes && store.count() <= limits.maxBlobs);
          }
        }),
    ),
    { numRuns: 60 },
  ));

test('a client that fills the store drops what it brought itself, once that is more than half', () =>
  withDirectory(async (directory) => {
    const store = await openDiskStore({
      directory,
      writer: openStoreWriter(directory),
      maxBytes: 1 << 20,
      clock: realClock,
    });
    const blob = (n: number): Buffer => Buffer.alloc(32 << 10, `blob ${n} `);
    const put = (n: number, owner: string): Digest => {
      const digest = digestOf(blob(n));
      store.write(digest, blob(n), owner);
      return digest;
    };
    const others = Array.from({ length: 8 }, (_, n) => put(n, 'other'));
    for (let n = 100; n < 300; n += 1) put(n, 'greedy');
    assert.deepEqual(store.missing(others), []);
    // Uploads that never end count, and do not push out anything of the other's either.
    const large = Buffer.alloc(400 << 10, 'large');
    const uploads = [];
    for (let n = 0; n < 3; n += 1)
      uploads.push(store.upload({ ...digestOf(large), sizeBytes: large.length }, 'greedy'));
    const tries = await Promise.allSettled(uploads.map((upload) => upload.write(large)));
    assert.ok(tries.some(({ status }) => status === 'rejected'));
    assert.deepEqual(store.missing(others), []);
    for (const upload of uploads) await upload.abort();
    assert.ok(store.sizeBytes() <= 1 << 20);
    // And whoever is alone has all of it.
    for (let n = 300; n < 332; n += 1) put(n, 'greedy');
    assert.ok(store.sizeBytes() > 900 << 10);
    await store.close();
  }));
