// The slots of this worker: each a sandbox that runs one job at a time, and a queue before them.
import { isRefusal, startSlot, type Slot, type SlotRefusal } from './sandbox.ts';
import { queueBefore, type SlotQueue } from './slot-queue.ts';

export type SlotPool = SlotQueue & {
  readonly kind: 'slots';
  readonly size: number;
  /** Kills what runs; resolves when no process of the slots is left. */
  readonly close: () => Promise<void>;
};

export type SlotPoolOptions = { readonly size: number; readonly initPath: string; readonly stateDir: string };

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
  return { kind: 'slots', ...queueBefore(slots), size, close };
}
