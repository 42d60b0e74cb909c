import assert from 'node:assert/strict';
import { test } from 'node:test';
import { tellSome, type ToldRefusal } from './refusals.ts';

test('of many refusals some are told, and how many were not', () => {
  const told: ToldRefusal[] = [];
  let nowMs = 5000;
  const refuse = tellSome(
    (refusal) => told.push(refusal),
    () => nowMs,
  );
  for (let at = 0; at < 1000; at += 1) refuse({ address: '10.0.0.9', reason: 'no-tls' });
  assert.equal(told.length, 30);
  nowMs += 10_000;
  refuse({ address: '10.0.0.8', reason: 'expired', name: 'eva' });
  assert.deepEqual(told.at(-1), { address: '10.0.0.8', reason: 'expired', name: 'eva', untold: 970 });
  refuse({ address: '10.0.0.8', reason: 'expired' });
  assert.equal(told.at(-1)?.untold, 0);
});
