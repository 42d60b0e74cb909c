import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { makeDirectory } from './make-directory.ts';

const base = mkdtempSync(join(tmpdir(), 'shoal-make-directory-'));
after(() => rmSync(base, { recursive: true }));

test('a directory is made with what lacks above it, and what is there stays', () => {
  mkdirSync(join(base, 'a'), { mode: 0o750 });
  makeDirectory(join(base, 'a/b/c'), 0o700);
  makeDirectory(join(base, 'a/b/c'), 0o700);
  assert.deepEqual(
    ['a', 'a/b', 'a/b/c'].map((path) => statSync(join(base, path)).mode & 0o777),
    [0o750, 0o700, 0o700],
  );
});

test('where it cannot be, that is said, and soon', () => {
  writeFileSync(join(base, 'file'), '');
  assert.throws(() => makeDirectory(join(base, 'file/a/b')), { code: 'ENOTDIR' });
  assert.throws(() => makeDirectory(join(base, 'file')), { code: 'EEXIST' });
  assert.throws(() => makeDirectory('/proc/nowhere/.cache/shoal'), { code: 'ENOENT' });
});
