// What a compile is expected to take, before it runs: from its own last time, or from the compiles of its kind.
//
// Times are *work*: milliseconds on a host of pace 1. A host that takes twice as long for the same work has pace 2. The
// two are learnt together from each compile that was done: known work tells about the host, a known host about the work.
import { averagedMean, extendedMean, guess, type Average } from './average.ts';
import { newKindRecord, usualMs, withCompile, type KindRecord, type WorkKind } from './kind.ts';
import { paceFor, type HostRecord } from './pace.ts';

/** What names a compile from build to build, and its kind. */
export type WorkName = {
  readonly key: string;
  readonly kind: WorkKind;
  /** How much it reads (src/farm/kind.ts). */
  readonly size: number;
};

export type Work = WorkName & {
  /** On a host of pace 1. */
  readonly ms: number;
  /** It was done before; otherwise `ms` is what its kind takes, by its size. */
  readonly known: boolean;
  /** The most memory it had in use, 0 where that is not known. */
  readonly peakKb: number;
};

export type PastWork = {
  /** On the host behind `by`; work is made of it by what is known of that host's pace when it is asked for. */
  readonly ms: number;
  readonly peakKb: number;
  /** Undefined: a host of pace 1. */
  readonly by: HostRecord | undefined;
};

export type WorkMemory = {
  readonly past: Map<string, PastWork>;
  readonly kinds: Map<WorkKind, KindRecord>;
  /** How many times as long as was expected of their kind compiles take lately, wherever. */
  common: Average;
};

// A C++ file at -O0 is about that; it only matters until the first compile is back.
const unknownMs = 500;
const leastMs = 1;
/** More than the largest compile that was heard of. */
export const mostPeakKb = 64 << 20;
const commonWeights = { weight: 0.05, guess: 0 };
// As for the hosts' paces: a few compiles take far longer than the others of their kind.
const mostTimes = 3;

export function newWorkMemory(): WorkMemory {
  return { past: new Map(), kinds: new Map(), common: guess(1) };
}

export function expectedWork({ past, kinds }: WorkMemory, name: WorkName): Work {
  const before = past.get(name.key);
  if (before !== undefined) return { ...name, ms: workOf(before, name.kind), known: true, peakKb: before.peakKb };
  return { ...name, ms: ofKind(kinds, name) ?? unknownMs, known: false, peakKb: 0 };
}

const ofKind = (kinds: WorkMemory['kinds'], { kind, size }: WorkName): number | undefined => {
  const record = kinds.get(kind);
  return record === undefined ? undefined : usualMs(record, size);
};

export function workOf({ ms, by }: PastWork, kind: WorkKind): number {
  return Math.max(leastMs, by === undefined ? ms : ms / paceFor(by, kind));
}

/**
 * What compiles of that kind and size take lately, on a host of pace 1, if any was done: what is common to all hosts
 * (at the start of a build the short ones are done first) says nothing of any.
 */
export function usualWork({ kinds, common }: WorkMemory, name: WorkName): number | undefined {
  const ms = ofKind(kinds, name);
  return ms === undefined ? undefined : ms * common.value;
}

/** Beside `usualWork`, a compile took so many times as long; or, where it was not done, has lasted as long. */
export function noteUsual(works: WorkMemory, times: number, was: 'done' | 'unfinished'): void {
  const sample = works.common.value * Math.min(mostTimes, times);
  const average = was === 'done' ? averagedMean : extendedMean;
  works.common = average(works.common, sample, commonWeights);
}

type Done = { readonly compileMs: number; readonly by: HostRecord; readonly peakKb: number };

/**
 * The compile took `compileMs` on the host of this record, and `peakKb` at most, if that is known. A source changes from
 * build to build, and with it its time: the last one counts.
 */
export function rememberWork(
  { past, kinds }: WorkMemory,
  { key, kind, size }: WorkName,
  { compileMs, by, peakKb }: Done,
): void {
  const before = past.get(key);
  // Deleted first: the order of the map is that of the last use.
  past.delete(key);
  past.set(key, { ms: compileMs, by, peakKb: peakKb > 0 ? peakKb : (before?.peakKb ?? 0) });
  const ms = Math.max(leastMs, compileMs / paceFor(by, kind));
  kinds.set(kind, withCompile(kinds.get(kind) ?? newKindRecord(ms, size), ms, size));
}
