import assert from 'node:assert/strict';
import { appendFileSync, mkdtempSync, readFileSync, rmSync, truncateSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import test from 'node:test';
import { realClock } from '../observe/clock.ts';
import { digestOf, type Digest } from '../reapi/digest.ts';
import { ActionResult } from '../reapi/gen/remote_execution.ts';
import { openActionCache } from './action-cache.ts';
import { openDiskStore, type DiskStore } from './disk.ts';
import { openStoreWriter } from './store-writer.ts';

const clock = realClock;

async function withStore(
  body: (store: DiskStore, path: string) => Promise<void> | void,
  maxBytes = 1 << 20,
): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'shoal-results-'));
  try {
    await body(
      await openDiskStore({ directory, writer: openStoreWriter(directory), maxBytes, clock }),
      join(directory, 'results'),
    );
  } finally {
    rmSync(directory, { recursive: true });
  }
}

const action = (seed: number): Digest => digestOf(Buffer.from(`action ${seed}`));

function resultWith(digest: Digest): ActionResult {
  const result = ActionResult.decode(new Uint8Array(0));
  const rest = { isExecutable: false, contents: Buffer.alloc(0), nodeProperties: undefined };
  return { ...result, outputFiles: [{ path: 'x.o', digest, ...rest }] };
}

function written(store: DiskStore, text: string): Digest {
  const bytes = Buffer.from(text);
  store.write(digestOf(bytes), bytes);
  return digestOf(bytes);
}

test('a result is found again, also after a restart', () =>
  withStore((store, path) => {
    const first = openActionCache({ path, writer: openStoreWriter(dirname(path)), store, clock });
    const result = resultWith(written(store, 'object'));
    first.put(action(1), result);
    assert.deepEqual(first.get(action(1)), result);
    assert.equal(first.get(action(2)), undefined);
    first.close();
    assert.deepEqual(
      openActionCache({ path, writer: openStoreWriter(dirname(path)), store, clock }).get(action(1)),
      result,
    );
  }));

test('a result whose blob has gone is none', () =>
  withStore((store, path) => {
    const cache = openActionCache({ path, writer: openStoreWriter(dirname(path)), store, clock });
    cache.put(action(1), resultWith(digestOf(Buffer.from('never written'))));
    assert.equal(cache.get(action(1)), undefined);
  }));

test('a torn end of the file costs the torn record alone', () =>
  withStore((store, path) => {
    const first = openActionCache({ path, writer: openStoreWriter(dirname(path)), store, clock });
    const result = resultWith(written(store, 'object'));
    for (const seed of [1, 2, 3]) first.put(action(seed), result);
    first.close();
    truncateSync(path, readFileSync(path).length - 7);
    const second = openActionCache({ path, writer: openStoreWriter(dirname(path)), store, clock });
    assert.deepEqual(
      [1, 2, 3].map((seed) => second.get(action(seed)) !== undefined),
      [true, true, false],
    );
    second.put(action(4), result);
    second.close();
    appendFileSync(path, Buffer.alloc(200, 0xff));
    const third = openActionCache({ path, writer: openStoreWriter(dirname(path)), store, clock });
    assert.deepEqual(
      [1, 2, 4].map((seed) => third.get(action(seed)) !== undefined),
      [true, true, true],
    );
  }));

test('the oldest entry makes room for the newest, and the file stays bounded', () =>
  withStore((store, path) => {
    const maxEntries = 200;
    const cache = openActionCache({ path, writer: openStoreWriter(dirname(path)), store, clock, maxEntries });
    const result = resultWith(written(store, 'object'));
    for (let seed = 0; seed < 1500; seed += 1) {
      cache.put(action(seed), result);
      cache.get(action(0));
    }
    cache.close();
    assert.ok(readFileSync(path).length <= 2 * maxEntries * 80);
    assert.deepEqual(
      [0, 1, 1400].map((seed) => cache.get(action(seed)) !== undefined),
      [true, false, true],
    );
  }));
