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
  /** How long a launcher took beyond the compile. */
  readonly beyond: Latency;
  readonly facts: StandInFacts;
};

/** `object` is what every answer begins with. */
export async function measureFarm(ground: Ground, object: string): Promise<FarmFigures> {
  const { scratch, tree } = ground;
  const factsFile = join(scratch, 'facts.json');
  const farm = await startFarm(ground, { object, factsFile });
  const times = join(scratch, 'times');
  let make: BuildFigures;
  let driver: BuildFigures;
  try {
    make = await measureBuild(ground, 'make', shoalCommand('make', '--silent'));
    changeSources(tree, 'driven');
    const commands = join(scratch, 'commands');
    writeFileSync(commands, tree.sources.map((source) => `g++ ${compileWords(source).join(' ')}\n`).join(''));
    const drive = [makeProgram('drive', scratch), String(slots), commands, times];
    driver = await measureBuild(ground, 'driver', shoalCommand('run', '--', ...drive));
  } finally {
    await farm.stop();
  }
  const facts = JSON.parse(readFileSync(factsFile, 'utf8')) as StandInFacts;
  return { make, driver, beyond: beyondCompile(times), facts };
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

async function measureBuild(ground: Ground, name: string, argv: readonly string[]): Promise<BuildFigures> {
  const { client, worker, scratch, tree } = ground;
  const summary = join(scratch, `${name}.json`);
  const hosts = `${worker.host.address}:${port}`;
  const env = { HOME: scratch, PATH: `${path}:${process.execPath.replace(/\/node$/, '')}` };
  const watch = watchDaemon(client.group);
  const before = { client: client.group.usedMs(), farm: worker.group.usedMs() };
  const { wallMs } = await mustRun(client, {
    argv,
    cwd: tree.directory,
    env: { ...env, SHOAL_HOSTS: hosts, SHOAL_STRICT: '1', SHOAL_SUMMARY: summary },
    log: join(scratch, `${name}.log`),
    ownRun: true,
  });
  const after = { client: client.group.usedMs(), farm: worker.group.usedMs() };
  const daemon = watch.stop();
  allWentOut(summary, tree.sources.length);
  return {
    files: tree.sources.length,
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
