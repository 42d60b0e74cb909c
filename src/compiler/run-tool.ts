// Questions to a compiler or to ldd: no shell, a small environment, bounded time and output.
import { execFile } from 'node:child_process';

export type ToolAnswer = { readonly stdout: string; readonly stderr: string; readonly succeeded: boolean };

// A compiler answers in 20 ms; one on a sleeping disk or a network mount may take seconds.
const patienceMs = 20_000;
const maxOutputBytes = 32 * 1024 * 1024;

export type ToolEnvironment = {
  readonly pathEnv: string;
  readonly libraryPath?: string;
  readonly home?: string;
  readonly cwd?: string;
};

/** Runs `program` with stdin at /dev/null in the C locale. Never throws: what cannot run has not succeeded. */
export function runTool(
  program: string,
  args: readonly string[],
  { pathEnv, libraryPath, home, cwd = '/' }: ToolEnvironment,
): Promise<ToolAnswer> {
  const library = libraryPath === undefined ? {} : { LD_LIBRARY_PATH: libraryPath };
  const env = { PATH: pathEnv, LC_ALL: 'C', ...library, ...(home === undefined ? {} : { HOME: home }) };
  const options = { env, cwd, timeout: patienceMs, maxBuffer: maxOutputBytes, encoding: 'utf8' } as const;
  return new Promise((resolve) => {
    const child = execFile(program, args, options, (error, stdout, stderr) => {
      resolve({ stdout, stderr, succeeded: error === null });
    });
    child.stdin?.end();
  });
}
