// shoal against the stand-in farm: a whole build by make, then the same compiles by a driver that notes how long each
// launcher takes.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { mustRun, path, startDaemon, logEnd, type Daemon, type Place } from '../processes.ts';
import { makeProgram } from '../programs.ts';
import { shoalCommand } from '../sides/shoal.ts';
import { spreadOf } from '../statistics.ts';
import { waitUntil } from '../wait.ts';
import { watchDaemon, type DaemonFigures } from './daemon-figures.ts';
import { changeSources, compileWords, type GeneratedTree } from './sources.ts';
import type { StandInFacts } from './stand-in-farm.ts';

export const slots = 200;
export const compileMs = 500;
export const calmJobs = slots / 4;
const port = 8475;
const patienceMs = 30_000;

export type Ground = {
  readonly client: Place;
  readonly worker: Place;
  readonly scratch: string;
  readonly tree: GeneratedTree;
};

export type BuildFigures = {
  readonly files: number;
  readonly wallMs: number;
  /** Of everything at the client: command line, daemon, make or driver, launchers. */
  readonly clientCpuMs: number;
  readonly farmCpuMs: number;
  readonly daemon: DaemonFigures;
};

export type Latency = { readonly p50Ms: number; readonly p99Ms: number };

export type FarmFigures = {
  readonly make: BuildFigures;
  readonly driver: BuildFigures;
  /** How long a launcher took beyond the compile, with every slot busy. */
  readonly full: Latency;
  /** The same with a quarter of the slots busy: then nothing waits for this machine's processors. */
  readonly calm: Latency;
  readonly facts: StandInFacts;
};

/** `object` is what every answer begins with. */
export async function measureFarm(ground: Ground, object: string): Promise<FarmFigures> {
  const { scratch, tree } = ground;
  const factsFile = join(scratch, 'facts.json');
  const farm = await startFarm(ground, { object, factsFile });
  try {
    const make = await measureBuild(ground, 'make', shoalCommand('make', '--silent'));
    const program = makeProgram('drive', scratch);
    const drive = async (name: string, jobs: number, files: number) => {
      changeSources(tree, name);
      const [commands, times] = [join(scratch, `${name}.commands`), join(scratch, `${name}.times`)];
      const lines = tree.sources.slice(0, files).map((source) => `g++ ${compileWords(source).join(' ')}\n`);
      writeFileSync(commands, lines.join(''));
      const argv = shoalCommand('run', '--', program, String(jobs), commands, times);
      const build = await measureBuild({ ...ground, files }, name, argv);
      return { build, latency: beyondCompile(times) };
    };
    const full = await drive('full', slots, tree.sources.length);
    const calm = await drive('calm', calmJobs, Math.ceil(tree.sources.length / 4));
    await farm.stop();
    const facts = JSON.parse(readFileSync(factsFile, 'utf8')) as StandInFacts;
    return { make, driver: full.build, full: full.latency, calm: calm.latency, facts };
  } finally {
    await farm.stop();
  }
}

type Answers = { readonly object: string; readonly factsFile: string };

async function startFarm({ worker, scratch }: Ground, { object, factsFile }: Answers): Promise<Daemon> {
  const log = join(scratch, 'farm.log');
  const program = join(import.meta.dirname, 'stand-in-farm.js');
  const state = join(scratch, 'farm');
  const args = [worker.host.address, port, slots, compileMs, object, state, factsFile].map(String);
  const daemon = startDaemon(worker, { argv: [process.execPath, program, ...args], log, env: { HOME: scratch } });
  await waitUntil('the stand-in farm', patienceMs, () => {
    if (!daemon.running()) throw new Error(`the stand-in farm ended:\n${logEnd(log)}`);
    return readFileSync(log, 'utf8').includes('ready\n');
  });
  return daemon;
}

type Building = Ground & { readonly files?: number };

async function measureBuild(ground: Building, name: string, argv: readonly string[]): Promise<BuildFigures> {
  const { client, worker, scratch, tree, files = tree.sources.length } = ground;
  const summary = join(scratch, `${name}.json`);
  const hosts = `${worker.host.address}:${port}`;
  const env = { HOME: scratch, PATH: `${path}:${process.execPath.replace(/\/node$/, '')}` };
  const watch = watchDaemon(client.group);
  const before = { client: client.group.usedMs(), farm: worker.group.usedMs() };
  const { wallMs } = await mustRun(client, {
    argv,
    cwd: tree.directory,
    env: { ...env, SHOAL_HOSTS: hosts, SHOAL_STRICT: '1', SHOAL_VERIFY: 'off', SHOAL_SUMMARY: summary },
    log: join(scratch, `${name}.log`),
    ownRun: true,
  });
  const after = { client: client.group.usedMs(), farm: worker.group.usedMs() };
  const daemon = watch.stop();
  allWentOut(summary, files);
  return {
    files,
    wallMs,
    clientCpuMs: after.client - before.client,
    farmCpuMs: after.farm - before.farm,
    daemon,
  };
}

function allWentOut(summary: string, files: number): void {
  const text = existsSync(summary) ? readFileSync(summary, 'utf8') : '{}';
  const { remote } = JSON.parse(text) as { readonly remote?: number };
  if (remote !== files) throw new Error(`${remote} of ${files} files went to the farm: ${text}`);
}

function beyondCompile(times: string): Latency {
  const lines = readFileSync(times, 'utf8').split('\n').filter(Boolean);
  const sorted = lines.map((line) => Number(line) / 1000 - compileMs).toSorted((a, b) => a - b);
  return { p50Ms: spreadOf(sorted).median, p99Ms: sorted[Math.floor(sorted.length * 0.99)] ?? Number.NaN };
}
