import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { digestOf, type Digest } from '../reapi/digest.ts';
import { newDigestSet } from './digest-set.ts';

const numbered = (n: number): Digest => digestOf(Buffer.from(String(n)));

test('a set of digests says what a plain one says, and still does once saved and loaded', () => {
  fc.assert(
    fc.property(fc.array(fc.nat(400), { maxLength: 600 }), fc.array(fc.nat(400)), (added, asked) => {
      const set = newDigestSet(1000);
      for (const n of added) set.add(numbered(n));
      const again = newDigestSet(1000);
      again.load(set.save());
      const plain = new Set(added);
      for (const n of asked) {
        assert.equal(set.has(numbered(n)), plain.has(n));
        assert.equal(again.has(numbered(n)), plain.has(n));
      }
      assert.equal(set.size(), plain.size);
    }),
    { numRuns: 50 },
  );
});

test('a set keeps what is asked for, forgets the rest, and grows no further than twice its bound', () => {
  const set = newDigestSet(1000);
  set.add(numbered(0));
  for (let n = 1; n < 20_000; n += 1) {
    set.add(numbered(n));
    assert.ok(set.has(numbered(0)), `after ${n}`);
    assert.ok(set.size() <= 2000);
  }
  assert.ok(set.has(numbered(19_500)));
  assert.ok(!set.has(numbered(5000)));
});
