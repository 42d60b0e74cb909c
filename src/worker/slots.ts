// The slots of this worker: each a sandbox that runs one job at a time, and a queue before them.
import { readFileSync } from 'node:fs';
import { isMapped } from './containment.ts';
import { openControlGroups } from './control-groups.ts';
import type { JobMemory, MemoryBounds } from './memory-bounds.ts';
import { maxProcesses } from './sandbox-job.ts';
import { isRefusal, startSlot, type Slot, type SlotRefusal } from './sandbox.ts';
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
  readonly initPath: string;
  readonly stateDir: string;
  readonly memory: MemoryBounds;
  readonly weights?: Weights | undefined;
  readonly contain?: 'none';
};

// Debian's policy reserves the range, and containers that map 65,536 ids have it.
const firstSlotUid = 65_000;

// The keeper, the init and the leader, and one leader that is about to end.
const processesAround = 4;

function runAs(index: number): { readonly runAs: { readonly uid: number; readonly gid: number } } | undefined {
  const id = firstSlotUid + (index % 500);
  // In a container that maps root alone, the slots stay what the worker is, as a plain user's do.
  if (process.getuid?.() !== 0 || !isMapped(id, readFileSync('/proc/self/uid_map', 'utf8'))) return undefined;
  return { runAs: { uid: id, gid: id } };
}

export async function startSlots(options: SlotPoolOptions): Promise<SlotPool | SlotRefusal> {
  const { size, initPath, stateDir, memory, contain } = options;
  if (contain === 'none' && runAs(0) === undefined) {
    const why =
      'without namespaces only root can give jobs their paths and a user of their own: run the worker as root';
    return { kind: 'refused', why: `--contain=none cannot work here: ${why}` };
  }
  const groups = openControlGroups({ slots: size, ...memory, processes: maxProcesses + processesAround });
  const slots: Slot[] = [];
  const close = async (): Promise<void> => {
    await Promise.all(slots.map((slot) => slot.close()));
    groups.close();
  };
  for (let index = 0; index < size; index += 1) {
    const group = groups.slots[index];
    const slot = await startSlot({
      initPath,
      stateDir,
      host: true,
      ...(group && { group }),
      ...(contain && { contain }),
      ...runAs(index),
    });
    if (isRefusal(slot)) {
      await close();
      return slot;
    }
    slots.push(slot);
  }
  const isGrouped = groups.bounded.includes('memory');
  const bounds = { jobBytes: memory.jobBytes, isGrouped };
  return { kind: 'slots', ...queueBefore(slots, options.weights), size, memory: bounds, close };
}
