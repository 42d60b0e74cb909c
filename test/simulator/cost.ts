// What a job costs the client in CPU, by the number of hosts. The hosts are simulated in the same process; their part is
// measured apart, and the same builds go to few hosts and to many.
import { mkdtempSync } from 'node:fs';
import { join } from 'node:path';
import { choicesOf } from '../generated/choices.ts';
import { newClient, openSession, runBuild } from './client.ts';
import { readingCompiler } from './compiler.ts';
import { simulatedFarm, type Aside } from './farm.ts';
import type { HostPlan } from './host.ts';
import type { Rig } from './rig.ts';
import { layOutProject, type Project } from './project.ts';
import { drawFrom } from './draw.ts';

const cpuMs = (): number => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
};

/** Keeps the cost of what is aside; of what is aside within it, once. */
function newAside(): { readonly aside: Aside; readonly spentMs: () => number } {
  let depth = 0;
  let spent = 0;
  const aside: Aside = (part) => {
    const before = depth === 0 ? cpuMs() : 0;
    depth += 1;
    try {
      return part();
    } finally {
      depth -= 1;
      if (depth === 0) spent += cpuMs() - before;
    }
  };
  return { aside, spentMs: () => spent };
}

function box(at: number): HostPlan {
  const pace = 0.8 + (at % 5) / 10;
  const line = { latencyMs: 0.3 + (at % 7) / 10, bytesPerMs: 100_000 };
  return { name: `host${at}`, slots: 4, pace: () => pace, ...line, isShoal: true, inlines: true, faults: [] };
}

export type Cost = {
  /** Of the client's own CPU. */
  readonly perJobMs: number;
  /** Of the simulated hosts and lines. */
  readonly asidePerJobMs: number;
};

export type CostRequest = { readonly hosts: number; readonly width: number; readonly project: Project };

export function costProject(directory: string, sources: number): Project {
  const choices = choicesOf(1);
  return layOutProject(directory, { sources, headers: 60, medianMs: 500 }, choices, drawFrom(choices));
}

/** A client with a farm; each call is one build. The first connects, teaches, and warms the process up. */
function buildsOn({ compilers, directory }: Rig, { hosts, width, project }: CostRequest): () => Promise<Cost> {
  const { aside, spentMs } = newAside();
  const plans = Array.from({ length: hosts }, (_, at) => box(at));
  const parts = {
    compiler: readingCompiler(compilers.makeObject),
    toolchain: compilers.toolchain,
    draw: () => 0.5,
    aside,
  };
  const { clock, farm } = simulatedFarm(plans, parts);
  const client = newClient(compilers, clock, mkdtempSync(join(directory, 'cache-')));
  const build = { ...project, width, homePace: 1, killsAfterMs: () => undefined };
  const jobs = project.jobs.length;
  return async () => {
    const before = { all: cpuMs(), aside: spentMs() };
    const session = openSession(client, farm, { mostFallbacks: undefined, resultCache: false });
    const records = await clock.until(runBuild(client, session, build), 3_600_000);
    const asideMs = spentMs() - before.aside;
    const perJobMs = (cpuMs() - before.all - asideMs) / jobs;
    if (!records.every(({ isRight }) => isRight)) throw new Error('a job went wrong');
    return { perJobMs, asidePerJobMs: asideMs / jobs };
  };
}

/** Each of several clients builds in turn, so often; the least of each, since whatever else runs on this box only adds. */
export async function leastCosts(
  rig: Rig,
  { requests, rounds }: { readonly requests: readonly CostRequest[]; readonly rounds: number },
): Promise<Cost[]> {
  const clients = requests.map((request) => buildsOn(rig, request));
  for (const build of clients) await build();
  const least: Cost[] = clients.map(() => ({ perJobMs: Infinity, asidePerJobMs: Infinity }));
  for (let round = 0; round < rounds; round += 1) {
    for (const [at, build] of clients.entries()) {
      const cost = await build();
      if (cost.perJobMs < (least[at]?.perJobMs ?? 0)) least[at] = cost;
    }
  }
  return least;
}
