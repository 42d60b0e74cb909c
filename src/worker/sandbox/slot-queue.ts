// The queue before the slots. Clients take turns: the next job is one of the client that has the fewest running, so that
// one which sends a thousand keeps nobody else waiting for them. One with a weight of 2 counts for two clients. Of one
// client's jobs the first come is the first served.
import { addWaiting, countInFarm, inTurn, newQueue, removeWaiting, type Waiting } from '../../farm/queue.ts';
import { busyError, GrpcError, grpcCode } from '../../reapi/errors.ts';
import type { SandboxJob, SandboxResult, Slot } from './sandbox.ts';

export type SlotRequest = {
  /** Whose job it is: one name a connection. */
  readonly client: string;
  readonly signal: AbortSignal;
  readonly onStart: () => void;
};

export type SlotQueue = {
  /** Runs the job on the next free slot. @throws GrpcError RESOURCE_EXHAUSTED if too many wait, CANCELLED if `signal` fires. */
  readonly run: (job: SandboxJob, request: SlotRequest) => Promise<SandboxResult>;
  readonly busy: () => number;
};

type WaitingRun = Waiting & { readonly start: (slot: Slot) => void };

// Clients send as many jobs as there are slots, and a few more; so many of one waiting means that something is wrong, and
// so many of all is what memory is for.
const mostOfOne = 1000;
const mostOfAll = 10_000;

// By then some of those that wait have begun.
const retryMs = 1000;

/** Of a client by name (`clientOf`); 1 for who is not named. */
export type Weights = ReadonlyMap<string, number>;

export function queueBefore(slots: readonly Slot[], weights: Weights = new Map()): SlotQueue {
  const free = [...slots];
  const queue = newQueue<WaitingRun>();
  const weightOf = (client: string): number => weights.get(client) ?? 1;
  let arrivals = 0;

  const wait = ({ client, signal }: SlotRequest): Promise<Slot> => {
    const own = queue.lanes.get(client)?.waiting.length ?? 0;
    if (own >= mostOfOne || queue.size >= mostOfAll) {
      throw busyError(`${own} jobs of this client are waiting already, ${queue.size} in all`, retryMs);
    }
    return new Promise((resolve, reject) => {
      const cancelled = (): void => {
        if (removeWaiting(queue, job)) reject(new GrpcError(grpcCode.CANCELLED, 'nobody waits for this job'));
      };
      const start = (slot: Slot): void => {
        signal.removeEventListener('abort', cancelled);
        resolve(slot);
      };
      // All are of one length, so within a client the order is that of arrival.
      const job: WaitingRun = { build: client, arrivedMs: (arrivals += 1), work: { ms: 0 }, start };
      signal.addEventListener('abort', cancelled, { once: true });
      addWaiting(queue, job);
    });
  };

  const handOut = (): void => {
    for (const job of inTurn(queue, weightOf)) {
      const slot = free.pop();
      if (slot === undefined) return;
      removeWaiting(queue, job);
      countInFarm(queue, job.build, 1, weightOf(job.build));
      job.start(slot);
    }
  };

  const run: SlotQueue['run'] = async (job, request) => {
    const { client, signal, onStart } = request;
    if (signal.aborted) throw new GrpcError(grpcCode.CANCELLED, 'nobody waits for this job');
    const waiting = wait(request);
    handOut();
    const slot = await waiting;
    try {
      onStart();
      return await slot.run(job, signal);
    } finally {
      free.push(slot);
      countInFarm(queue, client, -1);
      handOut();
    }
  };

  return { run, busy: () => slots.length - free.length };
}
