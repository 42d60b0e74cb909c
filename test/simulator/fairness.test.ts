import assert from 'node:assert/strict';
import { test } from 'node:test';
import { listedCompiler } from './compiler.ts';
import { simulatedFarm } from './farm.ts';
import { plainHost } from './rig.ts';
import { build, listed, toolchain, type ScheduledJob } from './scheduling.ts';

const jobsOf = (build: string, count: number): ScheduledJob[] =>
  Array.from({ length: count }, (_, at) => ({ key: `${build}/${at}.o`, kind: 'c', workMs: 300 + ((at * 37) % 400) }));

/** Builds of so many jobs that begin at these times; how long each took. */
async function lasting(builds: readonly { readonly jobs: number; readonly fromMs: number }[]): Promise<number[]> {
  const all = builds.map(({ jobs }, at) => jobsOf(`build ${at}`, jobs));
  const plans = ['a', 'b', 'c'].map((name) => plainHost(name));
  const { clock, farm } = simulatedFarm(plans, {
    compiler: listedCompiler(listed(all.flat())),
    toolchain,
    draw: () => 0,
  });
  const ran = builds.map(async ({ fromMs }, at) => {
    await new Promise<void>((resolve) => clock.after(fromMs, resolve));
    await build(farm, { id: `build ${at}`, jobs: all[at] ?? [], width: 40 });
    return clock.nowMs() - fromMs;
  });
  return clock.until(Promise.all(ran), 600_000);
}

test('two builds that are alike end at about the same time', async () => {
  const [one = 0, other = 0] = await lasting([
    { jobs: 300, fromMs: 0 },
    { jobs: 300, fromMs: 0 },
  ]);
  // Of the fifteen places of this farm one build has eight.
  assert.ok(Math.abs(one - other) < 0.1 * one, `${one} and ${other} ms`);
});

test('a small build does not wait for a large one that came before it', async () => {
  const [alone = 0] = await lasting([{ jobs: 60, fromMs: 0 }]);
  const [large = 0, small = 0] = await lasting([
    { jobs: 1000, fromMs: 0 },
    { jobs: 60, fromMs: 5000 },
  ]);
  assert.ok(small < 2.6 * alone, `${small} ms, and ${alone} ms alone`);
  assert.ok(large > 30_000, 'the large one lasted longer');
});
