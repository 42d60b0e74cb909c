// What a front serves to distcc's clients, as its keeper's settings say it: they are data, for they come over a command line.
import { encodeLogLine, levels, type LogLine } from '../distcc/log-lines.ts';
import type { DistccServer, Listening } from '../distcc/server.ts';
import { readCommandList } from '../worker/distcc/commands.ts';
import { distccService, type DistccServiceOptions } from '../worker/distcc/service.ts';
import type { HeldPlaces } from '../worker/keeper/keeper.ts';
import { searchPath, type localCompilers } from '../worker/local-compilers.ts';
import type { WorkerOptions } from '../worker/worker.ts';

type OfService = Pick<DistccServiceOptions, 'allow' | 'list' | 'lifetimeMs' | 'idleMs' | 'sysroot' | 'auth'>;

export type DistccSettings = OfService & {
  /** Where compilers are looked for, if not where this worker does. */
  readonly pathEnv?: string | undefined;
  /** The last address is that of the page of counters. */
  readonly hasStats: boolean;
  /** `lines`: all, each after its level, for a keeper that has a log of its own. */
  readonly log: 'warnings' | 'lines';
  /** Ends this process when it had no connection for so long. */
  readonly endsAfterMs?: number | undefined;
};

const idleRoundMs = 1000;

function logOf(how: DistccSettings['log']): (line: LogLine) => void {
  if (how === 'lines') return (line) => void process.stderr.write(encodeLogLine(line));
  return ({ level, text }) => {
    if (levels[level] <= levels.warning) process.stderr.write(`shoal: distcc: ${text}\n`);
  };
}

function endWhenIdle({ connections }: DistccServer, idleMs: number): void {
  let idleSince = performance.now();
  const round = setInterval(() => {
    if (connections() > 0) idleSince = performance.now();
    if (performance.now() - idleSince < idleMs) return;
    clearInterval(round);
    process.kill(process.pid, 'SIGTERM');
  }, idleRoundMs).unref();
}

export type BesideGiven = HeldPlaces & { readonly firstFd: number; readonly path: string | undefined };

export function besideOf(
  { hasStats, log, endsAfterMs, pathEnv, ...settings }: DistccSettings,
  { listen, sockets, firstFd, path }: BesideGiven,
): NonNullable<WorkerOptions['beside']> {
  const inherited: Extract<Listening, { kind: 'inherited' }>[] = [];
  const stats: { readonly fd: number }[] = [];
  let fd = firstFd;
  for (const [index, count] of sockets.entries()) {
    const isStats = hasStats && index === listen.length - 1;
    for (const end = fd + count; fd < end; fd += 1) {
      if (isStats) stats.push({ fd });
      else inherited.push({ kind: 'inherited', at: index < listen.length ? 'network' : 'unix', fd });
    }
  }
  return distccService({
    ...settings,
    listeners: inherited,
    pathEnv: pathEnv ?? searchPath(path),
    stats,
    env: process.env,
    log: logOf(log),
    onReady: (server) => (endsAfterMs === undefined ? undefined : endWhenIdle(server, endsAfterMs)),
  });
}

type Compilers = ReturnType<typeof localCompilers>;

/** Commands of DISTCC_CMDLIST may be anywhere. */
export function withListed(compilers: Compilers, list: DistccSettings['list']): Compilers {
  if (list === undefined) return compilers;
  const discover = async (): Promise<string[]> => {
    return [...new Set([...(await compilers.discover()), ...readCommandList(list).values()])];
  };
  return { ...compilers, discover, searched: [...compilers.searched, list.path] };
}
