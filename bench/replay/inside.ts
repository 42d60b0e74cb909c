// The part `replay`, in a mount namespace of its own where gcc plays back: every side builds every project on the same
// hosts, round after round.
//
//   node inside.js SCRATCH CACHE ROUNDS
import { execFileSync } from 'node:child_process';
import { mkdirSync, rmSync } from 'node:fs';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { makeCpuGroup } from '../cpu.ts';
import { makeNetwork, type Network } from '../hosts.ts';
import { logEnd, run, type Place } from '../processes.ts';
import type { Ground, Running, Side, Which } from '../side.ts';
import { distcc, distccLzo } from '../sides/distcc.ts';
import { icecream } from '../sides/icecream.ts';
import { shoal } from '../sides/shoal.ts';
import { putInPlace } from './compiler.ts';
import { corpusProject, kernelProject, type Project } from './projects.ts';
import { boundMs, inOrderMs, recordingOf, type Recording } from './recording.ts';
import { replayText, type Build, type ProjectResult } from './report.ts';

const hosts = 5;
const slots = 8;
const jobs = hosts * slots;
const slowHost = { at: 3, slowness: 2 };
const farHost = { at: 4, eachWayMs: 10 };
const sides: readonly Side[] = [distcc, distccLzo, icecream, shoal];
// What a side does before the clock starts: known to the compiler that plays back, so that the slow host is slow there too.
const warmUp = { name: 'first.cc', wholeUs: 300_000, textUs: 300_000 };

const [scratch = '', cache = '', roundsText = ''] = process.argv.slice(2);
const tell = (text: string): void => void process.stderr.write(`bench: ${text}\n`);

const slownessOf = (at: number): number => (at === slowHost.at ? slowHost.slowness : 1);

function withWarmUp({ entries }: Recording): Recording {
  const [some] = entries;
  return some === undefined ? { entries } : { entries: [...entries, { ...some, ...warmUp }] };
}

type Plan = { readonly network: Network; readonly project: Project; readonly round: number };

/** A fresh start of the side, and its builds; the second only where it knows anything of the first. */
async function buildWith(side: Side, plan: Plan): Promise<readonly Build[]> {
  const own = join(scratch, 'side');
  mkdirSync(own);
  const groups = { client: makeCpuGroup('client'), workers: makeCpuGroup('workers') };
  const workers = plan.network.workers.map((host, at): Place => {
    return { host, group: groups.workers, slowness: slownessOf(at) };
  });
  const ground: Ground = { client: { host: plan.network.client, group: groups.client }, workers, slots, scratch: own };
  let running: Running | undefined;
  try {
    running = await side.start(ground);
    const builds: Build[] = [];
    const order: readonly Which[] = side === shoal ? ['first', 'second'] : ['first'];
    for (const which of order) builds.push(await buildOnce({ side, running, ground, plan, which }));
    return builds;
  } finally {
    for (const daemon of (running?.daemons ?? []).toReversed()) await daemon.stop();
    for (const group of Object.values(groups)) group.remove();
    rmSync(own, { recursive: true, force: true });
  }
}

type Building = {
  readonly side: Side;
  readonly running: Running;
  readonly ground: Ground;
  readonly plan: Plan;
  readonly which: Which;
};

async function buildOnce({ side, running, ground, plan, which }: Building): Promise<Build> {
  const { project, round } = plan;
  project.prepare(`${side.name} ${round} ${which}`);
  const log = join(ground.scratch, `${which}.log`);
  const build = { which, tree: project.directory, jobs, ownJobs: true as const, files: project.lines.length, log };
  const before = { client: ground.client.group.usedMs(), workers: ground.workers[0]?.group.usedMs() ?? 0 };
  const machineBefore = machineTimes();
  const { status, wallMs } = await run(ground.client, running.command(build));
  if (status !== 0) throw new Error(`${side.name}, ${project.name}: status ${status}\n${logEnd(log)}`);
  running.check?.(build);
  return {
    which,
    wallMs,
    busy: busyShare(machineBefore, machineTimes()),
    clientCpuMs: ground.client.group.usedMs() - before.client,
    workersCpuMs: (ground.workers[0]?.group.usedMs() ?? 0) - before.workers,
  };
}

type MachineTimes = { readonly busyMs: number; readonly idleMs: number };

/** Of all processors since the machine began: this machine plays the client and five hosts, and other work may disturb. */
function machineTimes(): MachineTimes {
  const times = cpus().map((cpu) => cpu.times);
  const idleMs = times.reduce((sum, { idle }) => sum + idle, 0);
  return { busyMs: times.reduce((sum, { user, nice, sys, irq }) => sum + user + nice + sys + irq, 0), idleMs };
}

function busyShare(before: MachineTimes, after: MachineTimes): number {
  const busyMs = after.busyMs - before.busyMs;
  return busyMs / (busyMs + after.idleMs - before.idleMs);
}

async function measure(project: Project, recording: Recording, network: Network): Promise<ProjectResult> {
  const rounds = Number(roundsText);
  const results = sides.map((side) => ({ side: side.name, builds: [] as Build[] }));
  for (let round = 1; round <= rounds; round += 1) {
    for (const [at, side] of sides.entries()) {
      tell(`${project.name}, round ${round} of ${rounds}: ${side.name}`);
      results[at]?.builds.push(...(await buildWith(side, { network, project, round })));
    }
  }
  const speeds = Array.from({ length: jobs }, (_, at) => 1 / slownessOf(Math.floor(at / slots)));
  const [bound, inOrder] = [boundMs(recording, speeds), inOrderMs(recording, speeds)];
  return { name: project.name, files: project.lines.length, boundMs: bound, inOrderMs: inOrder, recording, results };
}

/**
 * In memory, for every side: five hosts create their thousands of files on one disk here, where ext4 looks in vain for numbers of
 * files that were not just deleted: 5 s of each worker's first build.
 */
function inMemory(): void {
  for (const directory of ['/tmp', scratch]) {
    mkdirSync(directory, { recursive: true });
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'mode=1777', 'tmpfs', directory]);
  }
}

inMemory();
const corpus = corpusProject({ scratch, cache });
const kernel = kernelProject({ scratch, cache });
const directory = join(cache, 'recordings');
const cplusplus = await recordingOf(corpus.lines, { directory, tell });
const c = await recordingOf(kernel.lines, { directory, tell });
putInPlace({ c, cplusplus: withWarmUp(cplusplus) }, scratch);
const eachWayMs = (at: number): number => (at === farHost.at ? farHost.eachWayMs : 0);
const network = makeNetwork(hosts, { scratch, eachWayMs });
const results = [await measure(corpus, cplusplus, network), await measure(kernel, c, network)];
network.remove();
process.stdout.write(`${replayText(results)}\n`);
