import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { distccEnvironment } from '../distcc/environment.ts';
import { distccEnvironmentPage } from './distcc-environment-page.ts';

test('docs/distcc-environment.md is what the table says', () => {
  const page = readFileSync(new URL('../../../docs/distcc-environment.md', import.meta.url), 'utf8');
  const how = 'make it anew: node dist/src/cli/distcc-environment-page.js > docs/distcc-environment.md';
  assert.equal(page, distccEnvironmentPage(), how);
});

test('the table is sorted, and a misprint has a row of the right name', () => {
  const names = Object.keys(distccEnvironment);
  assert.deepEqual(names, names.toSorted());
  for (const { treatment, means } of Object.values(distccEnvironment)) {
    assert.equal(treatment === 'misspelt', means !== undefined);
    if (means !== undefined) assert.ok(Object.hasOwn(distccEnvironment, means));
  }
});
