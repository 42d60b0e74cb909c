// Where a worker cannot keep its state: file systems that take root to mount.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'node:test';
import { claimState } from '../../src/worker/claims.ts';

test('a worker does not begin where no program may be run, and says so; without containment it does', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'shoal-state-'));
  execFileSync('/bin/mount', ['-t', 'tmpfs', '-o', 'noexec,mode=711', 'shoal-test', directory]);
  try {
    const refused = await claimState(directory);
    assert.ok(refused.kind === 'refused');
    assert.match(refused.why, /noexec; choose another place with --state/);
    assert.deepEqual(readdirSync(directory), []);
    const held = await claimState(directory, 'none');
    assert.ok(held.kind === 'held');
    held.release();
    execFileSync('/bin/mount', ['-o', 'remount,exec', directory]);
    const again = await claimState(directory);
    assert.ok(again.kind === 'held');
    again.release();
  } finally {
    execFileSync('/bin/umount', ['-l', directory]); // a lock may still be about to be closed
    rmdirSync(directory);
  }
});
