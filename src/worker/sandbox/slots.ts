// The slots of this worker: each a sandbox that runs one job at a time, and a queue before them.
import type { ControlGroups } from './control-groups.ts';
import type { JobMemory, MemoryBounds } from './memory-bounds.ts';
import { isRefusal, startSlot, type Slot, type SlotRefusal } from './sandbox.ts';
import type { SlotOptions } from './slot-process.ts';
import { queueBefore, type SlotQueue, type Weights } from './slot-queue.ts';

export type SlotPool = SlotQueue & {
  readonly kind: 'slots';
  readonly size: number;
  readonly memory: JobMemory;
  /** Kills what runs; resolves when no process of the slots is left. */
  readonly close: () => Promise<void>;
};

export type SlotPoolOptions = {
  readonly size: number;
  readonly optionsOf: (index: number) => SlotOptions;
  readonly memory: MemoryBounds;
  /** What the slots' groups bound. */
  readonly bounded: ControlGroups['bounded'];
  readonly weights?: Weights | undefined;
};

export async function startSlots(options: SlotPoolOptions): Promise<SlotPool | SlotRefusal> {
  const { size, optionsOf, memory, bounded } = options;
  const slots: Slot[] = [];
  const close = async (): Promise<void> => {
    await Promise.all(slots.map((slot) => slot.close()));
  };
  for (let index = 0; index < size; index += 1) {
    const slot = await startSlot(optionsOf(index));
    if (isRefusal(slot)) {
      await close();
      return slot;
    }
    slots.push(slot);
  }
  const isGrouped = bounded.includes('memory');
  const bounds = { jobBytes: memory.jobBytes, isGrouped };
  return { kind: 'slots', ...queueBefore(slots, options.weights), size, memory: bounds, close };
}
