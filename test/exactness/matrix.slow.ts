// The matrix: every case by the compiler and through the farm, in the same directory. What is said and left must be the
// same, and each compile must end as its case says: elsewhere, or here for a named reason.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import type { Summary } from '../../src/observe/tally.ts';
import { farmFor } from '../farm/farm.ts';
import { cases } from './cases.ts';
import { differing, prepareRun } from './runs.ts';

const width = 4;

test('every command line compiles elsewhere as at home, or stays for its reason', async (t) => {
  const farm = await farmFor(t, 1);
  const directory = join(farm.directory, 'matrix');
  const summaryFile = join(farm.directory, 'summary.json');
  const env = { SHOAL_STRICT: '1', SHOAL_SUMMARY: summaryFile };
  const run = prepareRun(directory, cases, { width });
  const apart = prepareRun(directory, cases, { width, sessions: true });

  const byCompiler = await farm.run({ argv: run.argv, cwd: farm.directory });
  assert.equal(byCompiler.status, 0, byCompiler.output);
  const home = run.read();

  const together = await farm.shoal(['run', '--', ...run.argv], { cwd: farm.directory, env });
  assert.equal(together.status, 0, together.output);
  const inOneBuild = differing(cases, home, run.read());
  const summary = JSON.parse(readFileSync(summaryFile, 'utf8')) as Summary;

  // Again with what the farm remembers, each case a build of its own, which tells how its compiles ended.
  const again = await farm.shoal(['run', '--', ...apart.argv], { cwd: farm.directory, env });
  assert.equal(again.status, 0, again.output);
  const away = apart.read();
  const inOwnBuild = differing(cases, home, away);
  const wrongEnds = cases.flatMap(({ name, ends }) => {
    const [found, expected] = [away[name]?.ends?.toSorted().join(' '), ends.toSorted().join(' ')];
    return found === expected ? [] : [`${name}: ended ${found}, expected ${expected}`];
  });

  const compiles = cases.flatMap(({ ends }) => ends);
  const travelling = compiles.filter((end) => end === 'remote').length;
  const seconds = [byCompiler, together, again].map(({ wallMs }) => (wallMs / 1000).toFixed(0)).join(', ');
  t.diagnostic(`${cases.length} command lines, ${travelling} of ${compiles.length} compiles travel; ${seconds} s`);
  const wrong = [
    ...inOneBuild.map((line) => `in one build, ${line}`),
    ...inOwnBuild.map((line) => `in a build of its own, ${line}`),
    ...wrongEnds,
  ];
  if (wrong.length > 0) assert.fail(`${wrong.length} differences:\n${wrong.join('\n')}`);
  assert.equal(summary.remote + summary.cached, travelling, JSON.stringify(summary));
  assert.deepEqual(farm.remains(), []);
});
