// A worker's life: from the lock on its state directory to the last job in flight.
import { chmodSync, statSync } from 'node:fs';
import { hostname } from 'node:os';
import { isIP } from 'node:net';
import { makeDirectory } from '../make-directory.ts';
import type { MembershipEvent } from '../farm/membership.ts';
import { noAudit, openAuditLog, type AuditLog } from '../observe/audit-log.ts';
import { realClock } from '../observe/clock.ts';
import type { Listener } from '../reapi/doors.ts';
import { membersService } from '../reapi/members.ts';
import { serve, type Handler, type Serving } from '../reapi/server.ts';
import type { LiveTrust } from '../trust/live-trust.ts';
import type { PairingEvent } from '../trust/pairing-server.ts';
import { audited } from './audited.ts';
import { belong, type RevokedEvent } from './belonging.ts';
import type { Commands } from './commands.ts';
import { openParts, type CompilerView, type Parts } from './compose.ts';
import { stateDirFlaw } from '../trust/runtime-dir.ts';
import { newKeeper } from './doorkeeper.ts';
import { memoryBounds } from './memory-bounds.ts';
import { newPairingDoor, type PairingDoor } from './pairing.ts';
import { tellSome, type ToldRefusal } from './refusals.ts';
import { startSlots, type SlotPool } from './slots.ts';
import type { Weights } from './slot-queue.ts';
import { clearStaleSocket, lockState, type StateLock } from './state-lock.ts';
import type { ToolchainEvent } from './toolchains.ts';

export type ListenAddress = {
  readonly host: string;
  readonly port: number;
  /** Where the port is taken, any other will do. */
  readonly orAnyPort?: boolean;
};

export type WorkerEvent =
  | ToolchainEvent
  | MembershipEvent
  | ({ readonly kind: 'refused-peer' } & ToldRefusal)
  | { readonly kind: 'pairing'; readonly event: PairingEvent }
  | RevokedEvent
  | { readonly kind: 'listening'; readonly address: string }
  | { readonly kind: 'socket-taken'; readonly path: string }
  /** By hand: jobs run without namespaces. */
  | { readonly kind: 'uncontained' };

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
  readonly compilers: CompilerView;
  /** Where the audit log goes; undefined: none is kept. */
  readonly audit?: string | undefined;
  readonly log: (event: WorkerEvent) => void;
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

export type WorkerRefusal = {
  readonly kind: 'refused';
  readonly reason: 'insecure' | 'identity' | 'state' | 'sandbox' | 'listen';
  readonly why: string;
};

export async function startWorker(options: WorkerOptions): Promise<Worker | WorkerRefusal> {
  const refusal = exposureRefusal(options);
  if (refusal !== undefined) return refusal;
  try {
    // Slots are other users than root: they have to get through, not to look around.
    makeDirectory(options.stateDir, 0o711);
    // `shoal join` may have made it, for the identity alone.
    const { mode } = statSync(options.stateDir);
    if ((mode & 0o011) !== 0o011) chmodSync(options.stateDir, (mode & 0o777) | 0o011);
  } catch (error) {
    return { kind: 'refused', reason: 'state', why: `cannot make ${options.stateDir}: ${(error as Error).message}` };
  }
  const flaw = stateDirFlaw(options.stateDir);
  if (flaw !== undefined) {
    const why = `${flaw}: whoever can change ${options.stateDir} can change what is compiled; choose another place with --state`;
    return { kind: 'refused', reason: 'state', why };
  }
  const lock = await lockState(options.stateDir);
  if (lock.kind === 'busy') return { kind: 'refused', reason: 'state', why: lock.why };
  const { slots: size, initPath, stateDir, weights } = options;
  const memory = memoryBounds(options.jobMemoryBytes);
  const slots = await startSlots({
    size,
    initPath,
    stateDir,
    memory,
    weights,
    ...(options.contain && { contain: options.contain }),
  });
  if (options.contain === 'none') options.log({ kind: 'uncontained' });
  if (slots.kind === 'refused') {
    lock.release();
    return { kind: 'refused', reason: 'sandbox', why: slots.why };
  }
  const audit =
    options.audit === undefined
      ? noAudit
      : openAuditLog({ path: options.audit, clock: realClock, now: () => Date.now() });
  const parts = await openParts({ ...options, name: hostname(), slots, audit: audit.audit });
  const running = { lock, slots, parts, audit };
  try {
    const handlers = [...parts.handlers, ...membersOf(options.trust)];
    const log: WorkerOptions['log'] = (event) => {
      // Another may come by that name: what the one before held is not its.
      if (event.kind === 'revoked') parts.clients.forget(event.name);
      options.log(event);
    };
    const told = { ...options, log: audited(log, audit.audit) };
    const listening = await listenAll(told, handlers);
    audit.audit({ event: 'started', addresses: listening.addresses });
    return workerOf({ ...running, ...listening, leaveFarm: belonging(told, listening) });
  } catch (error) {
    await close(running);
    return { kind: 'refused', reason: 'listen', why: (error as Error).message };
  }
}

export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'));
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

/** Why a worker of this kind must not listen there. */
function exposureRefusal({ listen, insecure, trust }: WorkerOptions): WorkerRefusal | undefined {
  const now = trust?.current() ?? { kind: 'none' };
  if (now.kind === 'broken') {
    return { kind: 'refused', reason: 'identity', why: `the identity cannot be used: ${now.why}; ${now.remedy}` };
  }
  if (now.kind === 'farm') {
    const { name, role, farm } = now.identity;
    if (insecure) {
      const why =
        `this worker is ${name} in ${farm}, and serves its members: leave --insecure away, ` +
        'or give a --state of its own to a worker that everybody may use';
      return { kind: 'refused', reason: 'identity', why };
    }
    if (role !== 'client') return undefined;
    const why = `${name} is a client in ${farm}: a worker joins by a code of \`shoal pair --role worker\``;
    return { kind: 'refused', reason: 'identity', why };
  }
  const exposed = insecure ? undefined : listen.find(({ host }) => !isLoopback(host));
  return exposed === undefined ? undefined : insecureRefusal(exposed);
}

function insecureRefusal({ host, port }: ListenAddress): WorkerRefusal {
  const why =
    `${host}:${port} can be reached from other boxes, and this worker has no identity to tell friend from stranger. ` +
    'Make a farm with `shoal pair` (or `shoal worker` without --listen) on one box, join it with `shoal join CODE` on ' +
    'the others; or listen on 127.0.0.1; or give --insecure if everybody who reaches the address may compile here';
  return { kind: 'refused', reason: 'insecure', why };
}

type Listening = {
  readonly serving: Serving;
  readonly addresses: readonly string[];
  /** Listeners that other boxes reach. */
  readonly reached: readonly { readonly host: string; readonly port: number }[];
  readonly pairing: PairingDoor;
};

const addressText = (host: string, port: number): string => `${host.includes(':') ? `[${host}]` : host}:${port}`;

async function listenAll(options: WorkerOptions, handlers: readonly Handler[]): Promise<Listening> {
  const unix = await unixListener(options);
  const { trust, log } = options;
  let reached: Listening['reached'] = [];
  const pairing = newPairingDoor(
    () => reached,
    (event) => log({ kind: 'pairing', event }),
  );
  const keeper = newKeeper({
    trust,
    refused: tellSome((refusal) => log({ kind: 'refused-peer', ...refusal }), Date.now),
    protocols: pairing.protocols,
  });
  const attempt = async (anyPort: boolean): Promise<Listening> => {
    const tcp = options.listen.map(({ host, port, orAnyPort }): Listener => {
      return { kind: 'tcp', host, port: anyPort && orAnyPort === true ? 0 : port };
    });
    const serving = await serve(handlers, [...tcp, ...unix], keeper);
    const bound = options.listen.map(({ host }, at) => ({ host, port: serving.ports[at] ?? 0 }));
    const addresses = bound.map(({ host, port }) => addressText(host, port));
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
  readonly lock: StateLock;
  readonly slots: SlotPool;
  readonly parts: Parts;
  readonly audit: AuditLog;
};

async function close({ lock, slots, parts, audit }: Running): Promise<void> {
  await slots.close();
  parts.toolchains.close();
  parts.results.close();
  parts.clients.close();
  await parts.store.close();
  audit.audit({ event: 'stopped' });
  await audit.close();
  lock.release();
}

// An answer's last frame follows it in a later turn of the event loop; a client may take the end of the connection for
// the end of its call.
const lastFramesMs = 50;
// Connections end at once where nothing is under way; a call that uploads or reads may take this long.
const lastCallsMs = 2000;

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

type Serves = Running & Listening & { readonly leaveFarm: () => Promise<void> };

function workerOf(running: Serves): Worker {
  const { serving, addresses, pairing, parts, leaveFarm, audit } = running;
  let stopping: Promise<void> | undefined;
  const stop = (): Promise<void> => {
    stopping ??= (async () => {
      pairing.close();
      serving.stop();
      await Promise.all([leaveFarm(), close(running)]);
    })();
    return stopping;
  };
  const drain = async (): Promise<void> => {
    await parts.operations.drain();
    await pause(lastFramesMs);
    await Promise.race([serving.drain(), pause(lastCallsMs)]);
    await stop();
  };
  return { kind: 'worker', addresses, drain, stop, reopenLogs: audit.reopen };
}
