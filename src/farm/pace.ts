// What has been measured of a host, and is kept from build to build: its pace for each kind of work, its round trip, its
// bandwidth. Nothing here is configured.
import { averaged, averagedRatio, guess, type Average } from './average.ts';
import type { Work, WorkKind } from './work.ts';

export type HostRecord = {
  /** For kinds that it has done. */
  readonly paces: Map<WorkKind, Average>;
  /** Over all kinds: what a kind that it has not done yet begins with. */
  pace: Average;
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
const knownWeight = 0.2;
const unknownWeight = 0.04;
const paceBounds = { least: 0.02, most: 50 };
const timeWeight = 0.1;

export function newHostRecord(): HostRecord {
  return {
    paces: new Map(),
    pace: guess(1),
    roundTripMs: guess(firstRoundTripMs),
    bytesPerMs: guess(firstBytesPerMs),
    compileMs: guess(firstCompileMs),
  };
}

export function paceFor({ paces, pace }: HostRecord, kind: WorkKind): number {
  return paces.get(kind)?.value ?? pace.value;
}

const within = (sample: number): number => Math.min(paceBounds.most, Math.max(paceBounds.least, sample));

/** It took `compileMs` for the work; work that is not known is taken for what its kind takes on the average. */
export function notePace(record: HostRecord, work: Work, compileMs: number): void {
  const sample = within(compileMs / work.ms);
  const weight = work.known ? knownWeight : unknownWeight;
  record.paces.set(work.kind, averagedRatio(record.paces.get(work.kind) ?? record.pace, sample, weight));
  record.pace = averagedRatio(record.pace, sample, weight);
  record.compileMs = averaged(record.compileMs, compileMs, timeWeight);
}

export function noteRoundTrip(record: HostRecord, ms: number): void {
  record.roundTripMs = averaged(record.roundTripMs, Math.max(0, ms), timeWeight);
}

export function noteTransfer(record: HostRecord, sent: { readonly bytes: number; readonly ms: number }): void {
  record.bytesPerMs = averagedRatio(record.bytesPerMs, Math.max(1, sent.bytes) / Math.max(0.1, sent.ms), timeWeight);
}
