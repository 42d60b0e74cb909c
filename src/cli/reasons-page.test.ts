import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { reasonsPage } from './reasons-page.ts';

test('docs/reasons.md is what the table of reasons says', () => {
  const page = readFileSync(new URL('../../../docs/reasons.md', import.meta.url), 'utf8');
  assert.equal(page, reasonsPage(), 'make it anew: node dist/src/cli/reasons-page.js > docs/reasons.md');
});
