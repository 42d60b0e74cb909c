// A worker's life: from the lock on its state directory to the last job in flight.
import { hostname } from 'node:os';
import { join } from 'node:path';
import { noAudit, openAuditLog, type AuditLog } from '../observe/audit-log.ts';
import { realClock } from '../observe/clock.ts';
import type { Listener } from '../reapi/doors.ts';
import { serve, type Handler, type Serving } from '../reapi/server.ts';
import { addressText } from '../trust/addresses.ts';
import type { LiveTrust } from '../trust/live-trust.ts';
import { audited } from './audited.ts';
import { belong } from './members/belonging.ts';
import { openStoreWriter, type StoreWriter } from '../store/store-writer.ts';
import { claimState, exposureRefusal, isLoopback, type ListenAddress, type WorkerRefusal } from './claims.ts';
import type { Commands } from './actions/commands.ts';
import { openParts, type Parts } from './compose.ts';
import type { CompilerView } from './toolchains/toolchains.ts';
import type { ControlGroups } from './sandbox/control-groups.ts';
import { newDoorKeeper } from './members/doorkeeper.ts';
import type { WorkerEvent } from './events.ts';
import { memoryBounds } from './sandbox/memory-bounds.ts';
import type { Limits } from './sandbox/sandbox.ts';
import { limitsFor } from './actions/sandbox-job.ts';
import { newPairingDoor, type PairingDoor } from './members/pairing.ts';
import { tellSome } from './members/refusals.ts';
import { startSlots, type SlotPool } from './sandbox/slots.ts';
import type { Weights } from './sandbox/slot-queue.ts';
import { containRefusal, openSlotHouse, type SlotOptions } from './sandbox/slot-process.ts';
import { membersService } from './services/members.ts';
import { clearStaleSocket } from './state-lock.ts';

export type WorkerOptions = {
  readonly listen: readonly ListenAddress[];
  readonly unixSocket?: string;
  readonly slots: number;
  /** How much of the slots clients get beside each other: 1 each, unless said here. */
  readonly weights?: Weights | undefined;
  readonly stateDir: string;
  readonly storeBytes: number;
  /** The most that one job may take; without it, what the box can give. */
  readonly jobMemoryBytes?: number;
  /** With which programs actions may begin; without it, by who asks. */
  readonly commands?: Commands;
  /** `none`: on a box that cannot contain compiles, run them without namespaces. */
  readonly contain?: 'none';
  /** Anybody who reaches a listener beyond loopback may have this box compile. */
  readonly insecure: boolean;
  /** Its identity, where it has or may get one: members alone may then come by a network, loopback too. */
  readonly trust?: LiveTrust | undefined;
  /** The sandbox's init. */
  readonly initPath: string;
  /** What a keeper does for this worker. Without one, all of it is this process: so do tests and benches. */
  readonly house?: House;
  readonly compilers: CompilerView;
  /** Serves others with the same slots and toolchains: clients that speak another protocol. */
  readonly beside?: (inside: WorkerInside) => Promise<Beside>;
  /** Where the audit log goes; undefined: none is kept. */
  readonly audit?: string | undefined;
  readonly log: (event: WorkerEvent) => void;
};

/** What must not be in the hand of whoever parses requests, as that has it. */
export type House = {
  /** Of `<stateDir>/store`. */
  readonly writer: StoreWriter;
  readonly slotOptions: (index: number) => SlotOptions;
  readonly bounded: ControlGroups['bounded'];
  readonly audit: AuditLog;
  /** In the order of `listen`, then that of the Unix socket, if there is one. */
  readonly listeners: readonly Listener[];
  readonly release: () => void;
};

export type WorkerInside = {
  readonly stateDir: string;
  readonly slots: SlotPool;
  readonly toolchains: Parts['toolchains'];
  readonly limits: (timeoutMs: number) => Limits;
  readonly audit: AuditLog['audit'];
};

export type Beside = {
  /** Takes nothing new; resolves when what is under way has ended. */
  readonly drain: () => Promise<void>;
  readonly stop: () => Promise<void>;
};

export type Worker = {
  readonly kind: 'worker';
  /** `HOST:PORT` of each listener. */
  readonly addresses: readonly string[];
  /** Refuses new jobs, finishes those in flight, then stops. */
  readonly drain: () => Promise<void>;
  readonly stop: () => Promise<void>;
  /** After the audit log's file was moved away. */
  readonly reopenLogs: () => void;
};

export async function startWorker(options: WorkerOptions): Promise<Worker | WorkerRefusal> {
  const refusal = exposureRefusal(options);
  if (refusal !== undefined) return refusal;
  const house = options.house ?? (await keepHouse(options));
  if ('kind' in house) return house;
  const { slots: size, weights } = options;
  const memory = memoryBounds(options.jobMemoryBytes);
  const slots = await startSlots({ size, optionsOf: house.slotOptions, bounded: house.bounded, memory, weights });
  if (options.contain === 'none') options.log({ kind: 'uncontained' });
  if (slots.kind === 'refused') {
    house.release();
    return { kind: 'refused', reason: 'sandbox', why: slots.why };
  }
  const { audit, writer } = house;
  const parts = await openParts({ ...options, name: hostname(), slots, writer, audit: audit.audit });
  const running = { house, slots, parts, audit };
  try {
    const handlers = [...parts.handlers, ...membersOf(options.trust)];
    const log: WorkerOptions['log'] = (event) => {
      // Another may come by that name: what the one before held is not its.
      if (event.kind === 'revoked') parts.clients.forget(event.name);
      options.log(event);
    };
    const told = { ...options, log: audited(log, audit.audit) };
    const listening = await listenAll(told, house, handlers);
    audit.audit({ event: 'started', addresses: listening.addresses });
    const beside = await startBeside(options, { ...running, ...listening });
    return workerOf({ ...running, ...listening, leaveFarm: belonging(told, listening), beside });
  } catch (error) {
    await close(running);
    return { kind: 'refused', reason: 'listen', why: (error as Error).message };
  }
}

async function keepHouse(options: WorkerOptions): Promise<House | WorkerRefusal> {
  const { stateDir, initPath, listen, slots } = options;
  const cannot = containRefusal(options.contain);
  if (cannot !== undefined) return { kind: 'refused', reason: 'sandbox', why: cannot };
  const lock = await claimState(stateDir, options.contain);
  if (lock.kind === 'refused') return lock;
  const memory = memoryBounds(options.jobMemoryBytes);
  const { spawnOf, groups } = openSlotHouse({ slots, initPath, stateDir, memory, contain: options.contain });
  return {
    writer: openStoreWriter(join(stateDir, 'store')),
    slotOptions: spawnOf,
    bounded: groups.bounded,
    audit:
      options.audit === undefined
        ? noAudit
        : openAuditLog({ path: options.audit, clock: realClock, now: () => Date.now() }),
    listeners: [...listen.map((each): Listener => ({ kind: 'tcp', ...each })), ...(await unixListener(options))],
    release: () => {
      groups.close();
      lock.release();
    },
  };
}

async function startBeside(options: WorkerOptions, running: Running & Listening): Promise<Beside> {
  const { slots, parts, serving, pairing, audit } = running;
  const limits = (timeoutMs: number): Limits => limitsFor({ timeoutMs }, slots.memory);
  const none = async (): Promise<void> => Promise.resolve();
  try {
    const inside = { stateDir: options.stateDir, slots, toolchains: parts.toolchains, limits, audit: audit.audit };
    return (await options.beside?.(inside)) ?? { drain: none, stop: none };
  } catch (error) {
    pairing.close();
    serving.stop();
    throw error;
  }
}

function membersOf(trust: LiveTrust | undefined): readonly Handler[] {
  if (trust === undefined) return [];
  const identity = () => {
    const now = trust.current();
    return now.kind === 'farm' ? now.identity : undefined;
  };
  return membersService({ identity, changed: trust.refresh, nowMs: () => Date.now() });
}

/** Its life as a member of a farm; what ends that. */
function belonging({ trust, log }: WorkerOptions, { serving, reached }: Listening): () => Promise<void> {
  if (trust === undefined) return async () => Promise.resolve();
  return belong({ trust, serving, listeners: reached, log });
}

type Listening = {
  readonly serving: Serving;
  readonly addresses: readonly string[];
  /** Listeners that other boxes reach. */
  readonly reached: readonly { readonly host: string; readonly port: number }[];
  readonly pairing: PairingDoor;
};

async function listenAll(options: WorkerOptions, house: House, handlers: readonly Handler[]): Promise<Listening> {
  const { trust, log } = options;
  let reached: Listening['reached'] = [];
  const pairing = newPairingDoor(
    () => reached,
    (event) => log({ kind: 'pairing', event }),
  );
  const keeper = newDoorKeeper({
    trust,
    refused: tellSome((refusal) => log({ kind: 'refused-peer', ...refusal }), Date.now),
    protocols: pairing.protocols,
  });
  const attempt = async (anyPort: boolean): Promise<Listening> => {
    const listeners = house.listeners.map((each, at): Listener => {
      const isFree = anyPort && options.listen[at]?.orAnyPort === true;
      return isFree && each.kind === 'tcp' ? { ...each, port: 0 } : each;
    });
    const serving = await serve(handlers, listeners, keeper);
    const bound = options.listen.map(({ host }, at) => ({ host, port: serving.ports[at] ?? 0 }));
    const addresses = bound.map(addressText);
    reached = bound.filter(({ host }) => !isLoopback(host));
    for (const address of addresses) options.log({ kind: 'listening', address });
    return { serving, addresses, reached, pairing };
  };
  try {
    return await attempt(false);
  } catch (error) {
    if (!options.listen.some(({ orAnyPort }) => orAnyPort === true)) throw error;
    return attempt(true);
  }
}

async function unixListener({ unixSocket: path, log }: WorkerOptions): Promise<Listener[]> {
  if (path === undefined) return [];
  if (await clearStaleSocket(path)) return [{ kind: 'unix', path }];
  // Another worker of this user serves there; this one is reached by its port.
  log({ kind: 'socket-taken', path });
  return [];
}

type Running = {
  readonly house: House;
  readonly slots: SlotPool;
  readonly parts: Parts;
  readonly audit: AuditLog;
};

async function close({ house, slots, parts, audit }: Running): Promise<void> {
  await slots.close();
  parts.toolchains.close();
  parts.results.close();
  parts.clients.close();
  await parts.store.close();
  audit.audit({ event: 'stopped' });
  await audit.close();
  house.release();
}

// An answer's last frame follows it in a later turn of the event loop; a client may take the end of the connection for
// the end of its call.
const lastFramesMs = 50;
// Connections end at once where nothing is under way; a call that uploads or reads may take this long.
const lastCallsMs = 2000;

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

type Serves = Running & Listening & { readonly leaveFarm: () => Promise<void>; readonly beside: Beside };

function workerOf(running: Serves): Worker {
  const { serving, addresses, pairing, parts, leaveFarm, audit, beside } = running;
  let stopping: Promise<void> | undefined;
  const stop = (): Promise<void> => {
    stopping ??= (async () => {
      pairing.close();
      serving.stop();
      await beside.stop();
      await Promise.all([leaveFarm(), close(running)]);
    })();
    return stopping;
  };
  const drain = async (): Promise<void> => {
    await Promise.all([parts.operations.drain(), beside.drain()]);
    await pause(lastFramesMs);
    await Promise.race([serving.drain(), pause(lastCallsMs)]);
    await stop();
  };
  return { kind: 'worker', addresses, drain, stop, reopenLogs: audit.reopen };
}
