// A store on a file system that is too small for its bound: a tmpfs of two megabytes, which takes root to mount.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmdirSync, unlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'node:test';
import { realClock } from '../../src/observe/clock.ts';
import { digestOf } from '../../src/reapi/digest.ts';
import { openDiskStore } from '../../src/store/disk.ts';
import { openStoreWriter } from '../../src/store/store-writer.ts';

test('a full disk refuses blobs, keeps those that it has, and takes new ones once there is room', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'shoal-full-'));
  execFileSync('/bin/mount', ['-t', 'tmpfs', '-o', 'size=2m', 'shoal-test', directory]);
  try {
    const store = await openDiskStore({
      directory,
      writer: openStoreWriter(directory),
      maxBytes: 1 << 30,
      clock: realClock,
    });
    const blobs = Array.from({ length: 40 }, (_, at) => Buffer.alloc(100_000, `blob ${at} `));
    const written = [];
    for (const bytes of blobs) {
      try {
        store.write(digestOf(bytes), bytes);
        written.push(bytes);
      } catch (error) {
        assert.equal((error as { code?: string }).code, 'RESOURCE_EXHAUSTED');
      }
    }
    assert.ok(written.length >= 15 && written.length < 25, `${written.length} were taken`);
    for (const bytes of written) assert.deepEqual(store.readNow(digestOf(bytes)), bytes);
    const refused = blobs.at(-1) ?? assert.fail();
    assert.deepEqual(store.missing([digestOf(refused)]), [digestOf(refused)]);
    const upload = store.upload(digestOf(refused));
    await assert.rejects(upload.write(refused), { code: 'RESOURCE_EXHAUSTED' });
    await upload.abort();
    const path = await store.file(digestOf(written[0] ?? assert.fail()));
    unlinkSync(path ?? '');
    unlinkSync((await store.file(digestOf(written[1] ?? assert.fail()))) ?? '');
    store.write(digestOf(refused), refused);
    assert.deepEqual(store.readNow(digestOf(refused)), refused);
    await store.close();
  } finally {
    execFileSync('/bin/umount', [directory]);
    rmdirSync(directory);
  }
});
