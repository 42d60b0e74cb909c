import assert from 'node:assert/strict';
import { test } from 'node:test';
import { asidesFrom, isAside, savedAsides, type SavedAside } from './aside.ts';

const hourMs = 3600 * 1000;
const dayMs = 24 * hourMs;
const liar: readonly SavedAside[] = [['liar', 'its object differs', dayMs]];

/** Whether it is still aside when the time of day has gone on by so much from each process to the next. */
function isAsideAfter(...gapsMs: readonly number[]): boolean {
  let saved = liar;
  for (const gapMs of gapsMs) saved = savedAsides(asidesFrom(saved, gapMs));
  return isAside(asidesFrom(saved, 0), 'liar') !== undefined;
}

test('a host that lied is aside for a day, over as many processes as there are', () => {
  assert.equal(isAsideAfter(), true);
  assert.equal(isAsideAfter(8 * hourMs, 8 * hourMs), true);
  assert.equal(isAsideAfter(8 * hourMs, 8 * hourMs, 8 * hourMs), false);
});

test('a clock that jumps by years neither brings it back nor keeps it away', () => {
  assert.equal(isAsideAfter(20 * 365 * dayMs), true);
  assert.equal(isAsideAfter(-20 * 365 * dayMs), true);
  assert.equal(isAsideAfter(-20 * 365 * dayMs, 12 * hourMs, 12 * hourMs), false);
});

test('a host that nobody set aside is none', () => {
  assert.equal(isAside(asidesFrom(liar, 0), 'other'), undefined);
});
