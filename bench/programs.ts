// The bench's own small programs: static, so that they cost next to nothing to start. Made anew in each run.
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';

export type ProgramName = 'drive' | 'sleeper';

/** Compiles a program into `directory` and gives its path. */
export function makeProgram(name: ProgramName, directory: string): string {
  const program = join(directory, name);
  const source = join(process.cwd(), 'bench/programs', `${name}.c`);
  execFileSync('gcc', ['-O2', '-Wall', '-Werror', '-static', '-o', program, source], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  return program;
}
