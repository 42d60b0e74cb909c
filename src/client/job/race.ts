// One job at the place that it was given, and at a second one if the farm offers it: at the end of a build an idle slot may
// be done before the host that has the job. The first that is done wins, the other is cancelled.
import type { Farm, PlaceRequest } from '../../farm/farm.ts';
import { askedOf, leavePlace, mayRace } from '../../farm/places.ts';
import type { Host, Place, ReadyHost } from '../../farm/host.ts';
import { isOverdue } from '../../farm/tail.ts';
import { noteDone, noteOvertaken, type Observed } from '../../farm/learn.ts';
import { executeByDistcc } from '../distcc/job.ts';
import type { DistccJob } from '../distcc/request.ts';
import { blame } from '../attempt/faults.ts';
import { executeOn, type Execution } from '../attempt/execute.ts';
import type { DoneOutcome, ExecuteEnd } from '../attempt/end.ts';
import type { Attempt } from '../session/trail.ts';

/** The job in the words of both protocols. */
export type RacingJob = Execution & {
  /** For hosts of distcc; undefined if it may not go to one. */
  readonly distcc?: DistccJob | undefined;
  readonly env?: readonly string[];
};

/** How the job ended, where, every attempt at it, and the hosts of those. */
export type RaceEnd = {
  readonly end: ExecuteEnd;
  readonly place: Place;
  readonly attempts: readonly Attempt[];
  readonly hosts: ReadonlySet<Host>;
};

// A job that two hosts in turn never ended is given to a third.
const mostPlaces = 3;

type Running = { readonly place: Place; readonly abort: AbortController };

export function executeAt(farm: Farm, first: Place, request: PlaceRequest, job: RacingJob): Promise<RaceEnd> {
  return new Promise((resolve) => {
    const running = new Map<Place, Running>();
    const attempts: Attempt[] = [];
    const hosts = new Set<Host>();
    const begun = new Set<Host>();
    let settled = false;
    const mayGoOnElsewhere = (place: Place): void => {
      if (begun.size >= mostPlaces) return;
      const tried = new Set([...request.tried, ...begun]);
      mayRace(farm, place, {
        asked: { ...askedOf(request), work: place.work, tried },
        isFirst: begun.size === 1,
        offer,
      });
    };
    const settle = (end: ExecuteEnd, place: Place): void => {
      settled = true;
      for (const other of running.values()) {
        attempts.push(attemptOf(farm, other.place, job.signal.aborted ? 'interrupted' : 'overtaken'));
        if (end.kind === 'done') noteLate(farm, other.place, place);
        other.abort.abort();
      }
      resolve({ end, place, attempts, hosts });
    };
    const begin = (place: Place): void => {
      const abort = new AbortController();
      const cancel = (): void => abort.abort();
      job.signal.addEventListener('abort', cancel, { once: true });
      running.set(place, { place, abort });
      begun.add(place.host);
      void executeThere(place.ready, { ...job, signal: abort.signal }).then((end) => {
        job.signal.removeEventListener('abort', cancel);
        running.delete(place);
        if (!settled) {
          hosts.add(place.host);
          attempts.push(attemptOf(farm, place, outcomeOf(end, job.signal.aborted)));
          if (!job.signal.aborted) note(farm, place, end);
        }
        leavePlace(farm, place);
        if (settled) return;
        const [other] = running.keys();
        if (end.kind === 'done' || other === undefined) settle(end, place);
        else mayGoOnElsewhere(other);
      });
      mayGoOnElsewhere(place);
    };
    const offer = (next: Place): void => (settled ? leavePlace(farm, next) : begin(next));
    begin(first);
  });
}

/** In the host's own language. */
function executeThere(ready: ReadyHost, job: RacingJob): Promise<ExecuteEnd> {
  if (ready.speaks === 'reapi') return executeOn(ready, job);
  return executeByDistcc(ready, { ...job, job: job.distcc, env: job.env ?? [] });
}

type Outcome = Attempt['outcome'];

function outcomeOf(end: ExecuteEnd, aborted: boolean): Outcome {
  if (end.kind === 'done') return 'done';
  return aborted ? 'interrupted' : end.reason;
}

function attemptOf(farm: Farm, { host, sentMs }: Place, outcome: Outcome): Attempt {
  return { host: host.spec.name, sentMs, endedMs: farm.world.clock.nowMs(), outcome };
}

// A host that takes three times as long as another may be a slow one.
const clearly = 3;

/**
 * The job was done at the place `by`. If this one had far more time, and its host has done nothing at all for most of that,
 * it counts as a failure.
 */
function noteLate(farm: Farm, place: Place, by: Place): void {
  const { host, sentMs, expected } = place;
  noteOvertaken(farm, place);
  const nowMs = farm.world.clock.nowMs();
  const [hadMs, otherMs] = [nowMs - sentMs, nowMs - by.sentMs];
  const idleMs = nowMs - Math.max(sentMs, host.doneMs);
  if (idleMs < hadMs / 2 || hadMs < clearly * otherMs || !isOverdue(place, nowMs)) return;
  const detail = `nothing was done there in ${seconds(idleMs)} s, and what ${by.host.spec.name} has done in ${seconds(otherMs)} s was expected to take ${seconds(expected.totalMs)} s`;
  blame(place, farm.world, { kind: 'host-fault', reason: 'worker-stalled', detail, counts: 'if-repeated' });
}

const seconds = (ms: number): string => (ms / 1000).toFixed(1);

/** What this end says about the host; the user's errors say nothing. */
function note(farm: Farm, place: Place, end: ExecuteEnd): void {
  if (end.kind === 'host-fault') blame(place, farm.world, end);
  if (end.kind !== 'done') return;
  place.host.doneMs = farm.world.clock.nowMs();
  if (!end.cached) noteDone(farm, place, observed(farm, place, end));
}

const millis = (stamp: { readonly seconds: number; readonly nanos: number } | undefined): number | undefined =>
  stamp === undefined ? undefined : stamp.seconds * 1000 + stamp.nanos / 1e6;

/** The host's own times are differences of its own clock: how that stands to ours does not matter. */
function observed(farm: Farm, { sentMs }: Place, { result, usage, transfer }: DoneOutcome): Observed {
  const times = result.executionMetadata;
  const queued = millis(times?.queuedTimestamp);
  const started = millis(times?.executionStartTimestamp);
  const completed = millis(times?.workerCompletedTimestamp);
  const ended = millis(times?.executionCompletedTimestamp);
  const span = (from: number | undefined, to: number | undefined): number =>
    from === undefined || to === undefined ? 0 : Math.max(0, to - from);
  return {
    elapsedMs: farm.world.clock.nowMs() - sentMs,
    hostMs: span(queued, completed),
    waitMs: span(queued, started),
    compileMs: usage === undefined ? span(started, ended) : usage.wallUs / 1000,
    peakKb: usage?.maxRssKb ?? 0,
    transfer,
  };
}
