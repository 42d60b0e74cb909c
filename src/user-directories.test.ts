import assert from 'node:assert/strict';
import { homedir } from 'node:os';
import { join } from 'node:path';
import test from 'node:test';
import { cacheDir, stateDir } from './user-directories.ts';

test('an absolute XDG directory is taken, anything else is as if it were not set', () => {
  assert.equal(cacheDir({ XDG_CACHE_HOME: '/c' }), '/c/shoal');
  assert.equal(stateDir({ XDG_STATE_HOME: '/s' }), '/s/shoal');
  for (const named of [undefined, '', 'relative/c']) {
    assert.equal(cacheDir({ XDG_CACHE_HOME: named }), join(homedir(), '.cache/shoal'));
    assert.equal(stateDir({ XDG_STATE_HOME: named }), join(homedir(), '.local/state/shoal'));
  }
});
