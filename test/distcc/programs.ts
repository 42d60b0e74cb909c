// distccd, ours and Debian's, and Debian's distcc, as processes.
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { chownSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { userIds } from '../../bench/sides/listening.ts';
import { waitUntil } from '../../bench/wait.ts';

export const ourDistccd = fileURLToPath(new URL('../../../bin/distccd.js', import.meta.url));

const patienceMs = 60_000;

export type Daemon = {
  readonly port: number;
  readonly pid: number;
  readonly log: () => string;
  /** Asks for the end; gives the status, or the signal that it took. */
  readonly stop: () => Promise<number | string>;
};

function stopped(child: ChildProcess): () => Promise<number | string> {
  const closed = once(child, 'close').then(([code, signal]) => (code ?? signal) as number | string);
  return () => {
    child.kill('SIGTERM');
    return closed;
  };
}

export type Started = {
  readonly directory: string;
  readonly program?: string;
  readonly args?: readonly string[];
  readonly env?: NodeJS.ProcessEnv;
};

/** What every distccd here is told. */
const usual = ['--daemon', '--no-detach', '--listen', '127.0.0.1', '--nice', '0'];

function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

export async function startOurs({ directory, program = ourDistccd, args = [], env = {} }: Started): Promise<Daemon> {
  const log = join(directory, 'log');
  const argv = [program, ...usual, '--port', '0', '--log-file', log, '--verbose', '--state', join(directory, 'state')];
  const child = spawn(process.execPath, [...argv, ...args], {
    env: { ...process.env, HOME: directory, ...env },
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  const stop = stopped(child);
  const serves = /serves distcc's clients on .*:(\d+)$/m;
  await waitUntil('distccd serves', patienceMs, () => serves.test(textOf(log)) || child.exitCode !== null);
  const port = Number(serves.exec(textOf(log))?.[1]);
  return { port, pid: child.pid ?? 0, log: () => textOf(log), stop };
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  return typeof address === 'object' && address !== null ? address.port : 0;
}

export async function startStock({ directory, args = [], env = {} }: Started): Promise<Daemon> {
  const port = await freePort();
  const state = join(directory, 'stock');
  const log = join(state, 'log');
  mkdirSync(state);
  writeFileSync(log, '');
  const { uid, gid } = userIds('distccd');
  for (const path of [state, log]) chownSync(path, uid, gid);
  const argv = [
    ...usual,
    '--port',
    String(port),
    '--allow',
    '127.0.0.1',
    '--user',
    'distccd',
    '--log-file',
    log,
    '--verbose',
    ...args,
  ];
  const child = spawn('distccd', argv, { env: { ...process.env, TMPDIR: state, ...env }, stdio: 'ignore' });
  await waitUntil('stock distccd serves', patienceMs, () => /listening on/.test(textOf(log)));
  return { port, pid: child.pid ?? 0, log: () => textOf(log), stop: stopped(child) };
}

export type Compile = {
  readonly cwd: string;
  /** For the server: what stands behind the port. */
  readonly hosts: string;
  readonly argv: readonly string[];
  readonly env?: NodeJS.ProcessEnv;
};

export type Compiled = { readonly status: number | null; readonly stdout: string; readonly stderr: string };

/** Without distcc's own messages, and with nothing compiled here in place of there, unless `env` says otherwise. */
export function distccEnv({ cwd, hosts, env }: Omit<Compile, 'argv'>): NodeJS.ProcessEnv {
  const directory = join(cwd, '.distcc');
  mkdirSync(directory, { recursive: true });
  return {
    PATH: '/usr/bin:/bin',
    HOME: cwd,
    DISTCC_DIR: directory,
    DISTCC_HOSTS: hosts,
    DISTCC_FALLBACK: '0',
    DISTCC_SKIP_LOCAL_RETRY: '1',
    DISTCC_BACKOFF_PERIOD: '0',
    DISTCC_LOG: join(directory, 'log'),
    ...env,
  };
}

export function runDistcc(compile: Compile): Compiled {
  const { status, stdout, stderr } = spawnSync('distcc', compile.argv, {
    cwd: compile.cwd,
    env: distccEnv(compile),
    encoding: 'utf8',
    timeout: patienceMs,
  });
  return { status, stdout, stderr };
}

/** As `runDistcc`, while this process goes on. */
export async function spawnDistcc(compile: Compile): Promise<Compiled> {
  const child = spawn('distcc', compile.argv, {
    cwd: compile.cwd,
    env: distccEnv(compile),
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const texts = { stdout: '', stderr: '' };
  child.stdout.on('data', (piece) => (texts.stdout += String(piece)));
  child.stderr.on('data', (piece) => (texts.stderr += String(piece)));
  const [status] = (await once(child, 'close')) as [number | null];
  return { status, ...texts };
}
