// A worker on a box that cannot contain: made by a namespace in which the kernel refuses what the sandbox needs. In each
// the worker does not serve, ends with status 1, and says what is missing and how to get it.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'node:test';
import { sourceOf } from './fixture.ts';

function workerIn(
  namespace: readonly string[],
  prepare: string,
): { readonly status: number | null; readonly text: string } {
  const state = mkdtempSync(join(tmpdir(), 'shoal-refusal-'));
  try {
    const worker = [process.execPath, sourceOf('bin/shoal.js'), 'worker', '--slots', '1', '--state', state];
    const script = `${prepare}; exec timeout 20 "$@"`;
    const { status, stderr, stdout } = spawnSync('unshare', [...namespace, 'sh', '-c', script, 'sh', ...worker], {
      encoding: 'utf8',
      env: { PATH: process.env['PATH'], HOME: state },
    });
    assert.doesNotMatch(stdout, /ready/, stderr);
    return { status, text: stderr };
  } finally {
    rmSync(state, { recursive: true, force: true });
  }
}

const asRootOfOne = ['--user', '--map-root-user'];

test('no user namespaces at all', () => {
  const { status, text } = workerIn(asRootOfOne, 'echo 0 > /proc/sys/user/max_user_namespaces');
  assert.equal(status, 1, text);
  assert.match(text, /cannot be contained.*user namespace: No space left.*sysctl -w user\.max_user_namespaces/);
  assert.match(text, /--contain=none/);
});

test('user namespaces, but not one more for each job', () => {
  const { status, text } = workerIn(asRootOfOne, 'echo 1 > /proc/sys/user/max_user_namespaces');
  assert.equal(status, 1, text);
  assert.match(text, /namespaces of the job: No space left/);
});

test('no network namespaces', () => {
  const { status, text } = workerIn(asRootOfOne, 'echo 0 > /proc/sys/user/max_net_namespaces');
  assert.equal(status, 1, text);
  assert.match(text, /No space left.*max_net_namespaces/);
});

test('a part of /proc is hidden, as in a container', () => {
  const hidden = 'mount -t tmpfs tmpfs /proc/sys/kernel';
  const { status, text } = workerIn([...asRootOfOne, '--mount', '--propagation', 'private'], hidden);
  assert.equal(status, 1, text);
  assert.match(text, /mount proc: Operation not permitted.*systempaths=unconfined/);
});
