// distcc's clients on a worker, put together: who may connect, what they may name, how their jobs run, what is said of it.
import { statfsSync } from 'node:fs';
import type { Duplex } from 'node:stream';
import { loadavg } from 'node:os';
import { authenticateClient } from '../../distcc/authentication.ts';
import { usualLimits } from '../../distcc/connection.ts';
import { DistccError } from '../../distcc/errors.ts';
import { distccExit } from '../../distcc/exit-codes.ts';
import { logLine, type LogLine } from '../../distcc/log-lines.ts';
import { serveDistcc, type DistccServer, type Listening } from '../../distcc/server.ts';
import { newStats } from '../../distcc/stats.ts';
import { serveStats, type StatsListener, type StatsServer } from '../../distcc/stats-server.ts';
import { accessList, loopbackNetworks } from '../../trust/access-list.ts';
import { openGssExchange, type GssExchange } from '../../trust/gssapi.ts';
import { admits, realmOf, type PrincipalList } from '../../trust/principal-list.ts';
import type { Beside, WorkerInside } from '../worker.ts';
import { openCommands, type CommandList } from './commands.ts';
import { tellSome } from '../members/refusals.ts';
import { compilesFor } from './job.ts';
import { processesNow } from './processes.ts';

type Environment = Readonly<Record<string, string | undefined>>;

export type DistccServiceOptions = {
  readonly listeners: readonly Listening[];
  /** Addresses and networks; with none, this box alone. */
  readonly allow: readonly string[];
  /** Where compilers are looked for. */
  readonly pathEnv: string;
  readonly list?: CommandList | undefined;
  readonly lifetimeMs?: number | undefined;
  readonly idleMs?: number | undefined;
  readonly sysroot?: string | undefined;
  /** This server's environment: it says in which locale compilers talk. */
  readonly env?: Environment | undefined;
  /** Clients prove by GSS-API who they are. */
  readonly auth?: Auth | undefined;
  readonly stats?: readonly StatsListener[];
  readonly log: (line: LogLine) => void;
  readonly onReady: (server: DistccServer) => void;
};

export type Auth = {
  /** Of the helper's socket. */
  readonly socket: string;
  readonly list?: { readonly kind: PrincipalList['kind']; readonly names: readonly string[] } | undefined;
};

function authentication({ socket, list }: Auth): (stream: Duplex) => Promise<string> {
  const names = list && { kind: list.kind, names: new Set(list.names) };
  const open = (): Promise<GssExchange> =>
    openGssExchange(socket).catch((error: unknown) => {
      throw new DistccError('FAILED', (error as Error).message, { cause: error });
    });
  return (stream) => authenticateClient(stream, open, (principal, own) => admits(names, principal, realmOf(own)));
}

// As for shoal's own jobs that say nothing of it.
const usualLifetimeMs = 10 * 60_000;
const timeoutStatus = distccExit.timeout << 8;

/** @throws the error of a listener that cannot be opened; AccessListError. */
export function distccService(options: DistccServiceOptions): (inside: WorkerInside) => Promise<Beside> {
  return async ({ stateDir, slots, toolchains, limits, audit }) => {
    const { pathEnv, list, log, sysroot, lifetimeMs = usualLifetimeMs, idleMs = usualLimits.idleMs } = options;
    const { allows } = accessList(options.allow.length > 0 ? options.allow : loopbackNetworks);
    const locale = localeOf(options.env ?? {});
    const nowMs = (): number => performance.now();
    const stats = newStats(nowMs, timeoutStatus);
    const commands = openCommands({ pathEnv, toolchains, list, nowMs });
    const turnedAway = tellSome(({ address, reason, untold }) => {
      audit({
        event: 'peer-refused',
        address,
        why: `distcc: ${reason}${untold === 0 ? '' : `; before it ${untold} more`}`,
      });
    }, nowMs);
    const server = await serveDistcc({
      listeners: options.listeners,
      allows,
      authenticate: options.auth && authentication(options.auth),
      compile: compilesFor({ stateDir, slots, toolchains, commands, limits, lifetimeMs, sysroot, locale, audit }),
      on: (event) => {
        stats.note(event);
        if (event.kind === 'turned-away')
          turnedAway({ address: event.client.replace(/^address /, ''), reason: event.why });
        if (event.kind === 'unanswered' && event.request === undefined && event.error.code === 'REFUSED')
          turnedAway({ address: event.client.replace(/^address /, ''), reason: event.error.message });
        log(logLine(event, timeoutStatus));
      },
      limits: { ...usualLimits, idleMs },
    });
    const page = (): string => {
      const { bavail, bsize } = statfsSync(stateDir);
      const box = {
        jobs: slots.size,
        running: slots.busy(),
        load: loadavg(),
        processes: processesNow(),
        freeMb: Math.floor((bavail * bsize) / 2 ** 20),
      };
      return stats.page(box);
    };
    const statsServers = await openStats(options, { allows, page }, server);
    options.onReady(server);
    const ended = async (end: () => Promise<void>): Promise<void> => {
      for (const each of statsServers) each.close();
      await end();
    };
    return { drain: () => ended(server.drain), stop: () => ended(server.stop) };
  };
}

/**
 * distcc does not say in which locale its client is. Stock distccd has its compilers talk in its own; here messages are
 * English, whose quotes are those of its character set: other locales are not in a toolchain.
 */
function localeOf(env: Environment): string | undefined {
  const name = env['LC_ALL'] || env['LC_CTYPE'] || env['LANG'] || '';
  return /\.utf-?8$/i.test(name) ? 'C.UTF-8' : undefined;
}

type StatsParts = { readonly allows: (address: string) => boolean; readonly page: () => string };

async function openStats(
  { stats = [] }: DistccServiceOptions,
  parts: StatsParts,
  server: DistccServer,
): Promise<readonly StatsServer[]> {
  const opened: StatsServer[] = [];
  try {
    for (const at of stats) opened.push(await serveStats({ at, ...parts }));
    return opened;
  } catch (error) {
    for (const each of opened) each.close();
    await server.stop();
    throw error;
  }
}
