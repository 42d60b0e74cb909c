import assert from 'node:assert/strict';
import { test } from 'node:test';
import { expectedFinish, jobsAhead, type HostLoad } from './finish.ts';
import { newHostRecord } from './pace.ts';

const workMs = 800;

function load(pace: number, roundTripMs: number, more: Pick<HostLoad, 'jobs' | 'slotFreeMs'>): HostLoad {
  return { pace, roundTripMs, slots: 4, othersMs: 0, lacksBytes: 0, bytesPerMs: 12_500, ...more };
}

test('the example of docs/scheduling.md', () => {
  const fast = expectedFinish(load(1, 1, { jobs: 4, slotFreeMs: 600 }), workMs);
  assert.deepEqual(fast, { queueMs: 600, transferMs: 0, roundTripMs: 1, compileMs: 840, totalMs: 1441 });
  const slow = expectedFinish(load(2.5, 20, { jobs: 1, slotFreeMs: 0 }), workMs);
  assert.deepEqual([slow.queueMs, slow.roundTripMs, Math.round(slow.compileMs)], [0, 20, 2050]);
  assert.equal(Math.round(slow.totalMs), 2070);
  assert.equal(Math.round(expectedFinish(load(2, 20, { jobs: 1, slotFreeMs: 0 }), workMs).totalMs), 1660);
});

test('a transfer and the queue overlap, and what others make a host wait is added to its queue', () => {
  const busy = load(1, 1, { jobs: 4, slotFreeMs: 600 });
  const bytes = (lacksBytes: number) => expectedFinish({ ...busy, lacksBytes }, workMs).totalMs;
  assert.equal(bytes(12_500 * 600), 1441);
  assert.equal(bytes(12_500 * 700), 1541);
  assert.equal(expectedFinish({ ...busy, othersMs: 100 }, workMs).queueMs, 700);
});

test('the farther a host and the shorter its compiles, the more jobs are on their way there', () => {
  const record = newHostRecord();
  const ahead = (roundTripMs: number, compileMs: number): number =>
    jobsAhead(
      { ...record, roundTripMs: { value: roundTripMs, samples: 1 }, compileMs: { value: compileMs, samples: 1 } },
      8,
    );
  assert.deepEqual([ahead(1, 1000), ahead(20, 50), ahead(20, 10), ahead(200, 10)], [1, 4, 8, 8]);
});
