import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ActionEnd } from './action.ts';
import { newOperations, type StartRequest } from './operations.ts';

const digest = { hash: 'a'.repeat(64), sizeBytes: 1 };
const end = { cached: false, fresh: new Map() } as unknown as ActionEnd;

test('who comes while a run is being given up, for nobody waited for it, gets one of their own', async () => {
  const operations = newOperations();
  const over: ((end: ActionEnd) => void)[] = [];
  const request: StartRequest = {
    actionDigest: digest,
    merge: true,
    run: ({ signal }) =>
      new Promise((resolve, reject) => {
        over.push(resolve);
        // A sandbox takes a while to end what runs in it.
        signal.addEventListener('abort', () => setImmediate(() => reject(new Error('given up'))));
      }),
  };
  const first = operations.start(request);
  const leave = first.wait();
  assert.equal(operations.start(request), first, 'one that runs is shared');
  leave();
  const second = operations.start(request);
  assert.notEqual(second, first);
  second.wait();
  await first.ended;
  assert.equal(operations.start(request), second, 'the end of the first does not take it away');
  over[1]?.(end);
  await second.ended;
  assert.equal(second.state().kind, 'done');
});
