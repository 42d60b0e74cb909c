import assert from 'node:assert/strict';
import { test } from 'node:test';
import { newKindRecord, readSize, usualMs, withCompile } from './kind.ts';

/** After compiles of 100 ms and 200 ms for each megabyte that they read, but one that took for ever. */
function learnt(sizes: readonly number[]) {
  let record = newKindRecord(100, 1);
  for (const size of sizes) record = withCompile(record, 100 + 200 * size, size);
  return record;
}

const sizes = Array.from({ length: 40 }, (_, at) => 1 + (at % 5));

test('what reads more is expected to take longer, as far as that has been seen', () => {
  const record = learnt(sizes);
  assert.ok(Math.abs(usualMs(record, 1) - 300) < 1 && Math.abs(usualMs(record, 5) - 1100) < 1);
  assert.ok(usualMs(record, 1000) <= 5 * record.ms.value, 'far away the line is not believed');
  assert.ok(usualMs(record, 0) > 0);
});

test('where nothing differs, or too little was seen, the mean is expected', () => {
  const alike = learnt(Array.from({ length: 40 }, () => 2));
  assert.equal(Math.round(usualMs(alike, 50)), 500);
  const few = learnt([1, 5]);
  assert.equal(usualMs(few, 50), few.ms.value);
});

test('a byte of the source counts for more than one of a header', () => {
  assert.ok(readSize(2000, 1000) > readSize(3000, 10));
});
