// docs/internals/peers-complaints.md claims what tests show: every row must name some, and each must exist.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { claimsIn, namesIn, rowsOf } from './claims.ts';

const rows = rowsOf('docs/internals/peers-complaints.md', 'complaint');

test('every complaint on the page names tests, and each of them exists', () => {
  assert.ok(rows.length > 40, `${rows.length} rows`);
  for (const [complaint = '', , shown = ''] of rows) {
    const claims = claimsIn(shown);
    assert.ok(claims.length > 0, `no test for: ${complaint}`);
    for (const { file, name } of claims) {
      assert.match(file, /^(?:src|test)\/.*(?:\.(?:test|slow)|cases\/[a-z]+|chaos\/deeds)\.ts$/);
      assert.ok(namesIn(file).has(name), `${file} has no test “${name}”`);
    }
  }
});
