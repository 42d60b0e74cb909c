// Starting the processes of a side: in its host's network, in its CPU group, with an environment that holds nothing of the
// caller's but what is named here.
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readFileSync } from 'node:fs';
import type { CpuGroup } from './cpu.ts';
import { inHost, type Host } from './hosts.ts';

export type Place = {
  readonly host: Host;
  readonly group: CpuGroup;
  /** How much longer than recorded the compiler that plays back takes here; 1 where it is not said. */
  readonly slowness?: number;
};

export type Task = {
  readonly argv: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** Where standard output and error go. */
  readonly log: string;
  /** True: it sees an empty /run, so that it meets no daemon of the same user from outside the bench. */
  readonly ownRun?: boolean;
};

export type Ended = { readonly status: number; readonly wallMs: number };

export type Daemon = {
  readonly pid: number;
  readonly running: () => boolean;
  /** SIGTERM, and SIGKILL after a while; resolves when it is gone. */
  readonly stop: () => Promise<void>;
};

const stopPatienceMs = 5000;

export const path = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** Runs a command to its end. Every side's clock starts and stops here. */
export async function run(place: Place, task: Task): Promise<Ended> {
  const startMs = performance.now();
  const child = start(place, task);
  const [code, signal] = (await once(child, 'exit')) as [number | null, string | null];
  return { status: code ?? (signal === null ? 1 : 128), wallMs: performance.now() - startMs };
}

/** As `run`, and throws with the end of the log unless the command ends with status 0. */
export async function mustRun(place: Place, task: Task): Promise<Ended> {
  const ended = await run(place, task);
  if (ended.status !== 0) throw new Error(`${task.argv.join(' ')}: status ${ended.status}\n${logEnd(task.log)}`);
  return ended;
}

export function startDaemon(place: Place, task: Task): Daemon {
  const child = start(place, task);
  const running = (): boolean => child.exitCode === null && child.signalCode === null;
  const stop = async (): Promise<void> => {
    if (!running()) return;
    const gone = once(child, 'exit');
    child.kill('SIGTERM');
    const impatient = setTimeout(() => child.kill('SIGKILL'), stopPatienceMs);
    await gone;
    clearTimeout(impatient);
  };
  if (child.pid === undefined) throw new Error(`${task.argv[0]}: did not start`);
  return { pid: child.pid, running, stop };
}

export function logEnd(log: string): string {
  return readFileSync(log, 'utf8').split('\n').slice(-15).join('\n');
}

// The shell enters the group before it becomes the command: what it costs until then (about 1 ms) counts for nobody.
const enter = 'echo 0 >"$1" && shift && exec "$@"';

const freshRun = 'mount -t tmpfs -o mode=755 shoalb /run && mkdir -m 700 /run/user "/run/user/$(id -u)" && exec "$@"';

function start({ host, group, slowness = 1 }: Place, task: Task): ChildProcess {
  const log = openSync(task.log, 'a');
  const argv = task.ownRun === true ? ['unshare', '--mount', '/bin/sh', '-c', freshRun, 'sh', ...task.argv] : task.argv;
  // As bench/programs/replay.c reads it.
  const paced = slowness === 1 ? argv : ['prlimit', `--locks=${slowness * 1000}`, '--', ...argv];
  const child = spawn('/bin/sh', ['-c', enter, 'sh', group.procsFile, ...inHost(host, paced)], {
    stdio: ['ignore', log, log],
    env: { PATH: path, LANG: 'C.UTF-8', ...task.env },
    ...(task.cwd === undefined ? {} : { cwd: task.cwd }),
  });
  closeSync(log);
  return child;
}
