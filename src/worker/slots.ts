// The slots of this worker: each a sandbox that runs one job at a time, and a queue before them.
import { GrpcError, grpcCode } from '../reapi/errors.ts';
import { isRefusal, startSlot, type SandboxJob, type SandboxResult, type Slot, type SlotRefusal } from './sandbox.ts';

export type SlotPool = {
  readonly kind: 'slots';
  readonly size: number;
  /** Runs the job on the next free slot. @throws GrpcError UNAVAILABLE if too many wait, CANCELLED if `signal` fires. */
  readonly run: (
    job: SandboxJob,
    options: { readonly signal: AbortSignal; readonly onStart: () => void },
  ) => Promise<SandboxResult>;
  readonly busy: () => number;
  /** Kills what runs; resolves when no process of the slots is left. */
  readonly close: () => Promise<void>;
};

export type SlotPoolOptions = { readonly size: number; readonly initPath: string; readonly stateDir: string };

// Clients send as many jobs as there are slots, and a few more; a thousand waiting means that something is wrong.
const maxWaiting = 1000;
// Debian's policy reserves the range, and containers that map 65,536 ids have it.
const firstSlotUid = 65_000;

function runAs(index: number): { readonly runAs: { readonly uid: number; readonly gid: number } } | undefined {
  if (process.getuid?.() !== 0) return undefined;
  const id = firstSlotUid + (index % 500);
  return { runAs: { uid: id, gid: id } };
}

export async function startSlots(options: SlotPoolOptions): Promise<SlotPool | SlotRefusal> {
  const { size, initPath, stateDir } = options;
  const slots: Slot[] = [];
  const close = async (): Promise<void> => {
    await Promise.all(slots.map((slot) => slot.close()));
  };
  for (let index = 0; index < size; index += 1) {
    const slot = await startSlot({ initPath, stateDir, host: true, ...runAs(index) });
    if (isRefusal(slot)) {
      await close();
      return slot;
    }
    slots.push(slot);
  }
  return { kind: 'slots', ...newQueue(slots), size, close };
}

/** First come, first served. */
function newQueue(slots: readonly Slot[]): Pick<SlotPool, 'run' | 'busy'> {
  const free = [...slots];
  const waiting = new Set<(slot: Slot) => void>();

  const take = (signal: AbortSignal): Slot | Promise<Slot> => {
    const slot = free.pop();
    if (slot !== undefined) return slot;
    if (waiting.size >= maxWaiting)
      throw new GrpcError(grpcCode.UNAVAILABLE, `${waiting.size} jobs are waiting already`);
    return new Promise((resolve, reject) => {
      const cancelled = (): void => {
        waiting.delete(start);
        reject(new GrpcError(grpcCode.CANCELLED, 'nobody waits for this job'));
      };
      const start = (slot: Slot): void => {
        signal.removeEventListener('abort', cancelled);
        resolve(slot);
      };
      signal.addEventListener('abort', cancelled, { once: true });
      waiting.add(start);
    });
  };

  const giveBack = (slot: Slot): void => {
    const [next] = waiting;
    if (next === undefined) {
      free.push(slot);
      return;
    }
    waiting.delete(next);
    next(slot);
  };

  const run: SlotPool['run'] = async (job, { signal, onStart }) => {
    if (signal.aborted) throw new GrpcError(grpcCode.CANCELLED, 'nobody waits for this job');
    const slot = await take(signal);
    try {
      onStart();
      return await slot.run(job, signal);
    } finally {
      giveBack(slot);
    }
  };

  return { run, busy: () => slots.length - free.length };
}
