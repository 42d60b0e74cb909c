// `shoal front`: the part of a worker that has the network. Started by the keeper (worker.ts) through the init's `front`,
// which has confined it already, with a socket to the keeper and sockets that listen.
import { join } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { noAudit } from '../observe/audit-log.ts';
import type { Listener } from '../reapi/doors.ts';
import { firstListener, keeperFd } from '../worker/keeper/front-process.ts';
import type { FrontGiven, HeldPlaces } from '../worker/keeper/keeper.ts';
import { remoteTrust } from '../worker/keeper/remote-identity.ts';
import { connectKeeper } from '../worker/keeper/remote-writer.ts';
import { doorName } from '../worker/keeper/slot-door.ts';
import { countersOf } from '../worker/control-groups.ts';
import type { Commands } from '../worker/commands.ts';
import { localCompilers } from '../worker/local-compilers.ts';
import { startWorker, type Worker, type WorkerOptions } from '../worker/worker.ts';
import type { DistccSettings } from './front-distcc.ts';
import type { Invocation } from './invocation.ts';
import { eventText } from './worker-events.ts';

export type FrontSettings = FrontGiven & {
  readonly slots: number;
  readonly weights: readonly (readonly [client: string, weight: number])[];
  readonly jobMemoryBytes?: number;
  readonly commands?: Commands;
  readonly contain?: 'none';
  readonly hasIdentity: boolean;
  readonly stateDir: string;
  readonly storeBytes: number;
  readonly insecure: boolean;
  readonly path: string | undefined;
  readonly distcc?: DistccSettings;
};

function say(text: string): void {
  process.stderr.write(`shoal: ${text}\n`);
}

/** What only newer kernels have: all of it since 6.2. */
function tellConfinement(version: number, ownUser: boolean): void {
  if (version >= 3) return;
  const left = ownUser ? 'kept from the store by its user alone' : 'not kept from the store and the identity';
  say(`this kernel lacks Landlock, or has an old one: what parses requests is ${left}`);
}

/** Descriptors as the keeper gave them: of each address, then of the Unix socket. */
function listenersOf({ sockets, listen }: HeldPlaces): readonly Listener[] {
  let next = firstListener;
  return sockets.map((count, index): Listener => {
    const first = next;
    next += count;
    const at = index < listen.length ? 'network' : 'unix';
    return { kind: 'inherited', at, fds: Array.from({ length: count }, (_, each) => first + each) };
  });
}

/** Loaded by who serves them only. */
async function distccOf(settings: FrontSettings): Promise<Partial<Pick<WorkerOptions, 'beside' | 'compilers'>>> {
  const { distcc, beside, sockets, path, stateDir } = settings;
  if (distcc === undefined || beside === undefined) return {};
  const { besideOf, withListed } = await import('./front-distcc.ts');
  const firstFd = firstListener + sockets.reduce((sum, count) => sum + count, 0);
  return {
    beside: besideOf(distcc, { ...beside, firstFd, path }),
    compilers: withListed(localCompilers(path, join(stateDir, 'digests')), distcc.list),
  };
}

export async function frontCommand({ args, env }: Invocation): Promise<void> {
  const settings = JSON.parse(args[0] ?? '') as FrontSettings;
  keepHeapSmall();
  optimizeLate();
  process.umask(0o022);
  tellConfinement(Number(env['SHOAL_LANDLOCK']), settings.ownUser);
  const keeper = connectKeeper(keeperFd, (why) => {
    say(`the keeper does not answer: ${why}`);
    process.exit(1);
  });
  const { stateDir, path, groups, weights, hasIdentity, beside: _, ...rest } = settings;
  const worker = await startWorker({
    ...rest,
    stateDir,
    weights: new Map(weights),
    trust: hasIdentity ? remoteTrust(keeper.ask) : undefined,
    initPath: '',
    compilers: localCompilers(path, join(stateDir, 'digests')),
    ...(await distccOf(settings)),
    house: {
      writer: keeper.writer,
      // Relative to the working directory, for a socket's path is bounded to 107 bytes.
      slotOptions: (index) => ({
        door: doorName(index),
        group: countersOf(groups.files[index] ?? undefined),
        ...(settings.contain && { contain: settings.contain }),
      }),
      bounded: groups.bounded,
      audit: { ...noAudit, audit: keeper.note },
      listeners: listenersOf(settings),
      release: () => undefined,
    },
    log: (event) => {
      const text = eventText(event);
      if (text !== undefined) say(text);
    },
  });
  if (worker.kind === 'refused') {
    say(worker.why);
    process.exitCode = 1;
    return;
  }
  endOnSignals(worker);
  keeper.ready();
}

/**
 * V8 doubles the space for new objects up to three times 16 MB as long as it meets garbage: 160 MB resident under load,
 * against 116 without that, for about 0.2 ms of CPU a job. It reads this flag each time it would grow.
 */
function keepHeapSmall(): void {
  setFlagsFromString('--semi-space-growth-factor=1');
}

/**
 * V8 begins to optimize a function after some 130 KB of executed bytecode. At a job or two a second that is 1.6 ms of CPU
 * a job for the first thousand jobs, in threads beside the main one, which gains nothing that could be measured; with
 * 1 MB what a busy worker runs all the time is still optimized.
 */
function optimizeLate(): void {
  setFlagsFromString('--interrupt-budget=1000000');
}

function endOnSignals(worker: Worker): void {
  let signals = 0;
  const end = (): void => {
    signals += 1;
    const ended = signals === 1 ? worker.drain() : worker.stop();
    ended.then(
      () => process.exit(0),
      () => process.exit(1),
    );
  };
  process.on('SIGTERM', end);
  process.on('SIGINT', end);
}
