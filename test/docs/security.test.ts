// docs/security.md: every attempt in its tables names the tests that show what stops it, and each of them exists.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { claimsIn, namesIn, rowsOf } from './claims.ts';

test('every attempt on the security page names tests, and each of them exists', () => {
  const rows = rowsOf('docs/security.md', 'attempt');
  assert.ok(rows.length > 25, `${rows.length} rows`);
  for (const [attempt = '', stops = '', shown = ''] of rows) {
    assert.ok(stops !== '', `nothing stops: ${attempt}`);
    const claims = claimsIn(shown);
    assert.ok(claims.length > 0, `no test for: ${attempt}`);
    for (const { file, name } of claims) {
      assert.match(file, /^(?:src|test)\/.*\.ts$/);
      assert.ok(namesIn(file).has(name), `${file} has no test “${name}”`);
    }
  }
});
