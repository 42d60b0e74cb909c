// How near to the optimum a build ends, over many farms and builds that a seed makes: hosts of different pace, slots and
// distance, compiles as different as a project's. Each build is done twice: the first time nothing is known, the second
// time what the first one taught.
import { choicesOf, type Choices } from '../generated/choices.ts';
import { between, compileTime, drawFrom, normal, type Draw } from './draw.ts';
import { listedCompiler } from './compiler.ts';
import { simulatedFarm } from './farm.ts';
import type { HostPlan } from './host.ts';
import { build, leastMs, listed, toolchain, type ScheduledJob } from './scheduling.ts';

/** Wall time over the least that any schedule could take. */
export type Share = {
  /** Of these jobs as they came. */
  readonly asTheyCame: number;
  /** Had they all been there from the start. */
  readonly atOnce: number;
};

export type Tail = { readonly seed: number; readonly unknown: Share; readonly known: Share };

const kinds = ['c', 'c++', 'c++ -O'] as const;

function project(choices: Choices, draw: Draw, count: number): ScheduledJob[] {
  const medians = { c: between(draw, 100, 400), 'c++': between(draw, 400, 1500), 'c++ -O': between(draw, 1000, 3000) };
  const common = choices.from(kinds);
  return Array.from({ length: count }, (_, at) => {
    const kind = choices.chance(80) ? common : choices.from(kinds);
    return { key: `${at}.o`, kind, workMs: compileTime(draw, medians[kind]) };
  });
}

/** What each reads goes with what it takes as in real projects: the correlation of the logarithms is 0.8. */
function withSizes(jobs: readonly ScheduledJob[], seed: number): ScheduledJob[] {
  const draw = drawFrom(choicesOf(1_000_000 + seed));
  return jobs.map((job) => ({ ...job, size: (job.workMs / 1000) * Math.exp(0.6 * normal(draw)) }));
}

type Pace = { readonly plan: HostPlan; readonly slots: number; readonly pace: number; readonly latencyMs: number };

function box(choices: Choices, draw: Draw, at: number): Pace {
  const slots = choices.from([2, 4, 4, 8, 8, 12, 16, 32]);
  const pace = between(draw, 0.5, 2);
  const latencyMs = between(draw, 0.1, 10);
  const line = { latencyMs, bytesPerMs: between(draw, 12_500, 125_000) };
  const plan = { name: `host${at}`, slots, pace: () => pace, ...line, isShoal: true, inlines: true, faults: [] };
  return { plan, slots, pace, latencyMs };
}

/** `width`: how many jobs `make` gives at once, from the farm's slots. */
export async function tailOf(seed: number, width: (slots: number) => number): Promise<Tail> {
  const choices = choicesOf(seed);
  const draw = drawFrom(choices);
  const boxes = Array.from({ length: 2 + choices.upTo(10) }, (_, at) => box(choices, draw, at));
  const slots = boxes.reduce((sum, one) => sum + one.slots, 0);
  const jobs = withSizes(project(choices, draw, slots * (8 + choices.upTo(16))), seed);
  const compiler = listedCompiler(listed(jobs));
  const { clock, farm } = simulatedFarm(
    boxes.map(({ plan }) => plan),
    { compiler, toolchain, draw },
  );
  const timed = async (): Promise<Share> => {
    const startedMs = clock.nowMs();
    const arrivals = await clock.until(build(farm, { id: 'build', jobs, width: width(slots) }), 3_600_000);
    const tookMs = clock.nowMs() - startedMs;
    const atOnce = arrivals.map(({ job }) => ({ job, atMs: startedMs }));
    return { asTheyCame: tookMs / leastMs(arrivals, boxes), atOnce: tookMs / leastMs(atOnce, boxes) };
  };
  const unknown = await timed();
  const known = await timed();
  return { seed, unknown, known };
}
