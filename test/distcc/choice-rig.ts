// Stock distcc and stock distccd, to see how the client chooses: hosts are addresses of the loopback network, and compiles
// end when the test says so.
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { userIds } from '../../bench/sides/listening.ts';
import { waitUntil } from '../../bench/wait.ts';

// Compiles wait for the file GATE, and preprocesses for the file CPP_GATE, where there is such a variable. They fail while
// there is the file BROKEN.
const gatedCompiler = `#!/bin/sh
gate=$GATE
case " $* " in *" -E "*) gate=$CPP_GATE ;; esac
while [ -n "$gate" ] && [ ! -e "$gate" ]; do sleep 0.02; done
if [ -n "$BROKEN" ] && [ -e "$BROKEN" ]; then echo broken >&2; exit 1; fi
exec gcc "$@"
`;

const patienceMs = 30_000;

export type Ended = { readonly status: number | null; readonly stderr: string; readonly log: string };

export type Client = {
  /** What it has said so far. */
  readonly log: () => string;
  readonly ended: Promise<Ended>;
  readonly pid: number;
};

export type Rig = {
  readonly directory: string;
  /** Starts a stock distccd at 127.0.0.N. */
  readonly serve: (n: number, ...args: string[]) => Promise<void>;
  readonly endServer: (n: number) => Promise<void>;
  /** What the server at 127.0.0.N has logged. */
  readonly serverLog: (n: number) => string;
  /** `distcc` with these words; HOSTS is DISTCC_HOSTS. */
  readonly distcc: (hosts: string | undefined, words: readonly string[], env?: NodeJS.ProcessEnv) => Client;
  /** Compiles of this run's source number N, by the gated compiler. */
  readonly compile: (hosts: string, n: number, env?: NodeJS.ProcessEnv) => Client;
  /** Servers' compiles go on. */
  readonly open: () => void;
  /** Servers' compilers fail. */
  readonly breakServers: () => void;
  /** A gate for preprocessing, to be given as CPP_GATE or GATE to a client. */
  readonly gate: (name: string) => { readonly path: string; readonly open: () => void };
  readonly lockFiles: (directory?: string) => readonly string[];
  readonly home: string;
};

export function hostOf(n: number): string {
  return `127.0.0.${n}`;
}

/** In the order of time, which hosts' slots a client had. */
export function slotsOf(log: string): readonly string[] {
  return [...log.matchAll(/got cpu lock on (\S+) slot (\d+)/g)].map(([, host, slot]) => `${host} ${slot}`);
}

/** Where it compiled, or tried to. */
export function placesOf(log: string): readonly string[] {
  return [...log.matchAll(/ exec on (\S+):/g)].map(([, host = '']) => host.replace(/[/,].*/, ''));
}

function textOf(path: string): string {
  return existsSync(path) ? readFileSync(path, 'utf8') : '';
}

export async function withRig(body: (rig: Rig) => Promise<void>): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'shoal-choice-'));
  chmodSync(directory, 0o755);
  const inside = (...parts: readonly string[]): string => join(directory, ...parts);
  for (const name of ['bin', 'work', 'home', 'distcc']) mkdirSync(inside(name));
  writeFileSync(inside('bin/gated'), gatedCompiler, { mode: 0o755 });
  const gatePath = inside('gate');
  const path = `${inside('bin')}:/usr/bin:/bin`;
  const servers = new Map<number, ChildProcess>();
  const clients: ChildProcess[] = [];
  let count = 0;

  const serverLog: Rig['serverLog'] = (n) => textOf(inside(`server${n}`));
  const serve: Rig['serve'] = async (n, ...args) => {
    const log = inside(`server${n}`);
    writeFileSync(log, '');
    const { uid, gid } = userIds('distccd');
    chownSync(log, uid, gid);
    const usual = ['--daemon', '--no-detach', '--listen', hostOf(n), '--allow', '127.0.0.0/8', '--user', 'distccd'];
    const argv = [...usual, '--log-file', log, '--verbose', '--enable-tcp-insecure', '--jobs', '20', ...args];
    const env = { PATH: path, DISTCCD_PATH: path, GATE: gatePath, BROKEN: inside('broken') };
    servers.set(n, spawn('distccd', argv, { env, stdio: 'ignore' }));
    await waitUntil(`distccd ${n} serves`, patienceMs, () => serverLog(n).includes('listening on'));
  };
  const endServer: Rig['endServer'] = async (n) => {
    const child = servers.get(n);
    servers.delete(n);
    if (child === undefined) return;
    const closed = once(child, 'close');
    child.kill('SIGTERM');
    await closed;
  };
  const distcc: Rig['distcc'] = (hosts, words, env = {}) => {
    const log = inside(`client${(count += 1)}`);
    const child = spawn('distcc', words, {
      cwd: inside('work'),
      env: {
        PATH: path,
        HOME: inside('home'),
        DISTCC_DIR: inside('distcc'),
        DISTCC_VERBOSE: '1',
        DISTCC_LOG: log,
        LC_ALL: 'C',
        ...(hosts !== undefined && { DISTCC_HOSTS: hosts }),
        ...env,
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    clients.push(child);
    let stderr = '';
    child.stderr.on('data', (piece) => (stderr += String(piece)));
    let stdout = '';
    child.stdout.on('data', (piece) => (stdout += String(piece)));
    const ended = once(child, 'close').then(([status]) => ({
      status: status as number | null,
      stderr: stderr + stdout,
      log: textOf(log),
    }));
    return { log: () => textOf(log), ended, pid: child.pid ?? 0 };
  };
  const compile: Rig['compile'] = (hosts, n, env) => {
    writeFileSync(inside('work', `${n}.c`), `int f${n};\n`);
    return distcc(hosts, ['gated', '-c', `${n}.c`], env);
  };
  const gate: Rig['gate'] = (name) => ({ path: inside(name), open: () => writeFileSync(inside(name), '') });
  try {
    await body({
      directory,
      serve,
      endServer,
      serverLog,
      distcc,
      compile,
      open: () => writeFileSync(gatePath, ''),
      breakServers: () => writeFileSync(inside('broken'), ''),
      gate,
      lockFiles: (of = inside('distcc')) =>
        existsSync(join(of, 'lock')) ? readdirSync(join(of, 'lock')).toSorted() : [],
      home: inside('home'),
    });
  } finally {
    writeFileSync(gatePath, '');
    for (const child of clients) child.kill('SIGKILL');
    for (const n of servers.keys()) await endServer(n);
    rmSync(directory, { recursive: true, force: true });
  }
}

/** Waits until each has a slot somewhere else than for preprocessing, one after the other so that their order is known. */
export async function startInTurn(starts: readonly (() => Client)[]): Promise<readonly Client[]> {
  const clients: Client[] = [];
  for (const start of starts) {
    const client = start();
    clients.push(client);
    const settled = (): boolean => /finished sending request|nothing available|exec on localhost/.test(client.log());
    await waitUntil('it has a place or waits', patienceMs, settled);
  }
  return clients;
}
