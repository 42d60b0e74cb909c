// What a compile is expected to take, before it runs: from its own last time, or from the compiles of its kind.
//
// Times are *work*: milliseconds on a host of pace 1. A host that takes twice as long for the same work has pace 2. The
// two are learnt together from each compile that was done: known work tells about the host, a known host about the work.
import { averagedRatio, guess, type Average } from './average.ts';
import { paceFor, type HostRecord } from './pace.ts';

/** Work that is alike: its language and whether it is optimised. Hosts differ in their pace by it. */
export type WorkKind = string;

/** What names a compile from build to build, and its kind. */
export type WorkName = { readonly key: string; readonly kind: WorkKind };

export type Work = WorkName & {
  /** On a host of pace 1. */
  readonly ms: number;
  /** It was done before; otherwise `ms` is what its kind takes. */
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

export type WorkMemory = { readonly past: Map<string, PastWork>; readonly kinds: Map<WorkKind, Average> };

// A C++ file at -O0 is about that; it only matters until the first compile is back.
const unknownMs = 500;
const leastMs = 1;
// Faster than the paces of hosts are learnt: what is common to all hosts (long compiles are done late) says nothing of any.
const kindWeights = { weight: 0.05, guess: 1 };

export function newWorkMemory(): WorkMemory {
  return { past: new Map(), kinds: new Map() };
}

export function expectedWork({ past, kinds }: WorkMemory, name: WorkName): Work {
  const before = past.get(name.key);
  if (before !== undefined) return { ...name, ms: workOf(before, name.kind), known: true, peakKb: before.peakKb };
  return { ...name, ms: kinds.get(name.kind)?.value ?? unknownMs, known: false, peakKb: 0 };
}

export function workOf({ ms, by }: PastWork, kind: WorkKind): number {
  return Math.max(leastMs, by === undefined ? ms : ms / paceFor(by, kind));
}

/** What work of that kind takes on the average, if any was done. */
export function usualWork({ kinds }: WorkMemory, kind: WorkKind): number | undefined {
  return kinds.get(kind)?.value;
}

type Done = { readonly compileMs: number; readonly by: HostRecord; readonly peakKb: number };

/**
 * The compile took `compileMs` on the host of this record, and `peakKb` at most, if that is known. A source changes from
 * build to build, and with it its time: the last one counts.
 */
export function rememberWork(
  { past, kinds }: WorkMemory,
  { key, kind }: WorkName,
  { compileMs, by, peakKb }: Done,
): void {
  const before = past.get(key);
  // Deleted first: the order of the map is that of the last use.
  past.delete(key);
  past.set(key, { ms: compileMs, by, peakKb: peakKb > 0 ? peakKb : (before?.peakKb ?? 0) });
  const ms = Math.max(leastMs, compileMs / paceFor(by, kind));
  kinds.set(kind, averagedRatio(kinds.get(kind) ?? guess(ms), ms, kindWeights));
}
