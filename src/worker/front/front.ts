// The front, put together: the part of a worker that has the network. The keeper has started it through the init's `front`,
// which has confined it already, with a socket to the keeper and sockets that listen.
import { join } from 'node:path';
import type { LogLine } from '../../distcc/log-lines.ts';
import { noAudit } from '../../observe/audit-log.ts';
import type { Listener } from '../../reapi/doors.ts';
import type { WorkerRefusal } from '../claims.ts';
import { countersOf } from '../sandbox/control-groups.ts';
import type { WorkerEvent } from '../events.ts';
import { keepHeapSmall, optimizeLate } from '../../heap.ts';
import { firstListener, keeperFd } from '../keeper/front-process.ts';
import type { FrontSettings } from '../keeper/front-settings.ts';
import type { HeldPlaces } from '../keeper/keeper.ts';
import { remoteTrust } from '../keeper/remote-identity.ts';
import { connectKeeper } from '../keeper/remote-writer.ts';
import { doorName } from '../keeper/slot-door.ts';
import { localCompilers } from '../toolchains/local-compilers.ts';
import { startWorker, type Worker, type WorkerOptions } from '../worker.ts';

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

export type FrontWorld = {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly log: (event: WorkerEvent) => void;
  /** What is said of distcc's clients. */
  readonly logDistcc: (line: LogLine) => void;
  /** There is no work any more, and the settings say that it ends then. */
  readonly idle: () => void;
  /** The keeper does not answer: nothing can be served without it. */
  readonly lost: (why: string) => never;
};

type DistccParts = Partial<Pick<WorkerOptions, 'beside' | 'compilers'>>;

/** Loaded by who serves them only. */
async function distccOf(settings: FrontSettings, { env, logDistcc: log, idle }: FrontWorld): Promise<DistccParts> {
  const { distcc, beside, sockets, path, stateDir } = settings;
  if (distcc === undefined || beside === undefined) return {};
  const { besideOf, withListed } = await import('./distcc.ts');
  const firstFd = firstListener + sockets.reduce((sum, count) => sum + count, 0);
  return {
    beside: besideOf(distcc, { ...beside, firstFd, path, env, log, idle }),
    compilers: withListed(localCompilers(path, join(stateDir, 'digests')), distcc.list),
  };
}

export type Front = {
  readonly kind: 'front';
  readonly worker: Worker;
  /** Tells the keeper that it serves. */
  readonly ready: () => void;
};

export async function openFront(settings: FrontSettings, world: FrontWorld): Promise<Front | WorkerRefusal> {
  keepHeapSmall();
  optimizeLate();
  process.umask(0o022);
  const keeper = connectKeeper(keeperFd, world.lost);
  const { stateDir, path, groups, weights, hasIdentity, beside: _, ...rest } = settings;
  const worker = await startWorker({
    ...rest,
    stateDir,
    weights: new Map(weights),
    trust: hasIdentity ? remoteTrust(keeper.ask) : undefined,
    initPath: '',
    compilers: localCompilers(path, join(stateDir, 'digests')),
    ...(await distccOf(settings, world)),
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
    log: world.log,
  });
  return worker.kind === 'refused' ? worker : { kind: 'front', worker, ready: keeper.ready };
}
