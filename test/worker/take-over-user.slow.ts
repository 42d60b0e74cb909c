// The same as take-over.test.ts where the worker is a plain user, whose front has the same user: Landlock alone keeps it.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'node:test';

const user = '61234';
// A checkout may be below a directory that is closed to others.
const script = [
  'mount --bind "$0" "$1"',
  'mount -t tmpfs -o mode=1777 shoal-test "$2"',
  'cd "$1"',
  'exec setpriv --reuid="$3" --regid="$3" --clear-groups node --test dist/test/worker/take-over.test.js',
].join(' && ');

test('a plain user’s front that was taken over is kept from the store and the keeper as root’s is', () => {
  const checkout = mkdtempSync(join(tmpdir(), 'shoal-checkout-'));
  const temporary = mkdtempSync(join(tmpdir(), 'shoal-user-'));
  try {
    const words = ['-m', 'sh', '-c', script, process.cwd(), checkout, temporary, user];
    const env = { ...process.env, HOME: temporary, TMPDIR: temporary, NODE_TEST_CONTEXT: undefined };
    const { status, stdout, stderr } = spawnSync('unshare', words, { encoding: 'utf8', env, timeout: 120_000 });
    assert.equal(status, 0, `${stdout}${stderr}`);
    assert.match(stdout, /^# pass 2$|ℹ pass 2$/m);
  } finally {
    rmSync(checkout, { recursive: true });
    rmSync(temporary, { recursive: true });
  }
});
