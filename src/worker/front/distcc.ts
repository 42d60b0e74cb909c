// What a front serves to distcc's clients, on the sockets that its keeper gave it.
import type { LogLine } from '../../distcc/log-lines.ts';
import type { DistccServer, Listening } from '../../distcc/server.ts';
import { readCommandList } from '../distcc/commands.ts';
import { distccService } from '../distcc/service.ts';
import type { DistccSettings } from '../keeper/front-settings.ts';
import type { HeldPlaces } from '../keeper/keeper.ts';
import { searchPath, type localCompilers } from '../toolchains/local-compilers.ts';
import type { WorkerOptions } from '../worker.ts';

const idleRoundMs = 1000;

function whenIdle({ connections }: DistccServer, idleMs: number, end: () => void): void {
  let idleSince = performance.now();
  const round = setInterval(() => {
    if (connections() > 0) idleSince = performance.now();
    if (performance.now() - idleSince < idleMs) return;
    clearInterval(round);
    end();
  }, idleRoundMs).unref();
}

export type BesideGiven = HeldPlaces & {
  readonly firstFd: number;
  readonly path: string | undefined;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly log: (line: LogLine) => void;
  /** It had no connection for as long as the settings say. */
  readonly idle: () => void;
};

export function besideOf(
  { hasStats, endsAfterMs, pathEnv, ...settings }: DistccSettings,
  { listen, sockets, firstFd, path, env, log, idle }: BesideGiven,
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
    env,
    log,
    onReady: (server) => (endsAfterMs === undefined ? undefined : whenIdle(server, endsAfterMs, idle)),
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
