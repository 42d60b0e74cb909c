// Executions under way and those that ended of late, by name. Identical actions in flight are one run with several
// clients waiting for it; when the last of them has gone, the run is aborted.
//
//   queued ──slot──▶ running ──▶ ended (kept for a minute, for who lost the last message)
//      └──────────────┴──nobody waits──▶ aborted
import { randomUUID } from 'node:crypto';
import { digestKey, type Digest, type DigestKey } from '../../reapi/digest.ts';
import { GrpcError, grpcCode } from '../../reapi/errors.ts';
import type { ActionEnd } from './action.ts';

export type OperationState =
  | { readonly kind: 'queued' }
  | { readonly kind: 'running' }
  | { readonly kind: 'done'; readonly end: ActionEnd }
  | { readonly kind: 'failed'; readonly error: unknown };

export type Operation = {
  readonly name: string;
  readonly actionDigest: Digest;
  readonly state: () => OperationState;
  /** Resolves when the operation has ended, however; never rejects. */
  readonly ended: Promise<void>;
  /** Resolves when it has ended and no client waits for the answer any more. */
  readonly answered: Promise<void>;
  /** Counts a client that waits, until the returned function is called. */
  readonly wait: () => () => void;
  /** Nobody waited for it any more, so that it was aborted. */
  readonly isAborted: () => boolean;
  readonly onChange: (listener: () => void) => () => void;
};

export type StartRequest = {
  readonly actionDigest: Digest;
  /** False: neither joins a run in flight nor lets others join. */
  readonly merge: boolean;
  readonly run: (options: { readonly signal: AbortSignal; readonly onStart: () => void }) => Promise<ActionEnd>;
};

export type Operations = {
  /** @throws GrpcError UNAVAILABLE when the worker is about to end. */
  readonly start: (request: StartRequest) => Operation;
  readonly find: (name: string) => Operation | undefined;
  readonly running: () => number;
  /** Refuses what is new; resolves when what is under way has ended and been answered. */
  readonly drain: () => Promise<void>;
};

const keepEndedMs = 60_000;
const maxEnded = 100;

export function newOperations(): Operations {
  const live = new Map<string, Operation>();
  const ended = new Map<string, { readonly operation: Operation; readonly atMs: number }>();
  const merged = new Map<DigestKey, Operation>();
  let draining = false;

  const keepEnded = (operation: Operation): void => {
    const nowMs = performance.now();
    ended.set(operation.name, { operation, atMs: nowMs });
    for (const [name, { atMs }] of ended) {
      if (ended.size <= maxEnded && nowMs - atMs < keepEndedMs) return;
      ended.delete(name);
    }
  };

  const start: Operations['start'] = (request) => {
    const key = digestKey(request.actionDigest);
    const same = request.merge ? merged.get(key) : undefined;
    // One that is about to end so has no answer for who comes now.
    if (same?.isAborted() === false) return same;
    if (draining) throw new GrpcError(grpcCode.UNAVAILABLE, 'this worker is shutting down');
    const operation = begin(request);
    live.set(operation.name, operation);
    if (request.merge) merged.set(key, operation);
    operation.ended
      .then(() => {
        live.delete(operation.name);
        if (merged.get(key) === operation) merged.delete(key);
        keepEnded(operation);
      })
      .catch(() => undefined);
    return operation;
  };

  return {
    start,
    find: (name) => live.get(name) ?? ended.get(name)?.operation,
    running: () => live.size,
    drain: async () => {
      draining = true;
      await Promise.all([...live.values()].map((operation) => operation.answered));
    },
  };
}

// One for all: an abort without a reason makes a DOMException with its stack, 0.1 ms.
const nobodyWaits = new GrpcError(grpcCode.CANCELLED, 'nobody waits for this job any more');

const isOver = ({ kind }: OperationState): boolean => kind === 'done' || kind === 'failed';

function begin({ actionDigest, run }: StartRequest): Operation {
  const abort = new AbortController();
  const listeners = new Set<() => void>();
  let state: OperationState = { kind: 'queued' };
  let waiting = 0;
  let allLeft = (): void => undefined;
  const left = new Promise<void>((resolve) => (allLeft = resolve));
  const change = (next: OperationState): void => {
    state = next;
    for (const listener of listeners) listener();
  };
  const ended = run({ signal: abort.signal, onStart: () => change({ kind: 'running' }) }).then(
    (end) => change({ kind: 'done', end }),
    (error: unknown) => change({ kind: 'failed', error }),
  );
  const answered = ended.then(async () => {
    if (waiting > 0) await left;
    // Whoever asks again reads the outputs from the store.
    if (state.kind === 'done') state = { kind: 'done', end: { ...state.end, fresh: new Map() } };
  });
  return {
    name: `operations/${randomUUID()}`,
    actionDigest,
    state: () => state,
    ended,
    answered,
    wait: () => {
      waiting += 1;
      let here = true;
      return () => {
        if (!here) return;
        here = false;
        waiting -= 1;
        if (waiting > 0) return;
        if (isOver(state)) allLeft();
        else abort.abort(nobodyWaits);
      };
    },
    isAborted: () => abort.signal.aborted,
    onChange: (listener) => {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
  };
}
