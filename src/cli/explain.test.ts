import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Finish } from '../farm/finish.ts';
import { explainText } from './explain.ts';

const finish = (totalMs: number): Finish => ({
  totalMs,
  queueMs: 0,
  transferMs: 0,
  roundTripMs: 1,
  compileMs: totalMs - 1,
});

test('where this box would have been sooner than the host that was chosen, explain says why it was not asked', () => {
  const job = {
    source: '/p/a.c',
    object: '/p/a.o',
    arrivedMs: 0,
    work: undefined,
    waitedMs: 0,
    candidates: [{ kind: 'candidate', host: 'box', finish: finish(100) }],
    attempts: [{ host: 'box', sentMs: 0, endedMs: 90, outcome: 'done' }],
    end: { kind: 'remote', host: 'box', cached: false, endedMs: 90 },
  } as const;
  const passedOver = / here: .*not asked: a slot of the farm was free/;
  assert.match(explainText({ ...job, here: finish(50) }), passedOver);
  assert.doesNotMatch(explainText({ ...job, here: finish(150) }), passedOver);
  const busy = { here: undefined, whyNotHere: 'its processors had compiles already' };
  assert.match(explainText({ ...job, ...busy }), / here: not asked, its processors had compiles already/);
});
