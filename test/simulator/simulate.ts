// One seed: a project, a farm with faults, builds through the whole client; and all that is wrong with how it went.
import { mkdtempSync } from 'node:fs';
import { join } from 'node:path';
import type { Session } from '../../src/client/session/session.ts';
import type { Farm } from '../../src/farm/farm.ts';
import { closeFarm } from '../../src/farm/places.ts';
import { isFallback } from '../../src/observe/tally.ts';
import { choicesOf } from '../generated/choices.ts';
import { newClient, openSession, runBuild, type JobRecord } from './client.ts';
import { readingCompiler } from './compiler.ts';
import { simulatedFarm, type SimulatedFarm } from './farm.ts';
import { isFailure, slowness } from './faults.ts';
import type { HostPlan } from './host.ts';
import { layOutProject, type Project } from './project.ts';
import type { Rig } from './rig.ts';
import { makeHosts } from './scenario.ts';
import { drawFrom } from './draw.ts';

export type Simulated = {
  readonly seed: number;
  readonly wrong: readonly string[];
  readonly jobs: number;
  readonly remote: number;
  readonly fellBack: number;
  readonly wallMs: number;
};

export type Sizes = {
  readonly hosts: number;
  readonly sources: number;
  /** Of a hundred hosts. */
  readonly faulty: number;
};

// A job that three hosts in turn never answer comes home when the third call's time is over; one that three lose, when
// the third has been silent for long enough.
const muteMs = 3 * 10 * 60_000;
const lostMs = 3 * 13_000 + 60_000;

export async function simulate({ compilers, directory }: Rig, seed: number, sizes?: Sizes): Promise<Simulated> {
  const choices = choicesOf(seed);
  const draw = drawFrom(choices);
  const count = sizes?.hosts ?? choices.from([1, 2, 3, 5, 8, 12]);
  const faulty = sizes?.faulty ?? choices.from([0, 20, 50, 50, 100]);
  const plans = makeHosts(choices, draw, { count, faulty, lastsMs: 20_000 });
  const slots = plans.reduce((sum, plan) => sum + plan.slots, 0);
  const size = { sources: sizes?.sources ?? 20 + choices.upTo(100), headers: 4 + choices.upTo(40), medianMs: 700 };
  const cwd = mkdtempSync(join(directory, `seed-${seed}-`));
  const project = layOutProject(cwd, size, choices, draw);
  const parts = { compiler: readingCompiler(compilers.makeObject), toolchain: compilers.toolchain, draw };
  const simulated = simulatedFarm(plans, parts);
  const { clock, farm } = simulated;
  const client = newClient(compilers, clock, cwd);
  const settings = { mostFallbacks: choices.chance(20) ? 0 : undefined, resultCache: choices.chance(50) };
  const kills = choices.chance(30) ? 10 : 0;
  const build = {
    ...project,
    width: 1 + choices.upTo(2 * slots),
    homePace: 0.5 + 2 * draw(),
    killsAfterMs: () => (choices.chance(kills) ? draw() * 5000 : undefined),
  };
  const sessions = Array.from({ length: 1 + choices.upTo(1) }, () => openSession(client, farm, settings));
  const all = Promise.all(sessions.map((session) => runBuild(client, session, build)));
  const records = (await clock.until(all, mostMs(plans, sessions.length * work(project)))).flat();
  const wallMs = clock.nowMs();
  // What is being sent to a host is sent to its end, also for a job that is over.
  await clock.drain(longestTransferMs);
  const wrong = [
    ...wrongRecords(records, { jobs: sessions.length * project.jobs.length, mayFail: plans.some(seemsToFail) }),
    ...wrongAttempts(simulated, sessions),
    ...leftIn(farm),
  ];
  closeFarm(farm);
  const left = await clock.drain(dayMs);
  if (left > 0) wrong.push(`${left} timers are left`);
  wrong.push(...leftAt(simulated));
  const of = (is: (record: JobRecord) => boolean): number => records.filter(is).length;
  return {
    seed,
    wrong,
    jobs: records.length,
    remote: of(({ answer }) => answer.kind === 'completed'),
    fellBack: of(({ answer, wasKilled }) => !wasKilled && answer.kind !== 'completed' && isFallback(answer.reason)),
    wallMs,
  };
}

const dayMs = 86_400_000;
// As the client bounds it, and some more.
const longestTransferMs = 130_000;

/** One job after the other on the slowest host, as slow as it gets, and the longest time that faults may cost on top. */
function mostMs(plans: readonly HostPlan[], workMs: number): number {
  const slowest = Math.max(...plans.map(({ pace, faults }) => 1.2 * pace('c') * slowness(faults, Infinity)));
  const isMute = plans.some(({ faults }) => faults.some(({ kind }) => kind === 'mute'));
  return Math.max(2.5, slowest) * workMs + lostMs + (isMute ? muteMs : 0);
}

const work = ({ jobs }: Project): number => jobs.reduce((sum, { workMs }) => sum + workMs, 0);

/** It says that compiles fail, or end with nothing: what compilers do, too. Such a job is looked at again here. */
function seemsToFail({ faults }: HostPlan): boolean {
  return faults.some((fault) => fault.kind === 'lies' && ['no-outputs', 'silent-failure'].includes(fault.how));
}

/** Every job has ended once, and what came from the farm is what the compiler makes. */
function wrongRecords(
  records: readonly JobRecord[],
  { jobs, mayFail }: { readonly jobs: number; readonly mayFail: boolean },
): string[] {
  const wrong = records.filter(({ isRight }) => !isRight).map(({ job }) => `${job.source} is not what it should be`);
  if (records.length !== jobs) wrong.push(`${records.length} of ${jobs} jobs have ended`);
  for (const { job, answer, wasKilled } of records) {
    if (answer.kind === 'completed') continue;
    const isExpected =
      isFallback(answer.reason) ||
      answer.reason === 'sooner-here' ||
      (mayFail && answer.reason === 'remote-compile-failed');
    if (wasKilled ? answer.reason !== 'interrupted' && !isExpected : !isExpected) {
      wrong.push(`${job.source}: ${answer.reason} ${answer.detail}`);
    }
  }
  return wrong;
}

// What becomes of an attempt by nobody's fault.
const harmless: ReadonlySet<string> = new Set(['done', 'overtaken', 'interrupted']);

// As many jobs in a row that others were far sooner with count as a failure (src/client/attempt/faults.ts).
const overtakenAt = 3;

/**
 * Only hosts with faults failed at a job. A sound one that is slow, and was given long files that nobody knew, may seem to
 * do nothing: 2 of 1,000 seeds; then it rests once.
 */
function wrongAttempts({ hosts, farm }: SimulatedFarm, sessions: readonly Session[]): string[] {
  const good = new Set(hosts.filter(({ plan }) => !plan.faults.some(isFailure)).map(({ plan }) => plan.name));
  const attempts = sessions.flatMap(({ trail }) => trail.jobs.flatMap((job) => job.attempts));
  const blamed = attempts.filter(({ host, outcome }) => good.has(host) && !harmless.has(outcome));
  const overtaken = (name: string): number =>
    attempts.filter(({ host, outcome }) => host === name && outcome === 'overtaken').length;
  const failed = farm.hosts.filter(({ spec, failures }) => {
    return good.has(spec.name) && failures > (overtaken(spec.name) >= overtakenAt ? 1 : 0);
  });
  return [
    ...blamed.map(({ host, outcome }) => `${host} has no fault, and is said to: ${outcome}`),
    ...failed.map(({ spec }) => `${spec.name} has no fault, and is counted as failed`),
  ];
}

/** Nothing of any job is left in the farm. */
function leftIn({ hosts, home, queue, races }: Farm): string[] {
  const places = hosts.reduce((sum, host) => sum + host.places.size, 0);
  const left = { places, races: races.size, waiting: queue.size, lanes: queue.lanes.size, here: home.compiles.size };
  return Object.entries(left).flatMap(([what, count]) =>
    count === 0 ? [] : [`${count} ${what} are left in the farm`],
  );
}

/** Nor on the hosts, none of which ever had more than its slots and as many ahead. */
function leftAt({ hosts }: SimulatedFarm): string[] {
  return hosts.flatMap(({ plan, queue, running, links, diary }) => {
    const wrong: string[] = [];
    if (queue.length + running.size > 0) wrong.push(`${plan.name} still has ${queue.length + running.size} jobs`);
    if (links.size > 0) wrong.push(`${plan.name} still has ${links.size} connections`);
    if (diary.mostAtOnce > 2 * plan.slots) wrong.push(`${plan.name} had ${diary.mostAtOnce} jobs at once`);
    return wrong;
  });
}
