// Jobs that wait for a place, in the order in which they are to get one. Builds take turns: the next job is one of the
// build that has the fewest in the farm. Within a build the longest goes first, so that the end does not wait for a long
// one begun late; waiting counts like length, so that a short job is not left for ever.

// A build of weight 2 gets twice the turns.

/** What the order needs to know of a job. */
export type Waiting = {
  readonly build: string;
  readonly arrivedMs: number;
  readonly work: { readonly ms: number };
};

type Lane<Job> = {
  readonly waiting: Job[];
  inFarm: number;
  /** Of builds with equally many in the farm the one with the least goes first: each turn adds to it. */
  pass: number;
};

export type JobQueue<Job extends Waiting> = {
  readonly lanes: Map<string, Lane<Job>>;
  size: number;
  /** Of the latest turn. A build that comes begins there: it has nothing to catch up with. */
  pass: number;
};

export function newQueue<Job extends Waiting>(): JobQueue<Job> {
  return { lanes: new Map(), size: 0, pass: 0 };
}

/** Earlier is sooner: the moment at which the job would have to have been begun. */
const due = ({ arrivedMs, work }: Waiting): number => arrivedMs - work.ms;

function laneOf<Job extends Waiting>(queue: JobQueue<Job>, build: string): Lane<Job> {
  let lane = queue.lanes.get(build);
  if (lane === undefined) {
    lane = { waiting: [], inFarm: 0, pass: queue.pass };
    queue.lanes.set(build, lane);
  }
  return lane;
}

function dropIfEmpty<Job extends Waiting>(queue: JobQueue<Job>, build: string, lane: Lane<Job>): void {
  if (lane.waiting.length === 0 && lane.inFarm === 0) queue.lanes.delete(build);
}

export function addWaiting<Job extends Waiting>(queue: JobQueue<Job>, job: Job): void {
  const { waiting } = laneOf(queue, job.build);
  let low = 0;
  for (let high = waiting.length; low < high;) {
    const middle = (low + high) >>> 1;
    const at = waiting[middle];
    if (at !== undefined && due(at) <= due(job)) low = middle + 1;
    else high = middle;
  }
  waiting.splice(low, 0, job);
  queue.size += 1;
}

/** Anew, where the work of jobs that wait is expected to be other than it was. */
export function reorder<Job extends Waiting>(queue: JobQueue<Job>): void {
  for (const { waiting } of queue.lanes.values()) waiting.sort((a, b) => due(a) - due(b));
}

/** False if it waits no longer. */
export function removeWaiting<Job extends Waiting>(queue: JobQueue<Job>, job: Job): boolean {
  const lane = queue.lanes.get(job.build);
  const at = lane?.waiting.indexOf(job) ?? -1;
  if (lane === undefined || at < 0) return false;
  lane.waiting.splice(at, 1);
  queue.size -= 1;
  dropIfEmpty(queue, job.build, lane);
  return true;
}

/** A job of the build went into the farm (1) or came out of it (-1). */
export function countInFarm<Job extends Waiting>(
  queue: JobQueue<Job>,
  build: string,
  change: 1 | -1,
  weight = 1,
): void {
  const lane = laneOf(queue, build);
  lane.inFarm += change;
  if (change === 1) {
    queue.pass = Math.max(queue.pass, lane.pass);
    lane.pass = queue.pass + 1 / weight;
  }
  dropIfEmpty(queue, build, lane);
}

/**
 * The waiting jobs in turn. Those that were yielded may be removed, and sent into the farm, before the next is asked for;
 * what stays is passed over. With weights, builds that have equally many in the farm take turns, too: where there is one
 * place, none has any whenever it becomes free.
 */
export function* inTurn<Job extends Waiting>(
  queue: JobQueue<Job>,
  weightOf?: (build: string) => number,
): Generator<Job> {
  const passed = new Map<Lane<Job>, number>();
  for (;;) {
    let best: Lane<Job> | undefined;
    let bestLoad = Infinity;
    for (const [build, lane] of queue.lanes) {
      const left = lane.waiting.length - (passed.get(lane) ?? 0);
      const load = lane.inFarm / (weightOf?.(build) ?? 1);
      const isSooner = weightOf !== undefined && load === bestLoad && best !== undefined && lane.pass < best.pass;
      if (left === 0 || !(load < bestLoad || isSooner)) continue;
      best = lane;
      bestLoad = load;
    }
    const at = best === undefined ? 0 : (passed.get(best) ?? 0);
    const job = best?.waiting[at];
    if (best === undefined || job === undefined) return;
    yield job;
    if (best.waiting[at] === job) passed.set(best, at + 1);
  }
}
