// A worker, and builds through it, on this box: as a user starts them, each with its own home.
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const main = fileURLToPath(new URL('../../../dist/shoal/main.js', import.meta.url));
const { PATH = '' } = process.env;

export type Ran = { readonly status: number | null; readonly stdout: string; readonly stderr: string };

export type Env = Readonly<Record<string, string>>;

export type OneBox = {
  /** Its home, where commands run. */
  readonly base: string;
  /** The worker's address. */
  readonly hosts: string;
  /** A launcher's path, whatever the compiler's name; there once a build was run. */
  readonly launcher: (name: string) => string;
  readonly start: (command: readonly string[], env?: Env) => ChildProcess;
  readonly run: (command: readonly string[], env?: Env) => Promise<Ran>;
  readonly shoal: (words: readonly string[], env?: Env) => Promise<Ran>;
  /** The command line of shoal with these words. */
  readonly command: (words: readonly string[]) => readonly string[];
  /** A build by a shell line, and what its summary says. */
  readonly built: (line: string, env?: Env) => Promise<{ readonly ran: Ran; readonly summary: Told }>;
  readonly write: (files: Readonly<Record<string, string>>) => void;
  readonly remove: () => Promise<void>;
};

export type Told = Readonly<
  Record<'files' | 'remote' | 'cached' | 'local' | 'fallbacks' | 'bytesSent' | 'proved', number>
> & {
  readonly reasons: Readonly<Record<string, number>>;
};

export function endOf(child: ChildProcess): Promise<Ran> {
  let stdout = '';
  let stderr = '';
  child.stdout?.on('data', (chunk: Buffer) => (stdout += chunk.toString()));
  child.stderr?.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (status) => resolve({ status, stdout, stderr }));
  });
}

async function addressOf(worker: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = '';
    worker.stdout?.on('data', (chunk: Buffer) => {
      text += chunk.toString();
      const ready = /^ready (\S+)$/m.exec(text);
      if (ready?.[1] !== undefined) resolve(ready[1]);
    });
    worker.once('close', (status) => reject(new Error(`the worker ended with ${status}`)));
  });
}

export async function oneBox(name: string): Promise<OneBox> {
  const base = mkdtempSync(join(tmpdir(), `shoal-${name}-`));
  const home = { PATH, HOME: base, XDG_CACHE_HOME: join(base, 'cache'), XDG_STATE_HOME: join(base, 'state') };
  const words = ['worker', '--listen', '127.0.0.1:0', '--slots', '2', '--state', join(base, 'worker')];
  const worker = spawn(process.execPath, [main, ...words], { stdio: ['ignore', 'pipe', 'inherit'], env: home });
  const hosts = await addressOf(worker);
  const start: OneBox['start'] = ([file = '', ...args], env = {}) =>
    spawn(file, args, { cwd: base, env: { ...home, SHOAL_HOSTS: hosts, ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
  const command: OneBox['command'] = (more) => [process.execPath, main, ...more];
  const run: OneBox['run'] = (argv, env) => endOf(start(argv, env));
  const shoal: OneBox['shoal'] = (more, env) => run(command(more), env);
  const summaryFile = join(base, 'summary.json');
  return {
    base,
    hosts,
    launcher: (compiler) => join(base, 'cache/shoal/bin', compiler),
    start,
    run,
    shoal,
    command,
    built: async (line, env) => {
      rmSync(summaryFile, { force: true });
      const ran = await shoal(['run', '--', 'sh', '-c', line], { SHOAL_SUMMARY: summaryFile, ...env });
      return { ran, summary: JSON.parse(readFileSync(summaryFile, 'utf8')) as Told };
    },
    write: (files) => {
      for (const [path, text] of Object.entries(files)) {
        mkdirSync(dirname(join(base, path)), { recursive: true });
        writeFileSync(join(base, path), text);
      }
    },
    remove: async () => {
      await shoal(['stop']);
      const gone = new Promise((resolve) => worker.once('close', resolve));
      worker.kill('SIGTERM');
      await gone;
      rmSync(base, { recursive: true, force: true });
    },
  };
}

/** A C file that takes some seconds to compile with -O2. */
export function slowSource(functions: number): string {
  const one = (at: number): string =>
    `int f${at}(int a) { int b = a; for (int i = 0; i < a; i++) b += i * ${at}; return b; }`;
  return `${Array.from({ length: functions }, (_, at) => one(at)).join('\n')}\n`;
}

/** The process of the daemon that runs now. */
export async function daemonPid(box: OneBox): Promise<number> {
  const { stdout } = await box.shoal(['status', '--json']);
  return (JSON.parse(stdout) as { readonly pid: number }).pid;
}
