import assert from 'node:assert/strict';
import { test } from 'node:test';
import { environmentNotes, withRightEntries, withRightNames } from './environment.ts';

test('what the manual pages misspell is taken, and pointed out', () => {
  const env = { DISTCC_NO_CROSS_REWRITE: '1', DISTCC_PRINICIPAL: 'a', DISTCC_PRINCIPAL: 'b' };
  assert.deepEqual(withRightNames(env), { ...env, DISTCC_NO_REWRITE_CROSS: '1' });
  assert.deepEqual(environmentNotes(env), [
    'DISTCC_NO_CROSS_REWRITE is a misprint of the manual page: write DISTCC_NO_REWRITE_CROSS',
    'DISTCC_PRINICIPAL is a misprint of the manual page: write DISTCC_PRINCIPAL',
  ]);
});

test('so is it among the entries of a process', () => {
  const entries = ['PATH=/bin', 'DISTCC_NO_CROSS_REWRITE=1', 'DISTCC_PRINICIPAL=a=b', 'DISTCC_PRINCIPAL=c'];
  assert.deepEqual(withRightEntries(entries), [...entries, 'DISTCC_NO_REWRITE_CROSS=1']);
  assert.equal(withRightEntries(entries.slice(0, 1)).length, 1);
});

test('what has no effect is said, what has is not', () => {
  const notes = environmentNotes({ DISTCC_ENABLE_DISCREPANCY_EMAIL: '1', DISTCC_FALLBACK: '0', TMPDIR: '/x' });
  assert.equal(notes.length, 1);
  assert.match(notes[0] ?? '', /^DISTCC_ENABLE_DISCREPANCY_EMAIL does nothing: /);
});
