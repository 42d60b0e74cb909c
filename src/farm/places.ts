// Who gets a place in the farm: a job waits here until the host that is expected to have it done first has room for it.
// src/farm/choose.ts says which that is, src/farm/queue.ts whose turn it is.
import type { ReasonId } from '../observe/reasons.ts';
import { digestKey } from '../reapi/digest.ts';
import {
  candidates,
  choose,
  hasToolchain,
  hereFinish,
  isAble,
  neededOf,
  rank,
  whyNone,
  whyNotHere,
  type Asked,
  type Ranking,
  type Verdict,
} from './choose.ts';
import type { Choice, Decision, Farm, PlaceRequest, Stay, WaitingJob } from './farm.ts';
import { jobsAhead } from './finish.ts';
import { leave, touch, type Host, type Place } from './host.ts';
import { addWaiting, countInFarm, inTurn, removeWaiting, reorder } from './queue.ts';
import { mayBeReached, reach } from './reach.ts';
import { dropRace, enter, noteOverdue, offerSecondPlaces, offerToOverdue } from './second-places.ts';
import { noteMeant } from './table.ts';
import type { Race } from './tail.ts';
import { expectedWork } from './work.ts';

// So many jobs that get no place may be looked at before the others' turn is over: at each tick, and in between, when a job
// has come or ended, so many comparisons with hosts.
const mostPassed = 64;
const mostComparisons = 4000;
// More are left as they are until it is their turn: twenty times a second is often.
const mostRefreshed = 1000;
// How often a job that waits, or lasts, is looked at again.
const tickMs = 50;

/** Begins to connect to every host that is not connected, and has rested if it failed. */
export function warm(farm: Farm): void {
  if (farm.closed) return;
  const nowMs = farm.world.clock.nowMs();
  for (const host of farm.table.changes.unconnected) {
    if (mayBeReached(host, nowMs)) void reach(host, farm.world).then(() => settled(farm));
  }
}

/** A host has answered or failed; after the last of many, all jobs are told that none can do. */
function settled(farm: Farm): void {
  if (!farm.hosts.some(({ state }) => state.kind === 'connecting')) dismissAll(farm);
  pump(farm);
}

export function askedOf(request: PlaceRequest): Asked {
  const { toolchain, work, tried, inputBytes, distccBytes, mayRunHere, onlyDistcc } = request;
  return { toolchain: digestKey(toolchain), work, tried, inputBytes, distccBytes, mayRunHere, onlyDistcc };
}

/**
 * A place for a job, or why there is none. The place is taken when this resolves: `leavePlace` it. Resolves at the
 * latest when the signal fires (with whatever there is: the job's end is not waited for any more).
 */
export function takePlace(farm: Farm, request: PlaceRequest): Promise<Choice> {
  const { build, work, signal } = request;
  const asked = askedOf(request);
  return new Promise((resolve) => {
    const gone = (): void => interrupt(farm, job);
    const decide = (choice: Choice): void => {
      signal.removeEventListener('abort', gone);
      resolve(choice);
    };
    const job: WaitingJob = { build, arrivedMs: farm.world.clock.nowMs(), work, asked, decide };
    addWaiting(farm.queue, job);
    signal.addEventListener('abort', gone, { once: true });
    if (signal.aborted || farm.closed) gone();
    warm(farm);
    if (!canBeDone(farm, job)) dismiss(farm, job);
    pumpSoon(farm);
  });
}

/** Nobody waits for its result any more. */
function interrupt(farm: Farm, job: WaitingJob): void {
  if (!removeWaiting(farm.queue, job)) return;
  job.decide({ kind: 'none', reason: 'interrupted', detail: '', decision: decisionOn(farm, job) });
}

function decisionOn(
  { table, home, world }: Farm,
  { asked, arrivedMs, work }: WaitingJob,
  ranking: Ranking = rank(table, asked, world.clock.nowMs()),
): Decision {
  const nowMs = world.clock.nowMs();
  return {
    waitedMs: nowMs - arrivedMs,
    work,
    candidates: candidates(table, ranking, { asked, nowMs }),
    here: hereFinish(home, table.hosts, asked),
    whyNotHere: whyNotHere(home, table.hosts, asked),
  };
}

/** By some host, now or later; or one is being connected that may be able to. */
function canBeDone({ hosts }: Farm, { asked }: WaitingJob): boolean {
  return hosts.some((host) => {
    return isAble(host, asked) || (host.state.kind === 'connecting' && !asked.tried.has(host));
  });
}

function reasonWhyNone(hosts: readonly Host[], asked: Asked): ReasonId {
  const reached = hosts.filter((host) => host.state.kind === 'ready' && !asked.tried.has(host));
  if (reached.length === 0) return 'no-worker';
  if (reached.some((host) => hasToolchain(host, asked))) return 'worker-full';
  const isDistcc = ({ state }: Host): boolean => state.kind === 'ready' && state.speaks === 'distcc';
  return asked.distccBytes === undefined && reached.every(isDistcc) ? 'distcc-protocol' : 'no-toolchain';
}

/** Takes the job out of the queue: no host can do it. */
function dismiss(farm: Farm, job: WaitingJob): void {
  if (!removeWaiting(farm.queue, job)) return;
  const { hosts } = farm;
  const { asked } = job;
  const reason = reasonWhyNone(hosts, asked);
  job.decide({ kind: 'none', reason, detail: whyNone(hosts, asked), decision: decisionOn(farm, job) });
}

const everyWaiting = ({ queue }: Farm): WaitingJob[] => [...queue.lanes.values()].flatMap((lane) => lane.waiting);

/** A host went away: jobs that only it could do, wherever in the queue, are told so. */
function dismissAll(farm: Farm): void {
  for (const job of everyWaiting(farm)) if (!canBeDone(farm, job)) dismiss(farm, job);
}

/** Once for all jobs that come together: the longest of them is to choose first. */
function pumpSoon(farm: Farm): void {
  if (farm.pumping) return;
  farm.pumping = true;
  queueMicrotask(() => {
    farm.pumping = false;
    pump(farm);
  });
}

/**
 * Gives places to waiting jobs, in turn, as long as there are any to give. Looks at few jobs that get none: it is called
 * for each job that comes and each that ends, and thousands may wait.
 */
function pump(farm: Farm, most: number = Math.min(mostPassed, Math.ceil(mostComparisons / farm.hosts.length))): void {
  const { queue, home, hosts, table } = farm;
  if (farm.closed || queue.size === 0) return;
  const nowMs = farm.world.clock.nowMs();
  const meant: Host[] = [];
  const full = new Set<string>();
  let isFarmFull = !hosts.some(hostHasRoom);
  let passed = 0;
  for (const job of inTurn(queue)) {
    refresh(farm, job);
    const { asked } = job;
    const isHomeFull = home.compiles.size >= home.slots;
    if (passed >= most || (isFarmFull && isHomeFull)) break;
    if ((isFarmFull || full.has(neededKey(asked))) && (isHomeFull || !asked.mayRunHere)) {
      passed += isFarmFull ? 1 : 0;
      continue;
    }
    const ranking = rank(table, asked, nowMs);
    const verdict = choose(table, ranking, { home, asked });
    switch (verdict.kind) {
      case 'none':
        // A host may have been found to lack the compiler since it came.
        if (!canBeDone(farm, job)) dismiss(farm, job);
        passed += 1;
        break;
      case 'wait':
        if (verdict.isFull) full.add(neededKey(asked));
        noteMeant(table, verdict.host, { work: job.work, nowMs });
        meant.push(verdict.host);
        passed += 1;
        break;
      case 'here':
      case 'send':
        give(farm, job, { verdict, ranking });
        if (verdict.kind === 'send') isFarmFull = !hostHasRoom(verdict.to) && !hosts.some(hostHasRoom);
    }
  }
  meant.forEach(touch);
  keepTicking(farm);
}

const neededKey = (asked: Asked): string => `${asked.toolchain} ${neededOf(asked).by}`;

/** What is known of its kind now may be more than when it came. */
function refresh({ memory }: Farm, job: WaitingJob): boolean {
  const { work, asked } = job;
  if (work.known) return false;
  const { ms } = expectedWork(memory.works, work);
  if (ms === work.ms) return false;
  job.work = { ...work, ms };
  job.asked = { ...asked, work: job.work };
  return true;
}

/** All that wait, and their order. */
function refreshAll(farm: Farm): void {
  const { queue } = farm;
  if (queue.size > mostRefreshed) return;
  let changed = false;
  for (const { waiting } of queue.lanes.values()) for (const job of waiting) changed = refresh(farm, job) || changed;
  if (changed) reorder(queue);
}

/** A slot, or a place among those that are sent ahead of one. */
function hostHasRoom({ state, record, places }: Host): boolean {
  return state.kind === 'ready' && places.size < state.slots + jobsAhead(record, state.slots);
}

type Given = {
  readonly verdict: Extract<Verdict, { readonly kind: 'send' | 'here' }>;
  readonly ranking: Ranking;
};

function give(farm: Farm, job: WaitingJob, { verdict, ranking }: Given): void {
  const decision = decisionOn(farm, job, ranking);
  removeWaiting(farm.queue, job);
  if (verdict.kind === 'here') {
    const stay: Stay = { work: job.work };
    farm.home.compiles.add(stay);
    job.decide({ kind: 'here', stay, decision });
    return;
  }
  job.decide({ kind: 'host', place: enter(farm, job, verdict.to), decision });
}

/** While jobs wait or may be overtaken, time alone changes what is best: a host rests enough, a job is overdue. */
function keepTicking(farm: Farm): void {
  if (farm.ticking || farm.closed || (farm.queue.size === 0 && farm.races.size === 0)) return;
  farm.ticking = true;
  farm.world.clock.after(tickMs, () => {
    farm.ticking = false;
    if (farm.queue.size > 0) {
      refreshAll(farm);
      warm(farm);
      if (farm.table.changes.unconnected.size > 0) dismissAll(farm);
    } else offerSecondPlaces(farm);
    noteOverdue(farm);
    offerToOverdue(farm);
    pump(farm, mostPassed);
    keepTicking(farm);
  });
}

/** Says that the job at this place may be given another one: `offer` is called at most once, and takes it. */
export function mayRace(farm: Farm, place: Place, race: Race): void {
  farm.races.set(place, race);
  keepTicking(farm);
}

/** The job at the place has ended, however: the place is free for the next. */
export function leavePlace(farm: Farm, place: Place): void {
  dropRace(farm, place);
  farm.again.delete(place);
  place.host.places.delete(place);
  touch(place.host);
  countInFarm(farm.queue, place.build, -1);
  offerToOverdue(farm);
  pump(farm);
}

/** A compile that was not chosen to run here and does, now or when a slot is free: it leaves the others less room. */
export function enterHome({ home }: Farm): object {
  const stay = {};
  home.compiles.add(stay);
  return stay;
}

/** A compile here has ended. */
export function leaveHome(farm: Farm, stay: object): void {
  farm.home.compiles.delete(stay);
  pump(farm);
}

export function closeFarm(farm: Farm): void {
  farm.closed = true;
  for (const job of everyWaiting(farm)) interrupt(farm, job);
  for (const host of farm.hosts) leave(host);
}
