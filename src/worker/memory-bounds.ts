// How much memory the jobs of a worker may take, of which their files are a part: all of the box but a reserve for the
// system and the worker, and each job as much as all, so that no honest compile is killed that the box could do. Where
// control groups are at hand both hold for whole jobs; elsewhere the second holds for each process.
import { totalmem } from 'node:os';

export type MemoryBounds = { readonly totalBytes: number; readonly jobBytes: number };

// The worker itself takes some 120 MB under load, a system without a desktop 200.
const usualReserveBytes = 512 << 20;
const largestReserve = 1 / 4;

export function memoryBounds(jobBytes?: number, boxBytes = totalmem()): MemoryBounds {
  const totalBytes = boxBytes - Math.min(usualReserveBytes, Math.floor(boxBytes * largestReserve));
  return { totalBytes, jobBytes: Math.min(jobBytes ?? totalBytes, totalBytes) };
}
