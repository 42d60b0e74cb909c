// A worker that a test starts, limits, stops and starts again as it likes.
import { existsSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { dirname } from 'node:path';
import { logEnd, path, startDaemon, type Daemon, type Place } from '../../bench/processes.ts';
import { shoalCommand } from '../../bench/sides/shoal.ts';
import { waitUntil } from '../../bench/wait.ts';

export type WorkerSpec = {
  readonly state: string;
  readonly port: number;
  /** What the worker's command is given to, as in `nice -n 5 COMMAND…`. */
  readonly under?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
};

const patienceMs = 30_000;

/** Resolves when it serves; rejects, with what it said, if it ends before. */
export async function startWorker(place: Place, { state, port, under = [], env }: WorkerSpec): Promise<Daemon> {
  const log = `${state}.log`;
  rmSync(log, { force: true });
  const address = `${place.host.address}:${port}`;
  const argv = shoalCommand('worker', '--listen', address, '--slots', '8', '--state', state, '--insecure');
  const base = { HOME: dirname(state), PATH: `${path}:${dirname(process.execPath)}` };
  const daemon = startDaemon(place, { argv: [...under, ...argv], env: { ...base, ...env }, log, ownRun: true });
  await waitUntil(`the worker of ${address}`, patienceMs, () => {
    if (!daemon.running()) throw new Error(`the worker ended:\n${logEnd(log)}`);
    return /^ready /m.test(readFileSync(log, 'utf8'));
  });
  return daemon;
}

/** Processes below this one, and what they run. */
export function below(pid: number): readonly { readonly pid: number; readonly command: string }[] {
  const parents = new Map<number, number>();
  for (const name of readdirSync('/proc')) {
    const stat = `/proc/${name}/stat`;
    if (!/^\d+$/.test(name) || !existsSync(stat)) continue;
    try {
      parents.set(Number(name), Number(/\) \S (\d+)/.exec(readFileSync(stat, 'latin1'))?.[1]));
    } catch {
      // It ended in the meantime.
    }
  }
  const isBelow = (one: number | undefined): boolean =>
    one !== undefined && (parents.get(one) === pid || isBelow(parents.get(one)));
  return [...parents.keys()].filter(isBelow).flatMap((one) => {
    try {
      return [{ pid: one, command: readFileSync(`/proc/${one}/comm`, 'utf8').trim() }];
    } catch {
      return [];
    }
  });
}

/** The compilers that run on the worker now. */
export function compilersOf({ pid }: Daemon): readonly number[] {
  return below(pid)
    .filter(({ command }) => command === 'cc1')
    .map((one) => one.pid);
}
