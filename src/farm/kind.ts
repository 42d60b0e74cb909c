// What compiles of one kind take, by how much they read: a line through those that were done. Over leveldb, abseil and a
// kernel what a compile reads outside the toolchain, its source many times over, explains most of what they differ by
// (correlation of the logarithms 0.65 to 0.78).
import { averagedMean, guess, type Average } from './average.ts';

/** Work that is alike: its language and whether it is optimised. Hosts differ in their pace by it. */
export type WorkKind = string;

/** Means of one sample after the other. */
export type KindRecord = {
  /** On a host of pace 1. */
  readonly ms: Average;
  /** What was read, by `readSize`. */
  readonly size: Average;
  readonly sizeSquared: Average;
  readonly sizeTimesMs: Average;
};

const weights = { weight: 0.02, guess: 0 };
// Two points make a line, and no good one.
const leastSamples = 10;
// Beside the mean: no line holds far away from its points.
const mostTimes = 5;

// A compile does more with what is its own than with what it includes.
const sourceShare = 20;

/** In megabytes. */
export function readSize(closureBytes: number, sourceBytes: number): number {
  return (closureBytes + sourceShare * sourceBytes) / 1e6;
}

export function newKindRecord(ms: number, size: number): KindRecord {
  return { ms: guess(ms), size: guess(size), sizeSquared: guess(size * size), sizeTimesMs: guess(size * ms) };
}

export function withCompile(record: KindRecord, ms: number, size: number): KindRecord {
  return {
    ms: averagedMean(record.ms, ms, weights),
    size: averagedMean(record.size, size, weights),
    sizeSquared: averagedMean(record.sizeSquared, size * size, weights),
    sizeTimesMs: averagedMean(record.sizeTimesMs, size * ms, weights),
  };
}

/** What one of that size takes. */
export function usualMs({ ms, size, sizeSquared, sizeTimesMs }: KindRecord, ofSize: number): number {
  const variance = sizeSquared.value - size.value ** 2;
  if (ms.samples < leastSamples || !(variance > 0)) return ms.value;
  const slope = Math.max(0, (sizeTimesMs.value - size.value * ms.value) / variance);
  const onLine = ms.value + slope * (ofSize - size.value);
  return Math.min(mostTimes * ms.value, Math.max(ms.value / mostTimes, onLine));
}
