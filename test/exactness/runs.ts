// Runs of the matrix: the compiler itself, or something in its place, in the same directories.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { FamilyCase, Outcome } from './case.ts';
import { outcomeDifferences } from './compare.ts';

export type Outcomes = Readonly<Record<string, Outcome>>;

const program = join(import.meta.dirname, 'run-cases.js');

export type Run = { readonly argv: readonly string[]; readonly read: () => Outcomes };

/** The command that runs the cases under `directory`, and what reads its answer. */
export function prepareRun(
  directory: string,
  cases: readonly FamilyCase[],
  how: { readonly width: number; readonly sessions?: boolean },
): Run {
  mkdirSync(directory, { recursive: true });
  const list = join(directory, 'cases.json');
  const answer = join(directory, 'answer.json');
  writeFileSync(list, JSON.stringify(cases));
  const argv = [process.execPath, program, list, answer, join(directory, 'work'), String(how.width)];
  if (how.sessions === true) argv.push('sessions');
  return { argv, read: () => JSON.parse(readFileSync(answer, 'utf8')) as Outcomes };
}

/** A line for whatever is not as at home. */
export function differing(cases: readonly FamilyCase[], home: Outcomes, away: Outcomes): string[] {
  return cases.flatMap(({ name, varying }) => {
    const [expected, got] = [home[name], away[name]];
    if (expected === undefined || got === undefined) return [`${name}: did not run`];
    return outcomeDifferences(expected, got, varying).map((line) => `${name}: ${line}`);
  });
}
