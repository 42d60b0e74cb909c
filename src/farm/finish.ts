// The one formula by which a host is chosen: when would it have this job done? Pure; docs/scheduling.md explains it.
//
//   finish = max(queue, transfer) + round trip + compile
//
//   queue      0 if a slot is free; else the time until one is for this job, by the expected ends of the host's jobs
//   transfer   bytes that the host lacks, over its bandwidth
//   compile    the job's work × the host's pace for work of that kind × (1 + a twentieth of the share of its slots taken)
//
// A fuller host is a little slower (processors share caches and clocks), so jobs are spread over hosts that are alike.
//
// The queue and the transfer overlap: what is sent while the slots are busy costs nothing.
import type { HostRecord } from './pace.ts';

/** A host as it stands now. Times are milliseconds from now. */
export type HostLoad = {
  /** For the work in question. */
  readonly pace: number;
  readonly slots: number;
  /** Jobs that it has or that are meant for it. */
  readonly jobs: number;
  /** Until a slot is free for one job more. */
  readonly slotFreeMs: number;
  /** How long its slots are busy for others, as far as that has been seen. */
  readonly othersMs: number;
  readonly lacksBytes: number;
  readonly bytesPerMs: number;
  readonly roundTripMs: number;
};

/** Milliseconds from now, and what they are made of. */
export type Finish = {
  readonly queueMs: number;
  readonly transferMs: number;
  readonly roundTripMs: number;
  readonly compileMs: number;
  readonly totalMs: number;
};

function queueMs({ slotFreeMs, othersMs }: HostLoad): number {
  return othersMs + slotFreeMs;
}

function transferMs({ lacksBytes, bytesPerMs }: HostLoad): number {
  return lacksBytes / bytesPerMs;
}

const crowding = 0.05;

function compileMs({ pace, jobs, slots }: HostLoad, workMs: number): number {
  return workMs * pace * (1 + crowding * Math.min(1, (jobs + 1) / slots));
}

/** `totalMs` of `expectedFinish` alone: a farm of a thousand hosts is asked for each job. */
export function finishMs(load: HostLoad, workMs: number): number {
  return Math.max(queueMs(load), transferMs(load)) + load.roundTripMs + compileMs(load, workMs);
}

export function expectedFinish(load: HostLoad, workMs: number): Finish {
  return {
    queueMs: queueMs(load),
    transferMs: transferMs(load),
    roundTripMs: load.roundTripMs,
    compileMs: compileMs(load, workMs),
    totalMs: finishMs(load, workMs),
  };
}

/**
 * Jobs beyond its slots that a host is sent, so that a slot that becomes free finds its next job there: as many as its
 * slots end while a result travels here and the next job there.
 */
export function jobsAhead(record: HostRecord, slots: number): number {
  const wanted = Math.ceil((slots * record.roundTripMs.value) / Math.max(1, record.compileMs.value));
  return Math.min(slots, Math.max(1, wanted));
}
