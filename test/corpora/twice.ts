// A project built twice in the same directory, by the compiler alone and through the farm, and what differs: every file
// that the builds made, what they said, line by line, and how they ended.
import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { reasonOf, type ReasonId } from '../../src/observe/reasons.ts';
import type { Summary } from '../../src/observe/tally.ts';
import type { Farm, Outcome } from '../farm/farm.ts';
import { everythingIn, moveOutputs, outputDifferences, outputsOf, removeNew } from './outputs.ts';
import type { Compiler, Recipe, Step } from './recipes.ts';
import { linesOf, lineDifferences, readingFor } from './varying.ts';

export type Counts = Pick<Summary, 'files' | 'remote' | 'local' | 'reasons'>;

export type Compared = {
  readonly counts: Counts;
  readonly status: number;
  /** Files that the builds made, and lines that they wrote. */
  readonly outputs: number;
  readonly lines: number;
  readonly differences: readonly string[];
  readonly logErrors: readonly string[];
  readonly homeMs: number;
  readonly farmMs: number;
};

type Built = Outcome & { readonly names: readonly string[] };

/** Builds in `tree`, which holds fresh sources before and after if it is there. */
export async function buildTwice(farm: Farm, tree: string, recipe: Recipe, compiler: Compiler): Promise<Compared> {
  const keep = process.env['SHOAL_CORPORA_KEEP'] ?? farm.directory;
  const kept = { home: join(keep, 'at-home'), away: join(keep, 'through-the-farm') };
  for (const directory of Object.values(kept)) rmSync(directory, { recursive: true, force: true });
  const env = { CC: compiler.cc, CXX: compiler.cxx };
  const steps = recipe.steps(compiler);
  if (!existsSync(tree)) recipe.source(tree);
  const sources = everythingIn(tree);
  const tidy = (names: readonly string[], to: string): void => {
    moveOutputs(tree, names, to);
    removeNew(tree, sources);
    if (!names.some((name) => sources.has(name))) return;
    // A build that writes over its sources (zlib's) needs them anew.
    rmSync(tree, { recursive: true });
    recipe.source(tree);
  };

  const home = await build(tree, steps, (step) => farm.run({ argv: step.argv, cwd: tree, env }));
  tidy(home.names, kept.home);
  const counts: Counts[] = [];
  const through = recipe.by === 'launcher' ? launcherBuild : sessionBuild;
  const away = await build(tree, steps, through({ farm, tree, env, counts }));
  if (recipe.by === 'launcher') counts.push(await launcherCounts(farm, tree));
  tidy(away.names, kept.away);

  const names = [...new Set([...home.names, ...away.names])].toSorted();
  const reading = readingFor(farm);
  const differences = [
    ...(home.status === away.status ? [] : [`status ${away.status}, expected ${home.status}`]),
    ...lineDifferences(farm, home.output, away.output),
    ...outputDifferences(kept.home, kept.away, names, reading),
  ];
  return {
    counts: sum(counts),
    status: home.status,
    outputs: home.names.length,
    lines: linesOf(farm, home.output).length,
    differences: [...differences, ...farm.remains().map((line) => `remains: ${line}`)],
    logErrors: logErrors(farm),
    homeMs: home.wallMs,
    farmMs: away.wallMs,
  };
}

/** Runs the steps to the first that fails. */
async function build(
  tree: string,
  steps: readonly Step[],
  run: (step: Step, at: number) => Promise<Outcome>,
): Promise<Built> {
  // What was unpacked or moved until now is older than the build by more than a tick of the file system's clock.
  await wait(50);
  const sinceMs = Date.now() - 20;
  const ends: Outcome[] = [];
  for (const [at, step] of steps.entries()) {
    const end = await run(step, at);
    ends.push(end);
    if (end.status !== 0) break;
  }
  return {
    status: ends.at(-1)?.status ?? 0,
    wallMs: ends.reduce((total, { wallMs }) => total + wallMs, 0),
    output: ends.map(({ output }) => output).join(''),
    names: outputsOf(tree, sinceMs),
  };
}

type Through = {
  readonly farm: Farm;
  readonly tree: string;
  readonly env: Readonly<Record<string, string>>;
  readonly counts: Counts[];
};

type RunStep = (step: Step, at: number) => Promise<Outcome>;

/** `shoal make …` and `shoal run -- …`, strict; takes the summary out of what they say. */
function sessionBuild({ farm, tree, env, counts }: Through): RunStep {
  return async ({ argv, plain }, at) => {
    if (plain === true) return farm.run({ argv, cwd: tree, env });
    const summary = join(farm.directory, `summary-${at}.json`);
    const settings = { SHOAL_STRICT: '1', SHOAL_RESULT_CACHE: 'off', SHOAL_SUMMARY: summary };
    const command = argv[0] === 'make' ? argv : ['run', '--', ...argv];
    const { output, ...end } = await farm.shoal(command, { cwd: tree, env: { ...env, ...settings } });
    counts.push(JSON.parse(readFileSync(summary, 'utf8')) as Summary);
    return { ...end, output: output.slice(0, output.lastIndexOf('shoal: ')) };
  };
}

/** Nothing but `shoal` on PATH and CMake told of it. */
function launcherBuild({ farm, tree, env }: Through): RunStep {
  const launcher = { CMAKE_C_COMPILER_LAUNCHER: 'shoal', CMAKE_CXX_COMPILER_LAUNCHER: 'shoal' };
  const settings = { SHOAL_STRICT: '1', SHOAL_RESULT_CACHE: 'off' };
  return async ({ argv }, at) => {
    // The launcher is there after the first `shoal run`.
    if (at === 0) await farm.shoal(['run', '--', 'true'], { cwd: tree });
    const path = ['/bin/sh', '-c', 'PATH=$PATH:$0 exec "$@"', farm.names, ...argv];
    return farm.run({ argv: path, cwd: tree, env: { ...env, ...launcher, ...settings } });
  };
}

async function launcherCounts(farm: Farm, tree: string): Promise<Counts> {
  const { output } = await farm.shoal(['status', '--json'], { cwd: tree });
  await farm.shoal(['stop'], { cwd: tree });
  const { remote, local } = (JSON.parse(output) as { readonly totals: Counts }).totals;
  return { files: remote + local, remote, local, reasons: {} };
}

function sum(all: readonly Counts[]): Counts {
  const total = (field: 'files' | 'remote' | 'local'): number => all.reduce((sum, counts) => sum + counts[field], 0);
  const reasons: Record<string, number> = {};
  for (const { reasons: some } of all) {
    for (const [id, count] of Object.entries(some)) reasons[id] = (reasons[id] ?? 0) + count;
  }
  return { files: total('files'), remote: total('remote'), local: total('local'), reasons };
}

/** Why translation units stayed here, without the probes and links, which are none. */
export function stayed({ reasons }: Counts): readonly (readonly [id: string, count: number])[] {
  return Object.entries(reasons).filter(([id]) => reasonOf(id as ReasonId).probe !== true);
}

// What a worker says when all is well.
const usual = /^(?:ready \S+|shoal: toolchain [0-9a-f]{12}: .*)$/;

function logErrors({ directory }: Farm): string[] {
  const logs = readdirSync(directory)
    .filter((name) => /^worker-\d+\.log$/.test(name))
    .map((name) => join(directory, name));
  const lines = (file: string): string[] => readFileSync(file, 'utf8').split('\n').filter(Boolean);
  const daemonLog = join(directory, '.local/state/shoal/daemon.log');
  return [
    ...logs.flatMap(lines).filter((line) => !usual.test(line)),
    ...(existsSync(daemonLog) ? lines(daemonLog) : []),
  ];
}
