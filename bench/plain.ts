// What the compiler itself costs: the same work as a side's workers do, run plainly, as many at a time, each compile in a
// CPU group that holds nothing else.
//
// For a farm that preprocesses at home that work is the compile of preprocessed text, which is less: distccd compared with
// the whole lines would seem to cost less than nothing.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { CompileLine } from './corpus.ts';
import { makeCpuGroup } from './cpu.ts';

/** What reaches a side's workers: the compile lines as they are, or text that went through the preprocessor. */
export type Input = 'lines' | 'preprocessed';

export type PlainRun = {
  readonly lines: readonly CompileLine[];
  readonly input: Input;
  readonly jobs: number;
  /** For what the compiles leave. */
  readonly scratch: string;
};

// The shell that enters the group counts for nobody until it becomes the compiler.
const enter = 'echo 0 >"$0" && exec "$@"';

/** Prepares a run; what it answers starts it, and resolves to the CPU of all the compiles. */
export async function preparePlain({ lines, input, jobs, scratch }: PlainRun): Promise<() => Promise<number>> {
  const directory = join(scratch, 'plain');
  mkdirSync(directory, { recursive: true });
  const text = (at: number): string => join(directory, `${at}.ii`);
  const compiles = lines.map((line, at) => argumentsFor(line, join(directory, `${at}.o`)));
  const cwd = lines[0]?.directory ?? '.';
  if (input === 'preprocessed') {
    const preprocess = lines.map((line, at) => preprocessOf(line, text(at)));
    await run({ cwd, jobs, before: ['env'], each: preprocess });
  }
  const each = input === 'lines' ? compiles : lines.map((line, at) => compileOfText(line, text(at), directory, at));
  return async () => {
    const group = makeCpuGroup('plain');
    try {
      await run({ cwd, jobs, before: ['/bin/sh', '-c', enter, group.procsFile], each });
      return group.usedMs();
    } finally {
      group.remove();
    }
  };
}

type Many = {
  readonly cwd: string;
  readonly jobs: number;
  readonly before: readonly string[];
  readonly each: readonly (readonly string[])[];
};

async function run({ cwd, jobs, before, each }: Many): Promise<void> {
  const child = spawn('xargs', ['-L1', `-P${jobs}`, ...before], { cwd, stdio: ['pipe', 'ignore', 'inherit'] });
  child.stdin.end(each.map((words) => `${words.join(' ')}\n`).join(''));
  const [status] = (await once(child, 'exit')) as [number | null];
  if (status !== 0) throw new Error('a compile failed that was run plainly');
}

function argumentsFor(line: CompileLine, output: string): readonly string[] {
  return line.arguments.map((word) => (word === line.output ? output : word));
}

function preprocessOf(line: CompileLine, text: string): readonly string[] {
  // Beside -E, -MD would take -o for itself.
  const words = argumentsFor(line, text).filter((word) => word !== '-MD');
  return words.map((word) => (word === '-c' ? '-E' : word));
}

/** As distccd runs it: without what only the preprocessor reads. */
function compileOfText(line: CompileLine, text: string, directory: string, at: number): readonly string[] {
  const words = argumentsFor(line, join(directory, `${at}.o`)).map((word) => (word === line.file ? text : word));
  return words.filter((word) => !/^-(MD$|[ID])/.test(word));
}
