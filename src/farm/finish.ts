// The one formula by which a host is chosen: when would it have this job done? Pure; docs/scheduling.md explains it.
//
//   finish = max(queue, transfer) + round trip + compile
//
//   queue      0 if a slot is free; else the work that is left on the host, over its slots
//   transfer   bytes that the host lacks, over its bandwidth
//   compile    the job's work × the host's pace for work of that kind × (1 + a twentieth of the share of its slots taken)
//
// A fuller host is a little slower (processors share caches and clocks), so jobs are spread over hosts that are alike.
//
// The queue and the transfer overlap: what is sent while the slots are busy costs nothing.
import { paceFor, type HostRecord } from './pace.ts';
import type { Work } from './work.ts';

/** A host as it stands now. Times are milliseconds from now. */
export type HostLoad = {
  readonly record: HostRecord;
  readonly slots: number;
  /** Jobs that it has or that are meant for it. */
  readonly jobs: number;
  /** Compile time left of all of them together. */
  readonly remainingMs: number;
  /** How long its slots are busy for others, as far as that has been seen. */
  readonly othersMs: number;
  readonly lacksBytes: number;
};

/** Milliseconds from now, and what they are made of. */
export type Finish = {
  readonly queueMs: number;
  readonly transferMs: number;
  readonly roundTripMs: number;
  readonly compileMs: number;
  readonly totalMs: number;
};

function queueMs({ slots, jobs, remainingMs, othersMs }: HostLoad): number {
  return othersMs + (jobs < slots ? 0 : remainingMs / slots);
}

const crowding = 0.05;

function compileMs({ record, jobs, slots }: HostLoad, work: Work): number {
  return work.ms * paceFor(record, work.kind) * (1 + crowding * Math.min(1, (jobs + 1) / slots));
}

/** `totalMs` of `expectedFinish` alone: a farm of a thousand hosts is asked for each job. */
export function finishMs(load: HostLoad, work: Work): number {
  const { record, lacksBytes } = load;
  const wait = Math.max(queueMs(load), lacksBytes / record.bytesPerMs.value);
  return wait + record.roundTripMs.value + compileMs(load, work);
}

export function expectedFinish(load: HostLoad, work: Work): Finish {
  const { record, lacksBytes } = load;
  return {
    queueMs: queueMs(load),
    transferMs: lacksBytes / record.bytesPerMs.value,
    roundTripMs: record.roundTripMs.value,
    compileMs: compileMs(load, work),
    totalMs: finishMs(load, work),
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
