// The keeper: the process that `shoal worker` is. It has what must not be in the hand of whoever parses requests: the
// store's finished files, the identity, the right to start slots; and it parses nothing but the front's few words
// (wire.ts). The front, a child of it, has the network (launcher/init_front.c says what it has not).
//
//   keeper ──socket: writes──▶ front ◀── clients
//      │                         │
//      └──starts── slots ◀──door─┘
//
// The front's end is not the worker's: it is started again, a few times. The keeper's end is that of all.
import { rmSync } from 'node:fs';
import type { AuditEvent, AuditLog } from '../../observe/audit-log.ts';
import { openStoreWriter, type StoreWriter } from '../../store/store-writer.ts';
import type { LiveTrust } from '../../trust/live-trust.ts';
import type { PairingEvent } from '../../trust/pairing-server.ts';
import { joinAuditOf } from '../audited.ts';
import type { ControlGroups, CounterFiles } from '../sandbox/control-groups.ts';
import type { MemoryBounds } from '../sandbox/memory-bounds.ts';
import { containRefusal, openSlotHouse } from '../sandbox/slot-process.ts';
import { clearStaleSocket, type StateLock } from '../state-lock.ts';
import { claimState, exposureRefusal, type ListenAddress, type WorkerRefusal } from '../claims.ts';
import { startFront, type FrontEnd, type FrontProcess } from './front-process.ts';
import { holdListeners, type HeldListeners, type ListenPlaces } from './listeners.ts';
import { KeeperWireError } from './wire.ts';
import { preparePlaces, type Places } from './places.ts';
import { openIdentityDesk } from './identity-desk.ts';
import { openSlotDoors, type SlotDoors } from './slot-door.ts';

export type KeeperOptions = {
  readonly listen: readonly ListenAddress[];
  readonly unixSocket?: string;
  /** Where clients of another protocol come in; its own to say who may. */
  readonly beside?: ListenPlaces | undefined;
  readonly slots: number;
  readonly stateDir: string;
  readonly memory: MemoryBounds;
  readonly contain?: 'none';
  readonly insecure: boolean;
  readonly trust: LiveTrust | undefined;
  readonly audit: AuditLog;
  readonly pairing: (event: PairingEvent) => void;
  readonly initPath: string;
  readonly needed: readonly string[];
  /** A process beside the front that this one owns, with a socket in the directory given. @throws if it cannot be. */
  readonly helper?: ((directory: string) => Promise<Helper>) | undefined;
  /** What becomes the front, given what it listens on. */
  readonly frontArgv: (given: FrontGiven) => readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Of `listen`, and of `beside`. */
  readonly onReady: (addresses: readonly ListenAddress[], beside: readonly ListenAddress[]) => void;
  /** Takes what the front writes to its standard error, by lines; without it that is this process's own. */
  readonly frontLine?: (line: string) => void;
  /** Without work the front ends by itself, with status 0, and all of the worker with it. */
  readonly endsIdle?: boolean;
  readonly log: (text: string) => void;
};

/** How many sockets each of `listen` is, and the last of them the Unix socket's. */
export type HeldPlaces = { readonly listen: readonly ListenAddress[]; readonly sockets: readonly number[] };

export type FrontGiven = HeldPlaces & {
  readonly hasUnixSocket: boolean;
  readonly ownUser: boolean;
  /** Its descriptors follow. */
  readonly beside?: HeldPlaces;
  readonly groups: SlotGroups;
};

/** Of the slots: what bounds them, and where their kills are counted. */
export type SlotGroups = {
  readonly bounded: ControlGroups['bounded'];
  /** As JSON has it: null where nothing bounds memory. */
  readonly files: readonly (CounterFiles | null)[];
};

export type Helper = { readonly ended: Promise<string>; readonly end: () => void };

export type RunningKeeper = {
  readonly kind: 'keeper';
  /** The first lets jobs end, the second does not. */
  readonly signal: () => void;
  /** The status to end with, when nothing is left. */
  readonly ended: Promise<number>;
};

const mostRestarts = 5;
const restartsWithinMs = 10 * 60_000;
// A front that was asked twice to end does so within a second, unless it is stuck.
const endPatienceMs = 10_000;

type House = {
  readonly lock: StateLock;
  readonly places: Places;
  readonly writer: StoreWriter;
  readonly doors: SlotDoors;
  readonly groups: ControlGroups;
  readonly answerTo: (question: string) => Promise<string>;
  readonly unixSocket: string | undefined;
  readonly endHelper: () => void;
};

class HelperError extends Error {
  readonly code = 'HELPER';
}

// A helper that ends at once is not started again as fast as it ends.
const helperPauseMs = 1000;

/** Keeps it running. @throws if it cannot be started at all. */
async function keepHelper({ helper, log }: KeeperOptions, directory: string): Promise<() => void> {
  if (helper === undefined) return () => undefined;
  let running: Helper | undefined = await helper(directory);
  let isOver = false;
  const watchIt = ({ ended }: Helper): void =>
    void ended.then((how) => {
      running = undefined;
      if (isOver) return;
      log(`the helper has ended (${how}): it is started again`);
      setTimeout(() => void again(), helperPauseMs).unref();
    });
  const again = async (): Promise<void> => {
    if (isOver) return;
    try {
      watchIt((running = await helper(directory)));
      if (isOver) running.end();
    } catch (error) {
      log(`the helper cannot be started: ${(error as Error).message}`);
      setTimeout(() => void again(), helperPauseMs).unref();
    }
  };
  watchIt(running);
  return () => {
    isOver = true;
    running?.end();
  };
}

const noIdentity = async (): Promise<string> =>
  Promise.resolve(JSON.stringify({ kind: 'error', isRevocations: false, why: 'this worker has no identity' }));

async function openHouse(options: KeeperOptions, lock: StateLock): Promise<House> {
  const { stateDir, initPath, slots, memory, contain, unixSocket, trust, audit, log } = options;
  const pairing = (event: PairingEvent): void => {
    audit.audit(joinAuditOf(event));
    options.pairing(event);
  };
  const places = preparePlaces(stateDir);
  const writer = openStoreWriter(places.store);
  const { spawnOf, groups } = openSlotHouse({ slots, initPath, stateDir, memory, contain });
  const doors = await openSlotDoors({ directory: places.frontDir, slots, spawnOf, group: places.front });
  const answerTo =
    trust === undefined ? noIdentity : openIdentityDesk({ trust, nowMs: () => Date.now(), log: pairing });
  const endHelper = await keepHelper(options, places.frontDir).catch(async (error: unknown) => {
    await doors.close();
    groups.close();
    throw new HelperError((error as Error).message, { cause: error });
  });
  const isFree = unixSocket === undefined || (await clearStaleSocket(unixSocket));
  // Another worker of this user serves there; this one is reached by its port.
  if (!isFree) log(`another worker serves ${unixSocket}: builds on this box find that one`);
  return { lock, places, writer, doors, groups, answerTo, unixSocket: isFree ? unixSocket : undefined, endHelper };
}

async function closeHouse(house: House, { audit, trust, beside }: KeeperOptions): Promise<void> {
  const { lock, doors, groups } = house;
  for (const path of [house.unixSocket, beside?.unixSocket]) {
    if (path !== undefined) rmSync(path, { force: true });
  }
  house.endHelper();
  await doors.close();
  groups.close();
  trust?.close();
  await audit.close();
  lock.release();
}

const auditEvents: ReadonlySet<unknown> = new Set<AuditEvent['event']>([
  'started',
  'stopped',
  'job',
  'refused',
  'peer-refused',
  'joined',
  'join-refused',
  'revoked',
]);

/** The front's word for it: a line that nobody can take back, but not one that proves itself. */
function noteIn(audit: AuditLog, line: string): void {
  const event = JSON.parse(line) as Partial<Record<'event', unknown>> | null;
  if (!auditEvents.has(event?.event)) throw new KeeperWireError('a line of the audit log that is none');
  audit.audit(event as AuditEvent);
}

export async function startKeeper(options: KeeperOptions): Promise<RunningKeeper | WorkerRefusal> {
  const refusal = exposureRefusal(options);
  if (refusal !== undefined) return refusal;
  const cannot = containRefusal(options.contain);
  if (cannot !== undefined) return { kind: 'refused', reason: 'sandbox', why: cannot };
  const lock = await claimState(options.stateDir, options.contain);
  if (lock.kind === 'refused') return lock;
  let house: House;
  try {
    house = await openHouse(options, lock);
  } catch (error) {
    lock.release();
    const where = error instanceof HelperError ? '' : `${options.stateDir}: `;
    return { kind: 'refused', reason: 'state', why: `${where}${(error as Error).message}` };
  }
  let held: Held;
  try {
    held = await holdAll({ listen: options.listen, unixSocket: house.unixSocket }, options.beside);
  } catch (error) {
    await closeHouse(house, options);
    return { kind: 'refused', reason: 'listen', why: (error as Error).message };
  }
  return watch(options, house, held);
}

type Held = { readonly main: HeldListeners; readonly beside: HeldListeners | undefined };

/** @throws if one cannot be bound; then none is. */
async function holdAll(main: ListenPlaces, beside: ListenPlaces | undefined): Promise<Held> {
  const held = await holdListeners(main);
  try {
    return { main: held, beside: beside && (await holdListeners(beside)) };
  } catch (error) {
    held.letGo();
    throw error;
  }
}

function letGo({ main, beside }: Held): void {
  main.letGo();
  beside?.letGo();
}

function givenOf({ addresses, fds }: HeldListeners): HeldPlaces {
  return { listen: addresses, sockets: fds.map(({ length }) => length) };
}

function launch(options: KeeperOptions, house: House, held: Held): FrontProcess {
  const { initPath, needed, frontArgv, env, audit, onReady, frontLine, log } = options;
  const { places, writer, answerTo, groups, unixSocket } = house;
  const argv = frontArgv({
    ...givenOf(held.main),
    ...(held.beside && { beside: givenOf(held.beside) }),
    hasUnixSocket: unixSocket !== undefined,
    ownUser: places.front !== undefined,
    groups: { bounded: groups.bounded, files: groups.slots.map(({ files }) => files ?? null) },
  });
  const front = startFront({
    initPath,
    places,
    needed,
    argv,
    env,
    listeners: [...held.main.fds, ...(held.beside?.fds ?? [])].flat(),
    writer,
    answerTo,
    note: (line) => noteIn(audit, line),
    onReady: () => onReady(held.main.addresses, held.beside?.addresses ?? []),
    line: frontLine,
    log,
  });
  letGo(held);
  return front;
}

function endText(end: FrontEnd): string {
  return end.kind === 'killed' ? end.why : `with status ${end.status}`;
}

function watch(options: KeeperOptions, house: House, first: Held): RunningKeeper {
  let front = launch(options, house, first);
  const again = options.beside && { ...options.beside, listen: first.beside?.addresses ?? [] };
  let signals = 0;
  const restarts: number[] = [];

  const mayRestart = (end: FrontEnd): boolean => {
    const now = Date.now();
    while ((restarts[0] ?? now) < now - restartsWithinMs) restarts.shift();
    return end.wasReady && restarts.push(now) <= mostRestarts;
  };

  const untilOver = async (): Promise<number> => {
    for (;;) {
      const end = await front.ended;
      if (signals > 0) return end.kind === 'ended' ? end.status : 1;
      if (!end.wasReady && end.kind === 'ended') return end.status;
      if (options.endsIdle === true && end.kind === 'ended' && end.status === 0) return 0;
      if (!mayRestart(end)) {
        options.log(`the process that serves has ended (${endText(end)}) once too often`);
        return 1;
      }
      options.log(`the process that serves has ended (${endText(end)}): its jobs are lost, it is started again`);
      const held = await holdAll({ listen: first.main.addresses, unixSocket: house.unixSocket }, again);
      // Asked to end meanwhile: there is nothing that could be asked.
      if (signals > 0) {
        letGo(held);
        return 0;
      }
      front = launch({ ...options, onReady: () => undefined }, house, held);
    }
  };

  const ended = untilOver()
    .catch((error: unknown) => {
      options.log(`the process that serves cannot be started again: ${(error as Error).message}`);
      return 1;
    })
    .then(async (status) => {
      await closeHouse(house, options);
      return status;
    });

  const signal = (): void => {
    signals += 1;
    front.signal('SIGTERM');
    if (signals > 1) setTimeout(() => front.signal('SIGKILL'), endPatienceMs).unref();
  };
  return { kind: 'keeper', signal, ended };
}
