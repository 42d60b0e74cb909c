// Times that a user feels: one file end to end through a live daemon, a build with nothing to do, one launcher call.
import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { layOut } from './corpus.ts';
import { makeCpuGroup } from './cpu.ts';
import type { Plan } from './measure.ts';
import { mustRun } from './processes.ts';
import { spreadOf } from './statistics.ts';
import { clientEnvironment, shoalCommand, startWorkers } from './sides/shoal.ts';

export type Extras = {
  /** p50 of one small C++ file through launcher, daemon, worker and back, less the p50 of the compiler at home. */
  readonly oneFileMs: number;
  readonly nothingToDoSeconds: number;
  readonly text: string;
};

/** What the program in one-file.ts writes. All are medians in ms. */
export type OneFile = {
  readonly compiles: number;
  readonly atHomeMs: number;
  readonly farmMs: number;
  readonly programMs: number;
  readonly launcherMs: number;
  readonly stubMs: number;
};

const compiles = 40;
const builds = 9;

export async function measureExtras(plan: Plan): Promise<Extras> {
  const scratch = join(plan.scratch, 'extras');
  mkdirSync(scratch);
  const groups = { client: makeCpuGroup('client'), workers: makeCpuGroup('workers') };
  const workers = plan.network.workers.map((host) => ({ host, group: groups.workers }));
  const client = { host: plan.network.client, group: groups.client };
  const tree = layOut(join(plan.scratch, 'tree'), plan.cache, { ...plan.tree, projects: ['leveldb'], everyNth: 1 });
  const log = join(scratch, 'log');
  const daemons = await startWorkers({ workers, scratch });
  try {
    const env = clientEnvironment({ workers, scratch });
    const at = { cwd: tree.directory, env, log, ownRun: true };
    await mustRun(client, { ...at, argv: shoalCommand('make', '-j4', '--silent') });
    const times: Record<'make' | 'shoal make', number[]> = { make: [], 'shoal make': [] };
    for (let round = 0; round < builds; round += 1) {
      times.make.push((await mustRun(client, { ...at, argv: ['make', '-j4', '--silent'] })).wallMs);
      times['shoal make'].push(
        (await mustRun(client, { ...at, argv: shoalCommand('make', '-j4', '--silent') })).wallMs,
      );
    }
    const answer = join(scratch, 'one-file.json');
    const program = join(import.meta.dirname, 'one-file.js');
    const loop = [process.execPath, program, String(compiles), answer, join(process.cwd(), 'bin/shoal.js')];
    await mustRun(client, {
      ...at,
      env: { ...env, SHOAL_RESULT_CACHE: 'off' },
      argv: shoalCommand('run', '--', ...loop),
    });
    return textOf(JSON.parse(readFileSync(answer, 'utf8')) as OneFile, times);
  } finally {
    for (const daemon of daemons) await daemon.stop();
    for (const group of Object.values(groups)) group.remove();
    rmSync(scratch, { recursive: true, force: true });
  }
}

function textOf(one: OneFile, times: Readonly<Record<'make' | 'shoal make', readonly number[]>>): Extras {
  const make = spreadOf(times.make).median;
  const through = spreadOf(times['shoal make']).median;
  const ms = (value: number): string => `${value.toFixed(1)} ms`;
  const text = [
    `one file, warm, p50 of ${one.compiles}: ${ms(one.farmMs)} through the farm, ${ms(one.atHomeMs)} by the compiler at home`,
    `nothing to do, p50 of ${builds}: shoal make ${ms(through)}, make ${ms(make)}`,
    `one launcher call around a program that does nothing, p50: ${ms(one.programMs)} alone, ${ms(one.launcherMs)} through the real launcher, ${ms(one.stubMs)} through npm's bin stub`,
  ].join('\n');
  return { oneFileMs: one.farmMs - one.atHomeMs, nothingToDoSeconds: (through - make) / 1000, text };
}
