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
// A source changes from build to build, and with it its time: the last one counts most.
const lastWeight = 0.5;
const kindWeights = { weight: 0.02, guess: 1 };

export function newWorkMemory(): WorkMemory {
  return { past: new Map(), kinds: new Map() };
}

export function expectedWork({ past, kinds }: WorkMemory, name: WorkName): Work {
  const before = past.get(name.key);
  if (before !== undefined) return { ...name, ms: workOf(before, name.kind), known: true, peakKb: before.peakKb };
  return { ...name, ms: kinds.get(name.kind)?.value ?? unknownMs, known: false, peakKb: 0 };
}

function workOf({ ms, by }: PastWork, kind: WorkKind): number {
  return Math.max(leastMs, by === undefined ? ms : ms / paceFor(by, kind));
}

type Done = { readonly compileMs: number; readonly by: HostRecord; readonly peakKb: number };

/** The compile took `compileMs` on the host of this record, and `peakKb` at most, if that is known. */
export function rememberWork(memory: WorkMemory, work: WorkName, done: Done): void {
  const { past, kinds } = memory;
  const { compileMs, by } = done;
  const pace = paceFor(by, work.kind);
  const before = past.get(work.key);
  const beforeMs = before === undefined ? compileMs : workOf(before, work.kind) * pace;
  // Deleted first: the order of the map is that of the last use.
  past.delete(work.key);
  past.set(work.key, {
    ms: beforeMs + lastWeight * (compileMs - beforeMs),
    by,
    peakKb: done.peakKb > 0 ? done.peakKb : (before?.peakKb ?? 0),
  });
  const ms = Math.max(leastMs, compileMs / pace);
  kinds.set(work.kind, averagedRatio(kinds.get(work.kind) ?? guess(ms), ms, kindWeights));
}
