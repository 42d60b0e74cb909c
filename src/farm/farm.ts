// The hosts of one hosts setting, and the jobs that want a place there: a job waits here until the host that is expected
// to have it done first has room for it. src/farm/choose.ts says which that is, src/farm/queue.ts whose turn it is.
import type { ReasonId } from '../observe/reasons.ts';
import { digestKey, type Digest } from '../reapi/digest.ts';
import { isAside } from './aside.ts';
import {
  candidates,
  choose,
  hereFinish,
  whyNone,
  type At,
  type Asked,
  type Candidate,
  type Meant,
  type Verdict,
} from './choose.ts';
import type { Finish } from './finish.ts';
import { newHome, type Home } from './home.ts';
import type { HostSpec } from './host-spec.ts';
import {
  bytesOf,
  leave,
  mayBeReached,
  newHost,
  reach,
  type Host,
  type HostWorld,
  type Place,
  type ReadyHost,
} from './host.ts';
import { newFarmMemory, type FarmMemory } from './memory.ts';
import { addWaiting, countInFarm, inTurn, newQueue, removeWaiting, type JobQueue, type Waiting } from './queue.ts';
import { betterPlace, type Race } from './tail.ts';
import type { Work } from './work.ts';

export type Farm = {
  readonly hosts: readonly Host[];
  readonly home: Home;
  readonly world: HostWorld;
  readonly memory: FarmMemory;
  readonly queue: JobQueue<WaitingJob>;
  /** Jobs in the farm that may get a second place, by their first. */
  readonly races: Map<Place, Race>;
  /** A look at the farm is due, because time alone may change who gets a place. */
  ticking: boolean;
  /** No place is given any more. */
  closed: boolean;
};

export type PlaceRequest = {
  /** Whose turn it is goes by builds. */
  readonly build: string;
  readonly toolchain: Digest;
  readonly work: Work;
  readonly tried: ReadonlySet<Host>;
  readonly inputBytes: number;
  readonly mayRunHere: boolean;
  readonly signal: AbortSignal;
};

/** Why a job went where it went. */
export type Decision = {
  readonly waitedMs: number;
  readonly work: Work;
  readonly candidates: readonly Candidate[];
  /** This box's own finish, with what it costs the build; undefined where the job may not run here now. */
  readonly here: Finish | undefined;
};

export type Choice =
  | { readonly kind: 'host'; readonly place: Place; readonly decision: Decision }
  | { readonly kind: 'here'; readonly stay: Stay; readonly decision: Decision }
  | { readonly kind: 'none'; readonly reason: ReasonId; readonly detail: string; readonly decision: Decision };

/** A compile that was chosen to run here, and when it is expected to end. */
export type Stay = { readonly work: Work; readonly atMs: number };

type WaitingJob = Waiting & {
  readonly work: Work;
  readonly asked: Asked;
  readonly decide: (choice: Choice) => void;
};

// As many as one wants to read.
const mostCandidates = 6;
// So many jobs may wait for a better host before the others' turn is over: each is compared with every host.
const mostPassed = 64;
// How often a job that waits, or lasts, is looked at again.
const tickMs = 50;

export function newFarm(specs: readonly HostSpec[], world: HostWorld, memory: FarmMemory = newFarmMemory()): Farm {
  const hosts = specs.map((spec) => {
    const host = newHost(spec, memory.host(spec.name));
    const why = isAside(memory.asides, spec.name);
    if (why !== undefined) host.state = { kind: 'aside', why };
    return host;
  });
  const home = newHome(memory.home);
  return { hosts, home, world, memory, queue: newQueue(), races: new Map(), ticking: false, closed: false };
}

/** Begins to connect to every host that is not connected, and has rested if it failed. */
export function warm(farm: Farm): void {
  const nowMs = farm.world.clock.nowMs();
  for (const host of farm.hosts) {
    if (mayBeReached(host, nowMs)) void reach(host, farm.world).then(() => pump(farm));
  }
}

/** Resolves once every host has answered or failed, or the patience is over. */
export async function reachAll({ hosts, world }: Farm, patienceMs: number): Promise<void> {
  const settled = Promise.all(hosts.map((host) => reach(host, world)));
  await Promise.race([settled, new Promise<void>((resolve) => world.clock.after(patienceMs, resolve))]);
}

export function askedOf({ toolchain, work, tried, inputBytes, mayRunHere }: PlaceRequest): Asked {
  return { toolchain: digestKey(toolchain), work, tried, inputBytes, mayRunHere };
}

/**
 * A place for a job, or why there is none. The place is taken when this resolves: `leavePlace` it. Resolves at the
 * latest when the signal fires (with whatever there is: the job's end is not waited for any more).
 */
export function takePlace(farm: Farm, request: PlaceRequest): Promise<Choice> {
  const { build, work, signal } = request;
  const asked = askedOf(request);
  return new Promise((resolve) => {
    const gone = (): void => {
      if (!removeWaiting(farm.queue, job)) return;
      const decision = decisionOn(farm, job, { nowMs: farm.world.clock.nowMs(), meant: new Map() });
      job.decide({ kind: 'none', reason: 'interrupted', detail: '', decision });
    };
    const decide = (choice: Choice): void => {
      signal.removeEventListener('abort', gone);
      resolve(choice);
    };
    const job: WaitingJob = { build, arrivedMs: farm.world.clock.nowMs(), work, asked, decide };
    addWaiting(farm.queue, job);
    signal.addEventListener('abort', gone, { once: true });
    if (signal.aborted) gone();
    warm(farm);
    pump(farm);
  });
}

function decisionOn(farm: Farm, { asked, arrivedMs, work }: WaitingJob, at: At): Decision {
  return {
    waitedMs: at.nowMs - arrivedMs,
    work,
    candidates: candidates(farm.hosts, asked, at, mostCandidates),
    here: hereFinish(farm.home, asked, at.nowMs),
  };
}

/** Gives places to waiting jobs, in turn, as long as there are any to give. */
function pump(farm: Farm): void {
  if (farm.closed) return;
  const nowMs = farm.world.clock.nowMs();
  const meant: Meant = new Map();
  let passed = 0;
  for (const job of inTurn(farm.queue)) {
    const verdict = choose(farm.hosts, farm.home, job.asked, { nowMs, meant });
    if (verdict.kind === 'wait') {
      passed += 1;
      if (passed === mostPassed) break;
      const { jobs, ms } = meant.get(verdict.host) ?? { jobs: 0, ms: 0 };
      meant.set(verdict.host, { jobs: jobs + 1, ms: ms + job.work.ms * verdict.host.record.pace.value });
    } else if (verdict.kind !== 'none' || !mayStillCome(farm.hosts, job.asked)) {
      give(farm, job, verdict, { nowMs, meant });
    }
  }
  keepTicking(farm);
}

function give(farm: Farm, job: WaitingJob, verdict: Exclude<Verdict, { readonly kind: 'wait' }>, at: At): void {
  const decision = decisionOn(farm, job, at);
  removeWaiting(farm.queue, job);
  switch (verdict.kind) {
    case 'none': {
      const reason = verdict.reached ? 'no-toolchain' : 'no-worker';
      job.decide({ kind: 'none', reason, detail: whyNone(farm.hosts, job.asked), decision });
      return;
    }
    case 'here': {
      const stay: Stay = { work: job.work, atMs: at.nowMs + verdict.finish.compileMs };
      farm.home.endsMs.add(stay);
      job.decide({ kind: 'here', stay, decision });
      return;
    }
    case 'send':
      job.decide({ kind: 'host', place: enter(farm, job, verdict), decision });
  }
}

function enter(
  farm: Farm,
  { work, build }: { readonly work: Work; readonly build: string },
  { host, ready, finish }: { readonly host: Host; readonly ready: ReadyHost; readonly finish: Finish },
): Place {
  const place: Place = { host, ready, work, build, sentMs: farm.world.clock.nowMs(), expected: finish };
  host.places.add(place);
  countInFarm(farm.queue, build, 1);
  return place;
}

/** While jobs wait or may be overtaken, time alone changes what is best: a host rests enough, a job is overdue. */
function keepTicking(farm: Farm): void {
  if (farm.ticking || farm.closed || (farm.queue.size === 0 && farm.races.size === 0)) return;
  farm.ticking = true;
  farm.world.clock.after(tickMs, () => {
    farm.ticking = false;
    if (farm.queue.size > 0) warm(farm);
    else offerSecondPlaces(farm);
    pump(farm);
  });
}

/** Says that the job at this place may be given a second one: `offer` is called at most once, and takes it. */
export function mayRace(farm: Farm, place: Place, race: Omit<Race, 'offered'>): void {
  farm.races.set(place, { ...race, offered: false });
  keepTicking(farm);
}

function offerSecondPlaces(farm: Farm): void {
  const nowMs = farm.world.clock.nowMs();
  for (const [place, race] of farm.races) {
    if (race.offered) continue;
    const better = betterPlace(farm.hosts, farm.home, { place, asked: race.asked }, nowMs);
    if (better === undefined) continue;
    race.offered = true;
    race.offer(enter(farm, place, better));
  }
}

/** A host is being connected that this job has not been to. */
function mayStillCome(hosts: readonly Host[], { tried }: Asked): boolean {
  return hosts.some((host) => !tried.has(host) && host.state.kind === 'connecting');
}

/** The job at the place has ended, however: the place is free for the next. */
export function leavePlace(farm: Farm, place: Place): void {
  farm.races.delete(place);
  place.host.places.delete(place);
  countInFarm(farm.queue, place.build, -1);
  pump(farm);
}

/** The compile that was chosen to run here has ended. */
export function leaveHome(farm: Farm, stay: Stay): void {
  farm.home.endsMs.delete(stay);
  pump(farm);
}

export function slotsOf(farm: Farm): Map<string, number> {
  return new Map(
    farm.hosts.map((host) => [host.spec.name, host.state.kind === 'ready' ? host.state.slots : (host.spec.slots ?? 0)]),
  );
}

export function farmBytes(farm: Farm): { sent: number; received: number } {
  const total = { sent: 0, received: 0 };
  for (const host of farm.hosts) {
    const { sent, received } = bytesOf(host);
    total.sent += sent;
    total.received += received;
  }
  return total;
}

export function closeFarm(farm: Farm): void {
  farm.closed = true;
  for (const host of farm.hosts) leave(host);
}
