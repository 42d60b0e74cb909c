import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { newCrowd } from './crowd.ts';

test('there is never one too many, and nobody pushes out others than itself while it has most', () => {
  const callers = fc.constantFrom('a', 'b', 'c', 'd');
  const steps = fc.array(fc.record({ caller: callers, leaves: fc.boolean() }), { maxLength: 200 });
  fc.assert(
    fc.property(steps, fc.integer({ min: 1, max: 12 }), fc.integer({ min: 1, max: 6 }), (steps, most, mostOfOne) => {
      const crowd = newCrowd({ most, mostOfOne });
      const inside: { readonly caller: string; readonly leave: () => void }[] = [];
      const countOf = (caller: string): number => inside.filter((one) => one.caller === caller).length;
      for (const { caller, leaves } of steps) {
        if (leaves) {
          inside.shift()?.leave();
          continue;
        }
        const place = { caller, leave: () => undefined as void };
        inside.push(place);
        const entered = crowd.enter(caller, () => {
          inside.splice(inside.indexOf(place), 1);
        });
        place.leave = entered.leave;
        assert.ok(inside.includes(place), 'the newest stays');
        for (const one of ['a', 'b', 'c', 'd']) assert.ok(countOf(one) <= mostOfOne);
        assert.ok(inside.length <= most);
        assert.equal(crowd.size(), inside.length);
      }
    }),
  );
});

test('of a crowd of strangers the oldest of the largest group goes, and a lone one stays', () => {
  const crowd = newCrowd({ most: 10, mostOfOne: 10 });
  const expelled: string[] = [];
  crowd.enter('honest', () => expelled.push('honest'));
  for (let at = 0; at < 100; at += 1) crowd.enter('stranger', () => expelled.push(`stranger ${at}`));
  assert.equal(expelled.length, 91);
  assert.deepEqual([expelled.includes('honest'), expelled[0], crowd.size()], [false, 'stranger 0', 10]);
});

test('to leave twice, or after one was pushed out, changes nothing', () => {
  const crowd = newCrowd({ most: 1, mostOfOne: 1 });
  const first = crowd.enter('a', () => undefined);
  const second = crowd.enter('a', () => undefined);
  first.leave();
  assert.equal(crowd.size(), 1);
  second.leave();
  second.leave();
  assert.equal(crowd.size(), 0);
});
