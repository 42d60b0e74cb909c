// Thousands of small programs that include in every way that a preprocessor knows, right and wrong, each compiled at home
// under strace and through a farm: the closure holds all that the compiler looked at, and what is said and left is equal.
//
//   SHOAL_SEED=4711     the first seed; without it, the same ones each time
//   SHOAL_PROGRAMS=50   how many
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import type { CompileLine } from '../../bench/corpus.ts';
import type { Summary } from '../../src/observe/tally.ts';
import type { LineEnd } from '../farm/compile-lines.ts';
import { differences } from '../farm/differences.ts';
import { farmFor, type Farm } from '../farm/farm.ts';
import { shortcomings } from '../includes/coverage.ts';
import { generate } from './generate.ts';
import { closureFinder, type FindsClosure } from './job-closure.ts';
import { keptPrograms } from './kept.ts';
import { layOutProgram, outputs, type Program } from './program.ts';
import { readTraces, tracing } from './traced.ts';

const wanted = Number(process.env['SHOAL_PROGRAMS'] ?? 2000);
const firstSeed = Number(process.env['SHOAL_SEED'] ?? 1);
// A build shares one layer of inputs among its jobs, and here each job brings a tree of its own: no build of a real
// project changes its layer so often. Under strace, the numbers of processes must not come round either.
const perBuild = 250;
const width = 4;
const compileLines = join(import.meta.dirname, '../farm/compile-lines.js');

type Placed = { readonly program: Program; readonly root: string; readonly line: CompileLine };
type Batch = { readonly wrong: readonly string[]; readonly summary: Summary; readonly failed: number };

test(`generated programs from seed ${firstSeed} on compile elsewhere as at home`, async (t) => {
  const farm = await farmFor(t, 1);
  const find = closureFinder(join(farm.directory, 'cache'));
  const programs = [...keptPrograms, ...Array.from({ length: wanted }, (_, at) => generate(firstSeed + at))];
  const batches: Batch[] = [];
  for (let from = 0; from < programs.length; from += perBuild) {
    batches.push(
      await compileBoth(farm, find, { programs: programs.slice(from, from + perBuild), name: `build-${from}` }),
    );
  }
  const sum = (of: (batch: Batch) => number): number => batches.reduce((total, batch) => total + of(batch), 0);
  const travelled = sum(({ summary }) => summary.remote + summary.cached);
  const reasons = batches.map(({ summary }) => JSON.stringify(summary.reasons)).join(' ');
  t.diagnostic(
    `${travelled} of ${programs.length} travelled, ${sum(({ failed }) => failed)} do not compile; the others: ${reasons}`,
  );
  const wrong = batches.flatMap((batch) => batch.wrong);
  if (wrong.length > 0) assert.fail(`${wrong.length} differences:\n${wrong.join('\n')}`);
  assert.ok(travelled >= 0.9 * programs.length, 'nine in ten travel');
  assert.deepEqual(farm.remains(), []);
});

async function compileBoth(
  farm: Farm,
  find: FindsClosure,
  { programs, name }: { readonly programs: readonly Program[]; readonly name: string },
): Promise<Batch> {
  const directory = join(farm.directory, name);
  const placed = programs.map((program, at) => place(directory, program, at));
  const logs = join(directory, 'logs');
  mkdirSync(logs);
  const home = await compile(directory, placed, (argv) =>
    farm.run({ argv: [...tracing(logs), ...argv], cwd: directory }),
  );
  const covered = placed.filter(({ root }) => !isAdvised(home[root]?.stderr ?? ''));
  const uncovered = await shortfalls(find, covered, logs);
  for (const { root } of placed) {
    renameSync(join(root, outputs), `${root}.home`);
    mkdirSync(join(root, outputs));
  }
  const summaryFile = join(farm.directory, 'summary.json');
  const away = await compile(directory, placed, (argv) =>
    farm.shoal(['run', '--', ...argv], { cwd: directory, env: { SHOAL_SUMMARY: summaryFile } }),
  );
  const batch: Batch = {
    wrong: [...uncovered, ...placed.flatMap((one) => differing(one, home, away))],
    summary: JSON.parse(readFileSync(summaryFile, 'utf8')) as Summary,
    failed: Object.values(home).filter(({ status }) => status !== 0).length,
  };
  rmSync(directory, { recursive: true });
  return batch;
}

/** Two levels: a directory of hundreds would be one of hundreds of entries in each job's tree. */
function place(directory: string, program: Program, at: number): Placed {
  const root = join(directory, String(Math.floor(at / 16)), String(at % 16));
  const argv = layOutProgram(root, program);
  const line = { directory: root, file: argv.at(-3) ?? '', arguments: argv, output: root };
  return { program, root, line };
}

type Runs = (argv: readonly string[]) => Promise<{ readonly status: number; readonly output: string }>;

async function compile(directory: string, placed: readonly Placed[], run: Runs): Promise<Record<string, LineEnd>> {
  const list = join(directory, 'list.json');
  const answer = join(directory, 'answer.json');
  writeFileSync(list, JSON.stringify(placed.map(({ line }) => line)));
  const ran = await run([process.execPath, compileLines, list, answer, String(width)]);
  assert.equal(ran.status, 0, ran.output);
  return JSON.parse(readFileSync(answer, 'utf8')) as Record<string, LineEnd>;
}

/** Where clang finds no header it tries other spellings, to advise. Such a failure is looked at again at home in any case. */
function isAdvised(stderr: string): boolean {
  return /file not found, did you mean|file not found with <angled> include/.test(stderr);
}

/** What the compilers looked at that is not in the closure, or is in it and should not. */
async function shortfalls(find: FindsClosure, placed: readonly Placed[], logs: string): Promise<string[]> {
  const roots = placed.map(({ root }) => root);
  const looked = readTraces(logs, roots);
  const wrong: string[] = [];
  for (const { program, root, line } of placed) {
    const seen = looked.get(root);
    const closure = await find(line.arguments, root);
    assert.ok(seen !== undefined && seen.found.size > 0, `${program.name} was not traced`);
    if (closure.kind !== 'closure') continue;
    const found = new Set([...seen.found].filter((path) => !path.startsWith(`${root}/${outputs}/`)));
    wrong.push(...shortcomings(closure, { ...seen, found }, root).map((what) => `${program.name}: ${what}`));
  }
  return wrong;
}

function differing({ program, root }: Placed, home: Record<string, LineEnd>, away: Record<string, LineEnd>): string[] {
  const [expected, found] = [home[root], away[root]];
  const texts = (['status', 'signal', 'stdout', 'stderr'] as const)
    .filter((key) => expected?.[key] !== found?.[key])
    .map((key) => `${key} ${JSON.stringify(found?.[key])}, expected ${JSON.stringify(expected?.[key])}`);
  return [...texts, ...differences(`${root}.home`, join(root, outputs))].map((what) => `${program.name}: ${what}`);
}
