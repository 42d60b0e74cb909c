// The figures of the simulator (test/simulator). How near to the optimum builds end on farms that 200
// seeds make, by how many jobs make gives at once; and what a job costs the client among ten hosts and among a thousand.
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { costProject, leastCosts } from '../test/simulator/cost.ts';
import { openRig } from '../test/simulator/rig.ts';
import { tailOf, type Tail } from '../test/simulator/tail.ts';
import type { PartPlan } from './part.ts';
import { spreadOf, spreadText } from './statistics.ts';

const seeds = 200;
const jobs = 5000;
const atOnce = 200;

const widths: readonly (readonly [name: string, width: (slots: number) => number])[] = [
  ['all jobs at once', () => Infinity],
  ['-j 2 × slots', (slots) => 2 * slots],
  ['-j slots + 1', (slots) => slots + 1],
];

async function tailText([name, width]: (typeof widths)[number]): Promise<string> {
  const tails: Tail[] = [];
  for (let seed = 1; seed <= seeds; seed += 1) tails.push(await tailOf(seed, width));
  const shown = (of: (tail: Tail) => number): string => spreadText(spreadOf(tails.map(of)), 3);
  const above = tails.filter(({ known }) => known.asTheyCame > 1.1).length;
  const worst = tails.toSorted((a, b) => b.known.asTheyCame - a.known.asTheyCame).slice(0, 3);
  return [
    `  ${name}`,
    `    second build, times known   ${shown(({ known }) => known.asTheyCame)}, ${above} of ${seeds} above 1.1, worst seeds ${worst.map(({ seed }) => seed).join(', ')}`,
    `    first build                 ${shown(({ unknown }) => unknown.asTheyCame)}`,
    `    second, had all jobs been there from the start   ${shown(({ known }) => known.atOnce)}`,
  ].join('\n');
}

async function costText(rounds: number): Promise<string> {
  const rig = await openRig();
  try {
    const cwd = join(rig.directory, 'cost');
    mkdirSync(cwd);
    const project = costProject(cwd, jobs);
    const requests = [10, 1000].map((hosts) => ({ hosts, width: atOnce, project }));
    const costs = await leastCosts(rig, { requests, rounds });
    const [few = NaN, many = NaN] = costs.map(({ perJobMs }) => perJobMs);
    const asides = costs.map(({ asidePerJobMs }) => asidePerJobMs.toFixed(3)).join(' and ');
    return `  ${few.toFixed(3)} ms among 10 hosts, ${many.toFixed(3)} ms among 1000: ${(many / few).toFixed(2)} times (goal 1.2); the simulated hosts' own ${asides} ms apart`;
  } finally {
    rig.close();
  }
}

export async function measureSimulator({ rounds, tell }: PartPlan): Promise<string> {
  const lines = [
    `wall time over the least of any schedule of the jobs as they came, ${seeds} seeds, median (min–max), goal 1.1:`,
  ];
  for (const width of widths) {
    tell(`simulator: ${width[0]}`);
    lines.push(await tailText(width));
  }
  tell('simulator: client CPU');
  lines.push(
    '',
    `client CPU for each of ${jobs} jobs, ${atOnce} at once, the least of ${rounds} builds:`,
    await costText(rounds),
  );
  return lines.join('\n');
}
