// A worker's life: from the lock on its state directory to the last job in flight.
import { mkdirSync } from 'node:fs';
import { hostname } from 'node:os';
import { isIP } from 'node:net';
import { noAudit, openAuditLog, type AuditLog } from '../observe/audit-log.ts';
import { realClock } from '../observe/clock.ts';
import { serve, type Handler, type Listener, type Serving } from '../reapi/server.ts';
import { openParts, type CompilerView, type Parts } from './compose.ts';
import { memoryBounds } from './memory-bounds.ts';
import { startSlots, type SlotPool } from './slots.ts';
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
  | { readonly kind: 'listening'; readonly address: string }
  | { readonly kind: 'socket-taken'; readonly path: string };

export type WorkerOptions = {
  readonly listen: readonly ListenAddress[];
  readonly unixSocket?: string;
  readonly slots: number;
  readonly stateDir: string;
  readonly storeBytes: number;
  /** The most that one job may take; without it, what the box can give. */
  readonly jobMemoryBytes?: number;
  /** Anybody who reaches a listener beyond loopback may have this box compile. */
  readonly insecure: boolean;
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
  readonly reason: 'insecure' | 'state' | 'sandbox' | 'listen';
  readonly why: string;
};

export async function startWorker(options: WorkerOptions): Promise<Worker | WorkerRefusal> {
  const exposed = options.insecure ? undefined : options.listen.find(({ host }) => !isLoopback(host));
  if (exposed !== undefined) return insecureRefusal(exposed);
  try {
    // Slots are other users than root: they have to get through, not to look around.
    mkdirSync(options.stateDir, { recursive: true, mode: 0o711 });
  } catch (error) {
    return { kind: 'refused', reason: 'state', why: `cannot make ${options.stateDir}: ${(error as Error).message}` };
  }
  const lock = await lockState(options.stateDir);
  if (lock.kind === 'busy') return { kind: 'refused', reason: 'state', why: lock.why };
  const { slots: size, initPath, stateDir } = options;
  const memory = memoryBounds(options.jobMemoryBytes);
  const slots = await startSlots({ size, initPath, stateDir, memory });
  if (slots.kind === 'refused') {
    lock.release();
    return { kind: 'refused', reason: 'sandbox', why: slots.why };
  }
  const audit =
    options.audit === undefined
      ? noAudit
      : openAuditLog({ path: options.audit, clock: realClock, now: () => Date.now() });
  const parts = await openParts({ ...options, name: hostname(), slots, memory, audit: audit.audit });
  const running = { lock, slots, parts, audit };
  try {
    const { serving, addresses } = await listenAll(options, parts.handlers);
    audit.audit({ event: 'started', addresses });
    return workerOf({ ...running, serving, addresses });
  } catch (error) {
    await close(running);
    return { kind: 'refused', reason: 'listen', why: (error as Error).message };
  }
}

export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'));
}

function insecureRefusal({ host, port }: ListenAddress): WorkerRefusal {
  const why =
    `${host}:${port} can be reached from other boxes, and this worker has no identity to tell friend from stranger: ` +
    'listen on 127.0.0.1, or give --insecure if everybody who reaches the address may compile here';
  return { kind: 'refused', reason: 'insecure', why };
}

type Listening = { readonly serving: Serving; readonly addresses: readonly string[] };

async function listenAll(options: WorkerOptions, handlers: readonly Handler[]): Promise<Listening> {
  const unix = await unixListener(options);
  const attempt = async (anyPort: boolean): Promise<Listening> => {
    const tcp = options.listen.map(({ host, port, orAnyPort }): Listener => {
      return { kind: 'tcp', host, port: anyPort && orAnyPort === true ? 0 : port };
    });
    const serving = await serve(handlers, [...tcp, ...unix]);
    const addresses = options.listen.map(({ host }, at) => `${host}:${serving.ports[at] ?? 0}`);
    for (const address of addresses) options.log({ kind: 'listening', address });
    return { serving, addresses };
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

function workerOf(running: Running & Listening): Worker {
  const { serving, addresses, parts, audit } = running;
  let stopping: Promise<void> | undefined;
  const stop = (): Promise<void> => {
    stopping ??= (async () => {
      serving.stop();
      await close(running);
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
