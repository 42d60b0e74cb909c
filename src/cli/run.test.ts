import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { choosesJobs, jobsFor } from './run.ts';

test("make's -j is told from the values of its other options, and is heard in MAKEFLAGS, too", () => {
  for (const args of [['-j'], ['-j8'], ['-kj8'], ['--jobs=8'], ['--jobs', '8'], ['all', '-sj']]) {
    assert.ok(choosesJobs(args, {}), args.join(' '));
  }
  for (const args of [['-Cobj'], ['-Iproj'], ['-fj'], ['-k'], ['--just-print'], ['j'], ['-Ootj4']]) {
    assert.ok(!choosesJobs(args, {}), args.join(' '));
  }
  for (const flags of ['-j4', 'kj4', 'k -j4 --jobserver-auth=3,4', ' -j']) {
    assert.ok(choosesJobs([], { MAKEFLAGS: flags }), flags);
  }
  for (const flags of ['', 'k', '-k', 'k -Iproj', 'CC=j4']) assert.ok(!choosesJobs([], { MAKEFLAGS: flags }), flags);
});

test('however large the farm, make can write its jobs into a pipe of one page', () => {
  assert.equal(jobsFor(8), 16);
  const most = jobsFor(1e6);
  const { status, error } = spawnSync('make', ['-s', `-j${most}`, '--eval=all:;@:', '-f', '/dev/null'], {
    timeout: 10_000,
  });
  assert.deepEqual({ status, error, fits: most <= 4096 }, { status: 0, error: undefined, fits: true });
});
