// What has been measured of a host, and is kept from build to build: its pace for each kind of work, its round trip, its
// bandwidth. Nothing here is configured.
import { averaged, averagedMean, averagedRatio, extendedMean, guess, type Average } from './average.ts';
import type { WorkKind } from './kind.ts';

export type HostRecord = {
  /** Over all kinds of work. */
  pace: Average;
  /** For kinds that it has done: how many times as long they take there as its pace says. */
  readonly factors: Map<WorkKind, Average>;
  /** A call that brings no work, beyond what the host itself took, in ms. */
  roundTripMs: Average;
  /** Of large transfers to it, before compression. */
  bytesPerMs: Average;
  /** How long its compiles take, in ms: for how many have to be on their way to keep it busy. */
  compileMs: Average;
};

// Until something has been measured: a box like this one on a network of 100 Mbit/s.
const firstRoundTripMs = 2;
const firstBytesPerMs = 12_500;
const firstCompileMs = 500;

// A compile that was never done before says little about the host: files differ more than hosts do.
const wholeKnown = { weight: 0.2, guess: 1 };
const halfKnown = { weight: 0.1, guess: 2 };
const unknown = { weight: 0.01, guess: 2 };
const paceBounds = { least: 0.02, most: 50 };
const timeWeight = 0.1;
const factorWeights = { weight: 0.1, guess: 4 };
const transferWeights = { weight: 0.1, guess: 0 };

// A compile ten times as long as usual is one of a few in a project: where it happens to be tells nothing of the host.
const mostUsual = 2.5;

const clipped = ({ pace }: HostRecord, sample: number): number => Math.min(sample, mostUsual * pace.value);

export function newHostRecord(): HostRecord {
  return {
    pace: guess(1),
    factors: new Map(),
    roundTripMs: guess(firstRoundTripMs),
    bytesPerMs: guess(firstBytesPerMs),
    compileMs: guess(firstCompileMs),
  };
}

const factorFor = ({ factors }: HostRecord, kind: WorkKind): number => factors.get(kind)?.value ?? 1;

export function paceFor(record: HostRecord, kind: WorkKind): number {
  return record.pace.value * factorFor(record, kind);
}

const within = (sample: number): number => Math.min(paceBounds.most, Math.max(paceBounds.least, sample));

/** What is known of a compile beside the time that it took on this host. */
export type Known =
  /** It took so long on another host before. */
  | { readonly kind: 'before'; readonly ms: number; readonly by: HostRecord }
  /** It was done before, and would take so long on a host of pace 1. */
  | { readonly kind: 'work'; readonly ms: number }
  /** Compiles of its kind take so long lately on the average, on a host of pace 1. */
  | { readonly kind: 'usual'; readonly ms: number };

/**
 * It took `compileMs`. A time on another host tells how the two stand to each other: both move, half each, or the paces of
 * all would rise for ever, since jobs go where they are expected to be done sooner than they are. A time on this very host
 * tells nothing of its pace, and is not to be given. An average tells too little to say how the host does with this kind of
 * work beside others.
 */
export function notePace(
  record: HostRecord,
  kind: WorkKind,
  { compileMs, known }: { readonly compileMs: number; readonly known: Known | undefined },
): void {
  record.compileMs = averaged(record.compileMs, compileMs, timeWeight);
  switch (known?.kind) {
    case 'before': {
      const { ms, by } = known;
      const [pace, paceBy] = [paceFor(record, kind), paceFor(by, kind)];
      learn(record, kind, { sample: (compileMs / ms) * paceBy, weights: halfKnown });
      learn(by, kind, { sample: (ms / compileMs) * pace, weights: halfKnown });
      return;
    }
    case 'work':
      learn(record, kind, { sample: compileMs / known.ms, weights: wholeKnown });
      return;
    case 'usual': {
      const sample = clipped(record, compileMs / known.ms / factorFor(record, kind));
      record.pace = averagedMean(record.pace, within(sample), unknown);
      if (!record.factors.has(kind)) record.factors.set(kind, guess(1));
      return;
    }
    case undefined:
  }
}

/** A compile of its kind, that takes so long on the average, ran here for `ranMs` and was not done. */
export function noteUnfinished(
  record: HostRecord,
  kind: WorkKind,
  { ranMs, usualMs }: { readonly ranMs: number; readonly usualMs: number },
): void {
  const part = ranMs / usualMs / factorFor(record, kind);
  const most = clipped(record, part);
  record.pace = part > most ? averagedMean(record.pace, most, unknown) : extendedMean(record.pace, part, unknown);
}

type Sample = { readonly sample: number; readonly weights: typeof wholeKnown };

function learn(record: HostRecord, kind: WorkKind, { sample, weights }: Sample): void {
  const factor = record.factors.get(kind) ?? guess(1);
  record.pace = averagedRatio(record.pace, within(sample / factor.value), weights);
  record.factors.set(kind, averagedRatio(factor, within(sample / record.pace.value), factorWeights));
}

export function noteRoundTrip(record: HostRecord, ms: number): void {
  record.roundTripMs = averaged(record.roundTripMs, Math.max(0, ms), timeWeight);
}

export function noteTransfer(record: HostRecord, sent: { readonly bytes: number; readonly ms: number }): void {
  record.bytesPerMs = averagedRatio(
    record.bytesPerMs,
    Math.max(1, sent.bytes) / Math.max(0.1, sent.ms),
    transferWeights,
  );
}
