// A simulated host: a worker with slots and a queue, a pace for each kind of work, a line, a store, and faults. What it
// says of a job it says as the real worker does, on a clock of its own.
import type { Clock } from '../../src/observe/clock.ts';
import type { ExecuteOutcome } from '../../src/reapi/client.ts';
import { digestKey, digestOf, type Digest, type DigestKey } from '../../src/reapi/digest.ts';
import { GrpcError, grpcCode } from '../../src/reapi/errors.ts';
import type { ExecuteRequestFields } from '../../src/reapi/execute-call.ts';
import { ActionResult, ExecutedActionMetadata, OutputFile } from '../../src/reapi/gen/remote_execution.ts';
import type { Compiler, CompilerJob } from './compiler.ts';
import type { Draw } from './draw.ts';
import { lastsUntil, slowness, type Fault, type Lie } from './faults.ts';
import { unavailable, type Call, type Link } from './link.ts';
import { forget, newStore, type Store } from './store.ts';

export type HostPlan = {
  readonly name: string;
  readonly slots: number;
  readonly memoryKb?: number;
  /** How many times as long as on a host of pace 1 work of this kind takes. */
  readonly pace: (workKind: string) => number;
  readonly latencyMs: number;
  readonly bytesPerMs: number;
  /** A worker of shoal's own: it takes inputs along with the call. */
  readonly isShoal: boolean;
  /** Outputs come along with the answer. */
  readonly inlines: boolean;
  readonly faults: readonly Fault[];
};

export type HostParts = {
  readonly clock: Clock;
  readonly compiler: Compiler;
  readonly toolchain: Digest;
  readonly draw: Draw;
};

type Execution = {
  readonly call: Call<ExecuteOutcome>;
  readonly link: Link;
  readonly action: DigestKey;
  readonly job: CompilerJob;
  readonly queuedMs: number;
  startedMs: number;
  running: { readonly cancel: () => void } | undefined;
};

export type SimulatedHost = Omit<HostParts, 'compiler'> & {
  compiler: Compiler;
  readonly plan: HostPlan;
  readonly store: Store;
  readonly results: Map<DigestKey, CompilerJob>;
  readonly links: Set<Link>;
  readonly queue: Execution[];
  readonly running: Set<Execution>;
  /** What it was asked and did. */
  readonly diary: { compiled: number; connected: number; lastDoneMs: number; mostAtOnce: number; lacked: number };
};

export function newSimulatedHost(plan: HostPlan, parts: HostParts): SimulatedHost {
  const host: SimulatedHost = {
    ...parts,
    plan,
    store: newStore(),
    results: new Map(),
    links: new Set(),
    queue: [],
    running: new Set(),
    diary: { compiled: 0, connected: 0, lastDoneMs: 0, mostAtOnce: 0, lacked: 0 },
  };
  for (const fault of plan.faults) begin(host, fault);
  return host;
}

/** What befalls the host as a whole, at its time. */
function begin(host: SimulatedHost, fault: Fault): void {
  const at = (ms: number, happen: () => void): void => void host.clock.after(ms, happen);
  switch (fault.kind) {
    case 'silent':
      at(fault.fromMs, () => host.links.forEach((link) => link.watch()));
      return;
    case 'refuses':
      at(fault.fromMs, () => reset(host, 'the connection was refused'));
      return;
    case 'drops':
      at(fault.atMs, () => reset(host, 'the connection was reset'));
      return;
    case 'restarts':
      at(fault.atMs, () => {
        reset(host, 'the host is closing its connections');
        forget(host.store);
        host.results.clear();
      });
      return;
    case 'forgets':
      at(fault.atMs, () => forget(host.store));
      return;
    case 'slows':
    case 'mute':
    case 'full':
    case 'lies':
  }
}

function reset(host: SimulatedHost, why: string): void {
  for (const link of host.links) link.end(unavailable(why));
}

/** Why nobody can connect now, if so. */
export function isAway({ plan, clock }: SimulatedHost): boolean {
  const nowMs = clock.nowMs();
  const restarts = plan.faults.some(
    (fault) => fault.kind === 'restarts' && fault.atMs <= nowMs && nowMs < fault.atMs + fault.awayMs,
  );
  return restarts || lastsUntil(plan.faults, 'refuses', nowMs) !== undefined;
}

/** The connection has ended: what was to be done for it is not done any more. */
export function abandon(host: SimulatedHost, link: Link): void {
  host.links.delete(link);
  for (const execution of [...host.queue, ...host.running]) if (execution.link === link) drop(host, execution);
}

/** The client waits for it no longer. */
export function cancel(host: SimulatedHost, call: Call<ExecuteOutcome>): void {
  const execution = [...host.queue, ...host.running].find((one) => one.call === call);
  if (execution !== undefined) drop(host, execution);
}

function drop(host: SimulatedHost, execution: Execution): void {
  const at = host.queue.indexOf(execution);
  if (at >= 0) host.queue.splice(at, 1);
  execution.running?.cancel();
  host.running.delete(execution);
  startNext(host);
}

/** An Execute has arrived. */
export function execute(
  host: SimulatedHost,
  { actionDigest, skipCacheLookup, inputs = [] }: ExecuteRequestFields,
  { call, link }: Pick<Execution, 'call' | 'link'>,
): void {
  const { store, clock, plan, diary } = host;
  const nowMs = clock.nowMs();
  for (const { digest, bytes, base } of inputs) {
    if (base === undefined || store.blobs.has(digestKey(base.digest))) store.blobs.set(digestKey(digest), bytes);
  }
  if (lastsUntil(plan.faults, 'mute', nowMs) !== undefined) return;
  if (lastsUntil(plan.faults, 'full', nowMs) !== undefined) {
    call.answer(80, { kind: 'failed', code: grpcCode.RESOURCE_EXHAUSTED, message: 'no space left on device' });
    return;
  }
  const action = digestKey(actionDigest);
  const before = skipCacheLookup ? undefined : host.results.get(action);
  if (before !== undefined) {
    answer(host, { call, link, action, job: before, queuedMs: nowMs, startedMs: nowMs, running: undefined }, true);
    return;
  }
  const prepared = host.compiler(actionDigest, store);
  if (prepared.kind === 'missing') {
    diary.lacked += 1;
    call.answer(80 * prepared.digests.length, prepared);
    return;
  }
  host.queue.push({ call, link, action, job: prepared, queuedMs: nowMs, startedMs: nowMs, running: undefined });
  diary.mostAtOnce = Math.max(diary.mostAtOnce, host.queue.length + host.running.size);
  startNext(host);
}

function startNext(host: SimulatedHost): void {
  const { queue, running, plan, clock } = host;
  while (running.size < plan.slots) {
    const execution = queue.shift();
    if (execution === undefined) return;
    const { job } = execution;
    execution.startedMs = clock.nowMs();
    running.add(execution);
    const takesMs = job.workMs * plan.pace(job.workKind) * slowness(plan.faults, clock.nowMs());
    execution.running = clock.after(takesMs, () => {
      running.delete(execution);
      host.results.set(execution.action, job);
      host.diary.compiled += 1;
      host.diary.lastDoneMs = clock.nowMs();
      answer(host, execution, false);
      startNext(host);
    });
  }
}

// The host's clock is not the client's.
const ahead = 7_000_000;
const stamp = (ms: number): { seconds: number; nanos: number } => {
  const seconds = Math.floor((ms + ahead) / 1000);
  return { seconds, nanos: Math.round((ms + ahead - seconds * 1000) * 1e6) };
};

const noBytes = Buffer.alloc(0);

function answer(host: SimulatedHost, { call, job, queuedMs, startedMs }: Execution, cached: boolean): void {
  const { clock, store, plan } = host;
  const nowMs = clock.nowMs();
  const result = ActionResult.decode(noBytes);
  const digest = digestOf(job.object);
  store.blobs.set(digestKey(digest), job.object);
  result.outputFiles = [{ ...OutputFile.decode(noBytes), path: job.output, digest }];
  result.executionMetadata = {
    ...ExecutedActionMetadata.decode(noBytes),
    queuedTimestamp: stamp(queuedMs),
    executionStartTimestamp: stamp(startedMs),
    executionCompletedTimestamp: stamp(nowMs),
    workerCompletedTimestamp: stamp(nowMs),
  };
  const blobs = new Map(plan.inlines ? [[digestKey(digest), job.object]] : []);
  const usage = { userUs: 0, systemUs: 0, maxRssKb: 0, wallUs: (nowMs - startedMs) * 1000 };
  const outcome: Done = { kind: 'done', result, cached, blobs, usage: cached ? undefined : usage };
  call.answer(plan.inlines ? 300 + job.object.length : 300, bent(host, outcome));
}

// The digest of bytes that are given for it and do not have it.
const othersHash = '0'.repeat(64);

type Done = Extract<ExecuteOutcome, { readonly kind: 'done' }>;

/** The answer as the host gives it: right, or one of its lies. */
function bent(host: SimulatedHost, outcome: Done): Done {
  for (const fault of host.plan.faults) {
    if (fault.kind === 'lies' && host.draw() * 100 < fault.percent) return told(host, fault.how, outcome);
  }
  return outcome;
}

function told({ store }: SimulatedHost, how: Lie, outcome: Done): Done {
  const { result } = outcome;
  const [file] = result.outputFiles;
  if (file === undefined) return outcome;
  switch (how) {
    case 'no-outputs':
      return { ...outcome, result: { ...result, outputFiles: [] } };
    case 'no-digest':
      return { ...outcome, result: { ...result, outputFiles: [{ ...file, digest: undefined }] } };
    case 'other-bytes':
      // The bytes that come for the digest are others: what is inlined so is dropped, and what is read fails.
      return {
        ...outcome,
        result: { ...result, outputFiles: [{ ...file, digest: { hash: othersHash, sizeBytes: 700 } }] },
        blobs: new Map(),
      };
    case 'no-object': {
      const bytes = Buffer.from('no object');
      store.blobs.set(digestKey(digestOf(bytes)), bytes);
      return {
        ...outcome,
        result: { ...result, outputFiles: [{ ...file, digest: digestOf(bytes) }] },
        blobs: new Map(),
      };
    }
    case 'odd-status':
      return { ...outcome, result: { ...result, exitCode: 300 } };
    case 'silent-failure':
      return { ...outcome, result: { ...result, exitCode: 1, outputFiles: [] } };
  }
}

export function readBlob({ store }: SimulatedHost, digest: Digest): Buffer {
  if (digest.hash === othersHash) throw new GrpcError(grpcCode.DATA_LOSS, 'the bytes do not have their digest');
  const bytes = store.blobs.get(digestKey(digest));
  if (bytes === undefined) throw new GrpcError(grpcCode.NOT_FOUND, 'no such blob');
  return bytes;
}
