// What has been measured of a host, and is kept from build to build: its pace for each kind of work, its round trip, its
// bandwidth. Nothing here is configured.
import { averaged, averagedRatio, guess, type Average } from './average.ts';
import type { Work, WorkKind } from './work.ts';

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
const known = { weight: 0.2, guess: 1 };
const unknown = { weight: 0.04, guess: 4 };
const paceBounds = { least: 0.02, most: 50 };
const timeWeight = 0.1;
const factorWeights = { weight: 0.1, guess: 4 };
const transferWeights = { weight: 0.1, guess: 0 };

export function newHostRecord(): HostRecord {
  return {
    pace: guess(1),
    factors: new Map(),
    roundTripMs: guess(firstRoundTripMs),
    bytesPerMs: guess(firstBytesPerMs),
    compileMs: guess(firstCompileMs),
  };
}

export function paceFor({ factors, pace }: HostRecord, kind: WorkKind): number {
  return pace.value * (factors.get(kind)?.value ?? 1);
}

const within = (sample: number): number => Math.min(paceBounds.most, Math.max(paceBounds.least, sample));

/**
 * It took `compileMs` for the work; work that is not known is taken for what its kind takes on the average. That is too
 * little to tell how the host does with that kind beside others.
 */
export function notePace(record: HostRecord, work: Work, compileMs: number): void {
  const { factors } = record;
  const sample = within(compileMs / work.ms);
  const factor = factors.get(work.kind) ?? guess(1);
  record.pace = averagedRatio(record.pace, sample / factor.value, work.known ? known : unknown);
  factors.set(work.kind, work.known ? averagedRatio(factor, sample / record.pace.value, factorWeights) : factor);
  record.compileMs = averaged(record.compileMs, compileMs, timeWeight);
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
