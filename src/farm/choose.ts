// Which host gets a job: every host that can do it is given its expected finish, and the earliest wins; the order of the
// setting breaks ties. Looks at the farm as it stands, changes nothing.
import type { DigestKey } from '../reapi/digest.ts';
import { expectedFinish, finishMs, jobsAhead, type Finish, type HostLoad } from './finish.ts';
import { homeCost, homeLoad, isThisBox, type Home } from './home.ts';
import type { Host, Place, ReadyHost } from './host.ts';
import type { Work } from './work.ts';

/** What is asked for a job. */
export type Asked = {
  readonly toolchain: DigestKey;
  readonly work: Work;
  /** Hosts that this job has already been to. */
  readonly tried: ReadonlySet<Host>;
  /** All that the job's build has in its layer; what a host was given of it, it does not lack. */
  readonly inputBytes: number;
  readonly mayRunHere: boolean;
};

/** A host as seen for one job; kept for `shoal explain`. */
export type Candidate =
  | { readonly kind: 'candidate'; readonly host: string; readonly finish: Finish }
  | { readonly kind: 'not'; readonly host: string; readonly why: string };

export type Verdict =
  | { readonly kind: 'send'; readonly host: Host; readonly ready: ReadyHost; readonly finish: Finish }
  | { readonly kind: 'here'; readonly finish: Finish }
  /** A busy host would still be the first to be done. */
  | { readonly kind: 'wait'; readonly host: Host }
  | { readonly kind: 'none'; readonly reached: boolean };

// Others' work on a host is forgotten at that rate: half in ten seconds.
const othersHalfLifeMs = 10_000;
// What an overdue job still needs, of what it has taken so far: nobody knows.
const overdueShare = 0.25;

export function remainingOf({ sentMs, expected }: Place, nowMs: number): number {
  const left = sentMs + expected.totalMs - nowMs;
  return left >= 0 ? Math.min(expected.compileMs, left) : overdueShare * (nowMs - sentMs);
}

/** Jobs that wait for a host although another has a free slot, and their work there. */
export type Meant = Map<Host, { readonly jobs: number; readonly ms: number }>;

export type At = { readonly nowMs: number; readonly meant: Meant };

function othersMs({ others }: Host, nowMs: number): number {
  return others.waitMs === 0 ? 0 : others.waitMs * 2 ** (-(nowMs - others.seenMs) / othersHalfLifeMs);
}

export function loadOf(host: Host, ready: ReadyHost, { nowMs, meant }: At, inputBytes: number): HostLoad {
  const held = meant.get(host);
  const jobs = host.places.size + (held?.jobs ?? 0);
  let remainingMs = held?.ms ?? 0;
  // Below its slots it does not matter.
  if (jobs >= ready.slots) for (const place of host.places) remainingMs += remainingOf(place, nowMs);
  return {
    record: host.record,
    slots: ready.slots,
    jobs,
    remainingMs,
    othersMs: othersMs(host, nowMs),
    lacksBytes: Math.max(0, inputBytes - ready.heldBytes),
  };
}

/** Room for one more job: a slot, or a place among those that are sent ahead of one. */
export function hasRoom({ record, places }: Host, { slots }: ReadyHost): boolean {
  return places.size < slots + jobsAhead(record, slots);
}

/** Its memory is enough for the job beside those that it has. */
function fits({ places }: Host, { memoryKb }: ReadyHost, { peakKb }: Work): 'yes' | 'not-now' | 'never' {
  if (memoryKb === 0 || peakKb === 0) return 'yes';
  if (peakKb > memoryKb) return 'never';
  let usedKb = peakKb;
  for (const place of places) usedKb += place.work.peakKb;
  return usedKb > memoryKb && places.size > 0 ? 'not-now' : 'yes';
}

function whyNot({ state, spec }: Host, { toolchain, tried, work }: Asked, host: Host): string {
  if (tried.has(host)) return 'it has failed at this job';
  switch (state.kind) {
    case 'aside':
      return `set aside: ${state.why}`;
    case 'resting':
      return `resting after a failure: ${state.why}`;
    case 'idle':
    case 'connecting':
      return 'not connected yet';
    case 'ready':
      if (!state.toolchains.has(toolchain)) {
        return `has ${state.toolchains.size} compilers, not ${toolchain.slice(0, 12)}`;
      }
      return `the job needs ${work.peakKb} KB of memory, more than ${spec.name} has`;
  }
}

type Best = { readonly host: Host; readonly ready: ReadyHost; readonly load: HostLoad; readonly ms: number };

/** Hosts that could do the job now or later. */
function able(host: Host, { toolchain, tried, work }: Asked): ReadyHost | undefined {
  const { state } = host;
  if (state.kind !== 'ready' || !state.toolchains.has(toolchain) || tried.has(host)) return undefined;
  return fits(host, state, work) === 'never' ? undefined : state;
}

/** When this box would have the job done, at its price for the build; undefined if it may not or has no free slot. */
export function hereFinish(home: Home, { mayRunHere, work }: Asked, nowMs: number): Finish | undefined {
  if (!mayRunHere || home.endsMs.size >= home.slots) return undefined;
  const finish = expectedFinish(homeLoad(home, nowMs), work);
  return { ...finish, totalMs: finish.totalMs * homeCost };
}

export function choose(hosts: readonly Host[], home: Home, asked: Asked, at: At): Verdict {
  let first: Best | undefined;
  let firstWithRoom: Best | undefined;
  let reached = false;
  let onThisBox = false;
  for (const host of hosts) {
    reached ||= host.state.kind === 'ready' && !asked.tried.has(host);
    const ready = able(host, asked);
    if (ready === undefined) continue;
    onThisBox ||= isThisBox(host.spec);
    const load = loadOf(host, ready, at, asked.inputBytes);
    const ms = finishMs(load, asked.work);
    const best = { host, ready, load, ms };
    if (first === undefined || ms < first.ms) first = best;
    if (!hasRoom(host, ready) || fits(host, ready, asked.work) !== 'yes') continue;
    if (firstWithRoom === undefined || ms < firstWithRoom.ms) firstWithRoom = best;
  }
  if (first === undefined) return { kind: 'none', reached };
  const isBusy = first.load.jobs >= first.load.slots;
  const here = isBusy && !onThisBox ? hereFinish(home, asked, at.nowMs) : undefined;
  if (here !== undefined && here.totalMs < first.ms) return { kind: 'here', finish: here };
  if (firstWithRoom === undefined || firstWithRoom.ms > first.ms) return { kind: 'wait', host: first.host };
  const { host, ready, load } = firstWithRoom;
  return { kind: 'send', host, ready, finish: expectedFinish(load, asked.work) };
}

/** All hosts as candidates for the job, the earliest first, `most` of them. */
export function candidates(hosts: readonly Host[], asked: Asked, at: At, most: number): Candidate[] {
  const ranked: Extract<Candidate, { kind: 'candidate' }>[] = [];
  const others: Candidate[] = [];
  for (const host of hosts) {
    const ready = able(host, asked);
    if (ready === undefined) {
      if (others.length < most) others.push({ kind: 'not', host: host.spec.name, why: whyNot(host, asked, host) });
      continue;
    }
    const finish = expectedFinish(loadOf(host, ready, at, asked.inputBytes), asked.work);
    if (ranked.length === most && finish.totalMs >= (ranked.at(-1)?.finish.totalMs ?? Infinity)) continue;
    const place = ranked.findIndex((one) => one.finish.totalMs > finish.totalMs);
    ranked.splice(place < 0 ? ranked.length : place, 0, { kind: 'candidate', host: host.spec.name, finish });
    if (ranked.length > most) ranked.pop();
  }
  return [...ranked, ...others].slice(0, most);
}

/** One line for each host that cannot do the job. */
export function whyNone(hosts: readonly Host[], asked: Asked): string {
  return hosts
    .filter((host) => !asked.tried.has(host))
    .map((host) => {
      const { state, spec } = host;
      return `${spec.name}: ${state.kind === 'resting' ? state.why : whyNot(host, asked, host)}`;
    })
    .join('; ');
}
