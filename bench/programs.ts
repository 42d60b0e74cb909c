// The bench's own small programs: static, so that they cost next to nothing to start. Made anew in each run.
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';

type ProgramName = 'delay-link' | 'drive' | 'replay' | 'sleeper';

/** Compiles a program into `directory`, with macros defined as texts, and gives its path. */
export function makeProgram(
  name: ProgramName,
  directory: string,
  texts: Readonly<Record<string, string>> = {},
): string {
  const program = join(directory, name);
  const defines = Object.entries(texts).map(([macro, text]) => `-D${macro}=${JSON.stringify(text)}`);
  const source = join(process.cwd(), 'bench/programs', `${name}.c`);
  execFileSync('gcc', ['-O2', '-Wall', '-Werror', '-static', ...defines, '-o', program, source], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  return program;
}
