// Thousands of small programs that include in every way that a preprocessor knows, right and wrong, each compiled at home
// under strace and through a farm: the closure holds all that the compiler looked at, and what is said and left is equal.
//
//   SHOAL_SEED=4711     the first seed; without it, another one each time
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
import { closureFinder } from './job-closure.ts';
import { keptPrograms } from './kept.ts';
import { layOutProgram, outputs, type Program } from './program.ts';
import { readTraces, tracing } from './traced.ts';

const wanted = Number(process.env['SHOAL_PROGRAMS'] ?? 2000);
const firstSeed = Number(process.env['SHOAL_SEED'] ?? Math.floor(Math.random() * 1e9));
// Of one run under strace: the numbers of processes must not come round.
const mostTraced = 500;
const width = 4;
const compileLines = join(import.meta.dirname, '../farm/compile-lines.js');

type Placed = { readonly program: Program; readonly root: string; readonly line: CompileLine };

test(`generated programs from seed ${firstSeed} on compile elsewhere as at home`, async (t) => {
  const farm = await farmFor(t, 1);
  const programs = [...keptPrograms, ...Array.from({ length: wanted }, (_, at) => generate(firstSeed + at))];
  const placed = programs.map((program, at) => place(join(farm.directory, 'programs'), program, at));
  const wrong: string[] = [];

  const home: Record<string, LineEnd> = {};
  for (let from = 0; from < placed.length; from += mostTraced) {
    const some = placed.slice(from, from + mostTraced);
    const logs = join(farm.directory, `logs-${from}`);
    mkdirSync(logs);
    Object.assign(home, await compile(farm, some, (argv) => farm.run({ argv: [...tracing(logs), ...argv], cwd: '/' })));
    wrong.push(...(await uncovered(farm, some, logs)));
    rmSync(logs, { recursive: true });
  }
  for (const { root } of placed) {
    renameSync(join(root, outputs), `${root}.home`);
    mkdirSync(join(root, outputs));
  }

  const summaryFile = join(farm.directory, 'summary.json');
  const away = await compile(farm, placed, (argv) => {
    return farm.shoal(['run', '--', ...argv], { cwd: '/', env: { SHOAL_SUMMARY: summaryFile } });
  });
  for (const one of placed) wrong.push(...differing(one, home, away));

  const summary = JSON.parse(readFileSync(summaryFile, 'utf8')) as Summary;
  const travelled = summary.remote + summary.cached;
  const failed = Object.values(home).filter(({ status }) => status !== 0).length;
  t.diagnostic(
    `${travelled} of ${summary.files} travelled, ${failed} do not compile; ${JSON.stringify(summary.reasons)}`,
  );
  if (wrong.length > 0) assert.fail(`${wrong.length} differences:\n${wrong.join('\n')}`);
  assert.ok(travelled >= 0.9 * placed.length, 'nine in ten travel');
  assert.deepEqual(farm.remains(), []);
});

/** Two levels: a directory of thousands would be one of thousands of entries in each job's tree. */
function place(directory: string, program: Program, at: number): Placed {
  const root = join(directory, String(Math.floor(at / 40)), String(at % 40));
  const argv = layOutProgram(root, program);
  const line = { directory: root, file: argv.at(-3) ?? '', arguments: argv, output: root };
  return { program, root, line };
}

type Runs = (argv: readonly string[]) => Promise<{ readonly status: number; readonly output: string }>;

async function compile(farm: Farm, placed: readonly Placed[], run: Runs): Promise<Record<string, LineEnd>> {
  const list = join(farm.directory, 'list.json');
  const answer = join(farm.directory, 'answer.json');
  writeFileSync(list, JSON.stringify(placed.map(({ line }) => line)));
  const ran = await run([process.execPath, compileLines, list, answer, String(width)]);
  assert.equal(ran.status, 0, ran.output);
  return JSON.parse(readFileSync(answer, 'utf8')) as Record<string, LineEnd>;
}

/** What the compilers looked at that is not in the closure, or is in it and should not. */
async function uncovered(farm: Farm, placed: readonly Placed[], logs: string): Promise<string[]> {
  const looked = readTraces(
    logs,
    placed.map(({ root }) => root),
  );
  const find = closureFinder(join(farm.directory, 'cache'));
  const wrong: string[] = [];
  for (const { program, root, line } of placed) {
    const seen = looked.get(root);
    const closure = await find(line.arguments, root);
    assert.ok(seen !== undefined && seen.found.size > 0, `${program.name} was not traced`);
    if (closure.kind !== 'closure') continue;
    const inputs = {
      ...seen,
      found: new Set([...seen.found].filter((path) => !path.startsWith(`${root}/${outputs}/`))),
    };
    wrong.push(...shortcomings(closure, inputs, root).map((what) => `${program.name}: ${what}`));
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
