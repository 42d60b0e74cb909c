// How much memory the jobs of a worker may take, of which their files are a part: all of the box but a reserve for the
// system and the worker, and each job as much as all, so that no honest compile is killed that the box could do. Where
// control groups are at hand both hold for whole jobs; elsewhere the second holds for each process.
import { totalmem } from 'node:os';

export type MemoryBounds = { readonly totalBytes: number; readonly jobBytes: number };

/** What a job is told of it. */
export type JobMemory = {
  readonly jobBytes: number;
  /** The kernel counts whole jobs: what it then kills is known for what it is, unlike a compiler's own "out of memory". */
  readonly isGrouped: boolean;
};

// The worker itself takes some 120 MB under load, a system without a desktop 200.
const usualReserveBytes = 512 << 20;
const largestReserve = 1 / 4;

export function memoryBounds(jobBytes?: number, boxBytes = totalmem()): MemoryBounds {
  const totalBytes = boxBytes - Math.min(usualReserveBytes, Math.floor(boxBytes * largestReserve));
  return { totalBytes, jobBytes: Math.min(jobBytes ?? totalBytes, totalBytes) };
}
