// One job at the place that it was given, and at a second one if the farm offers it: at the end of a build an idle slot may
// be done before the host that has the job. The first that is done wins, the other is cancelled.
import { askedOf, leavePlace, mayRace, type Farm, type PlaceRequest } from '../farm/farm.ts';
import type { Host, Place } from '../farm/host.ts';
import { noteDone, type Observed } from '../farm/learn.ts';
import { blame } from './faults.ts';
import { executeOn, type DoneOutcome, type ExecuteEnd, type Execution } from './execute.ts';
import type { Attempt } from './trail.ts';

/** How the job ended, where, every attempt at it, and the hosts of those. */
export type RaceEnd = {
  readonly end: ExecuteEnd;
  readonly place: Place;
  readonly attempts: readonly Attempt[];
  readonly hosts: ReadonlySet<Host>;
};

export function executeAt(farm: Farm, first: Place, request: PlaceRequest, job: Execution): Promise<RaceEnd> {
  return new Promise((resolve) => {
    const running = new Map<Place, AbortController>();
    const attempts: Attempt[] = [];
    const hosts = new Set<Host>();
    let settled = false;
    const begin = (place: Place): void => {
      const abort = new AbortController();
      const cancel = (): void => abort.abort();
      job.signal.addEventListener('abort', cancel, { once: true });
      running.set(place, abort);
      void executeOn(place.ready, { ...job, signal: abort.signal }).then((end) => {
        job.signal.removeEventListener('abort', cancel);
        running.delete(place);
        hosts.add(place.host);
        attempts.push(attemptOf(farm, place, outcomeOf(end, { settled, aborted: job.signal.aborted })));
        if (!settled && !job.signal.aborted) note(farm, place, end);
        leavePlace(farm, place);
        if (settled || (end.kind !== 'done' && running.size > 0)) return;
        settled = true;
        for (const other of running.values()) other.abort();
        resolve({ end, place, attempts, hosts });
      });
    };
    begin(first);
    const offer = (second: Place): void => (settled ? leavePlace(farm, second) : begin(second));
    mayRace(farm, first, { asked: askedOf(request), offer });
  });
}

type Outcome = Attempt['outcome'];

function outcomeOf(
  end: ExecuteEnd,
  { settled, aborted }: { readonly settled: boolean; readonly aborted: boolean },
): Outcome {
  if (settled) return 'overtaken';
  if (end.kind === 'done') return 'done';
  return aborted ? 'interrupted' : end.reason;
}

function attemptOf(farm: Farm, { host, sentMs }: Place, outcome: Outcome): Attempt {
  return { host: host.spec.name, sentMs, endedMs: farm.world.clock.nowMs(), outcome };
}

/** What this end says about the host; the user's errors say nothing. */
function note(farm: Farm, place: Place, end: ExecuteEnd): void {
  if (end.kind === 'host-fault') blame(place, farm.world, end);
  if (end.kind === 'done' && !end.cached) noteDone(farm, place, observed(farm, place, end));
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
