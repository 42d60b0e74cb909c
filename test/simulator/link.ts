// A simulated connection: messages take a latency and their bytes' time, arrive in order, and not at all while the host is
// silent. A call that is open when the connection ends fails with it.
import { GrpcError, grpcCode } from '../../src/reapi/errors.ts';
import type { Clock } from '../../src/observe/clock.ts';

export type Line = {
  readonly latencyMs: number;
  readonly bytesPerMs: number;
  /** The end of the silence that holds now; undefined where messages come through. */
  readonly silentUntil: () => number | undefined;
};

/** A call's two ends: the host answers, or it fails; whatever comes after the first is lost. */
export type Call<T> = {
  readonly answer: (sizeBytes: number, value: T) => void;
  readonly fail: (error: GrpcError) => void;
  /** The client waits no longer. */
  isOver: boolean;
};

export type CallOptions = {
  readonly signal?: AbortSignal;
  readonly deadlineMs: number;
  readonly onCancel?: () => void;
};

export type Link = {
  /** `serve` runs on the host, once the request is there. @throws GrpcError by its promise. */
  readonly call: <T>(sizeBytes: number, serve: (call: Call<T>) => void, options: CallOptions) => Promise<T>;
  readonly end: (error: GrpcError) => void;
  /** Takes no new calls, and ends when those under way have. */
  readonly endWhenIdle: () => void;
  readonly onEnd: (listener: (error: GrpcError) => void) => void;
  /** From now on nothing is heard of the host: whoever waits finds out after a while. */
  readonly watch: () => void;
  readonly bytes: { sent: number; received: number };
};

// As the real client: a host that answers no ping for that long is given up.
const patienceMs = 10_000;

export const unavailable = (message: string): GrpcError => new GrpcError(grpcCode.UNAVAILABLE, message);

const closing = (): GrpcError => unavailable('the connection was closed');

export function newLink(clock: Clock, line: Line): Link {
  const calls = new Set<(error: GrpcError) => void>();
  const listeners: ((error: GrpcError) => void)[] = [];
  const bytes = { sent: 0, received: 0 };
  const freeAtMs = { up: 0, down: 0 };
  let lost: GrpcError | undefined;
  let isWatched = false;
  let isLeaving = false;

  const travel = (way: 'up' | 'down', sizeBytes: number, arrive: () => void): void => {
    const nowMs = clock.nowMs();
    freeAtMs[way] = Math.max(nowMs, freeAtMs[way]) + sizeBytes / line.bytesPerMs;
    const land = (): void => {
      const untilMs = line.silentUntil();
      if (lost !== undefined) return;
      if (untilMs === undefined) arrive();
      else if (untilMs < Infinity) clock.after(untilMs - clock.nowMs(), land);
    };
    clock.after(freeAtMs[way] + line.latencyMs - nowMs, land);
  };

  const end = (error: GrpcError): void => {
    if (lost !== undefined) return;
    lost = error;
    for (const fail of calls) fail(error);
    for (const listener of listeners) listener(error);
  };

  const endWhenIdle = (): void => {
    isLeaving = true;
    if (calls.size === 0) end(closing());
  };

  const watch = (): void => {
    if (isWatched || calls.size === 0 || lost !== undefined) return;
    isWatched = true;
    clock.after(patienceMs, () => {
      isWatched = false;
      if (line.silentUntil() !== undefined && calls.size > 0) end(unavailable('the host has been silent for 10 s'));
    });
  };

  const call: Link['call'] = (sizeBytes, serve, { signal, deadlineMs, onCancel }) =>
    new Promise((resolve, reject) => {
      if (lost !== undefined || isLeaving || signal?.aborted === true) {
        reject(
          lost ?? (isLeaving ? closing() : undefined) ?? new GrpcError(grpcCode.CANCELLED, 'the call was cancelled'),
        );
        return;
      }
      const settle = (): void => {
        handle.isOver = true;
        calls.delete(fail);
        if (isLeaving && calls.size === 0) end(closing());
        deadline.cancel();
        signal?.removeEventListener('abort', abort);
      };
      const fail = (error: GrpcError): void => {
        settle();
        reject(error);
      };
      const giveUp = (code: number, message: string): void => {
        fail(new GrpcError(code, message));
        if (onCancel !== undefined) travel('up', 20, onCancel);
      };
      const abort = (): void => giveUp(grpcCode.CANCELLED, 'the call was cancelled');
      const deadline = clock.after(deadlineMs, () => giveUp(grpcCode.DEADLINE_EXCEEDED, `no end in ${deadlineMs} ms`));
      const back = (size: number, settled: () => void): void => {
        bytes.received += size;
        travel('down', size, () => {
          if (!handle.isOver) settled();
        });
      };
      const handle: Parameters<typeof serve>[0] = {
        answer: (size, value) => {
          back(size, () => {
            settle();
            resolve(value);
          });
        },
        fail: (error) => back(60, () => fail(error)),
        isOver: false,
      };
      calls.add(fail);
      signal?.addEventListener('abort', abort, { once: true });
      bytes.sent += sizeBytes;
      travel('up', sizeBytes, () => serve(handle));
      if (line.silentUntil() !== undefined) watch();
    });

  return { call, end, endWhenIdle, onEnd: (listener) => void listeners.push(listener), watch, bytes };
}
