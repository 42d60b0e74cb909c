// Which host gets a job: every host that can do it is given its expected finish, and the earliest wins; the order of the
// setting breaks ties, or chance (--randomize). Looks at the farm as it stands, changes nothing. A farm may have a thousand hosts: they are gone
// through once for a job, and nothing is made for a host that is not among the first.
import type { DigestKey } from '../reapi/digest.ts';
import { expectedFinish, finishMs, type Finish } from './finish.ts';
import { homeCost, homeLoad, type Home } from './home.ts';
import type { Host } from './host.ts';
import { paceFor } from './pace.ts';
import {
  cell,
  column,
  hasCompiler,
  loadAt,
  look,
  lookOrder,
  rowAt,
  type Bytes,
  type Needed,
  type Table,
} from './table.ts';
import type { Work } from './work.ts';

/** What is asked for a job. */
export type Asked = Bytes & {
  readonly toolchain: DigestKey;
  readonly work: Work;
  /** Hosts that this job has already been to. */
  readonly tried: ReadonlySet<Host>;
  readonly mayRunHere: boolean;
  /** What it reads is not known: only who takes preprocessed source can do it. */
  readonly onlyDistcc?: boolean | undefined;
};

/** A host as seen for one job; kept for `shoal explain`. */
export type Candidate =
  | { readonly kind: 'candidate'; readonly host: string; readonly finish: Finish }
  | { readonly kind: 'not'; readonly host: string; readonly why: string };

export type Verdict =
  | { readonly kind: 'send'; readonly to: Host }
  | { readonly kind: 'here'; readonly finish: Finish }
  /** A busy host would still be the first to be done. `isFull`: no host of its toolchain has room. */
  | { readonly kind: 'wait'; readonly host: Host; readonly isFull: boolean }
  | { readonly kind: 'none' };

/** A host that could do the job, when it would be done, and how long it waits there before. */
export type Ranked = { readonly host: Host; readonly ms: number; readonly queueMs: number };

/** The hosts as seen for one job. */
export type Ranking = {
  /** The earliest first. */
  readonly first: readonly Ranked[];
  readonly firstWithRoom: Ranked | undefined;
  /** With a free slot. */
  readonly firstFree: Ranked | undefined;
  /** No host that can do it has room. */
  readonly isFull: boolean;
};

// As many as one wants to read.
const mostRanked = 6;
// Nobody knows a queue that well, and an idle slot is lost: waiting has to save as much again as it takes.
const isWorthQueueing = ({ ms, queueMs }: Ranked, freeMs: number): boolean => ms + queueMs < freeMs;

export function neededOf({ toolchain, distccBytes, onlyDistcc }: Asked): Needed {
  if (onlyDistcc === true) return { toolchain, by: 'distcc' };
  return { toolchain, by: distccBytes === undefined ? 'workers' : 'both' };
}

export function hasToolchain({ state }: Host, asked: Asked): boolean {
  return state.kind === 'ready' && hasCompiler(state, neededOf(asked));
}

/** It could do the job now or later. */
export function isAble(host: Host, asked: Asked): boolean {
  const { state } = host;
  if (state.kind !== 'ready' || !hasToolchain(host, asked) || asked.tried.has(host)) return false;
  return state.memoryKb === 0 || asked.work.peakKb <= state.memoryKb;
}

export function rank(table: Table, asked: Asked, nowMs: number): Ranking {
  const { hosts, rows } = table;
  const { work, tried, inputBytes, distccBytes } = asked;
  const paces = look(table, { ...neededOf(asked), kind: work.kind }, nowMs);
  const first: Ranked[] = [];
  let firstWithRoom: Ranked | undefined;
  let firstFree: Ranked | undefined;
  let isFull = true;
  const order = lookOrder(table);
  for (let at = 0; at < paces.length; at += 1) {
    const index = order?.[at] ?? at;
    const pace = paces[index] ?? Infinity;
    const host = hosts[index];
    if (pace === Infinity || host === undefined || (tried.size > 0 && tried.has(host))) continue;
    const row = rowAt(index);
    const memoryKb = cell(rows, row + column.memoryKb);
    if (memoryKb > 0 && work.peakKb > memoryKb) continue;
    const load = loadAt(table, index, { pace, nowMs, inputBytes, distccBytes });
    const ms = finishMs(load, work.ms);
    const queueMs = load.slotFreeMs + load.othersMs;
    if (first.length < mostRanked || ms < (first.at(-1)?.ms ?? 0)) insert(first, { host, ms, queueMs });
    if (load.jobs >= cell(rows, row + column.mostJobs)) continue;
    isFull = false;
    const usedKb = cell(rows, row + column.usedKb);
    if (memoryKb > 0 && usedKb > 0 && usedKb + work.peakKb > memoryKb) continue;
    if (firstWithRoom === undefined || ms < firstWithRoom.ms) firstWithRoom = { host, ms, queueMs };
    if (load.jobs < load.slots && (firstFree === undefined || ms < firstFree.ms)) firstFree = { host, ms, queueMs };
  }
  return { first, firstWithRoom, firstFree, isFull };
}

function insert(first: Ranked[], one: Ranked): void {
  const at = first.findIndex(({ ms }) => ms > one.ms);
  first.splice(at < 0 ? first.length : at, 0, one);
  if (first.length > mostRanked) first.pop();
}

/** Why this box is not asked for the job; undefined where it is. */
export function whyNotHere(home: Home, hosts: readonly Host[], asked: Asked): string | undefined {
  if (!asked.mayRunHere) return 'strict mode';
  if (home.compiles.size >= home.slots) return 'its processors had compiles already';
  const worker = hosts.find((host) => host.onThisBox && isAble(host, asked));
  return worker === undefined ? undefined : 'a worker on this box takes the same processors';
}

/**
 * When this box would have the job done, at its price for the build; undefined if it may not, has no free slot, or has a
 * worker, which would take the same processors.
 */
export function hereFinish(home: Home, hosts: readonly Host[], asked: Asked): Finish | undefined {
  const { work } = asked;
  if (whyNotHere(home, hosts, asked) !== undefined) return undefined;
  const finish = expectedFinish(homeLoad(home, work.kind), work.ms);
  return { ...finish, totalMs: finish.totalMs * homeCost };
}

export function choose(
  { hosts }: Table,
  ranking: Ranking,
  { home, asked }: { readonly home: Home; readonly asked: Asked },
): Verdict {
  const { firstWithRoom, firstFree, isFull } = ranking;
  const [first] = ranking.first;
  if (first === undefined) return { kind: 'none' };
  const isBusy = first.host !== firstFree?.host;
  const here = isBusy ? hereFinish(home, hosts, asked) : undefined;
  if (here !== undefined && here.totalMs < first.ms) return { kind: 'here', finish: here };
  if (firstFree !== undefined && !isWorthQueueing(first, firstFree.ms)) return { kind: 'send', to: firstFree.host };
  if (firstWithRoom === undefined || firstWithRoom.ms > first.ms) return { kind: 'wait', host: first.host, isFull };
  return { kind: 'send', to: firstWithRoom.host };
}

/** When the host, which can do it, would have the job done. */
export function finishOn(
  table: Table,
  host: Host,
  { asked, nowMs }: { readonly asked: Asked; readonly nowMs: number },
): Finish {
  const { work, inputBytes, distccBytes } = asked;
  const pace = paceFor(host.record, work.kind);
  return expectedFinish(loadAt(table, host.index, { pace, nowMs, inputBytes, distccBytes }), work.ms);
}

/** The first of the ranking, then hosts that cannot do the job, if there is room for them. */
export function candidates(
  table: Table,
  { first }: Ranking,
  at: { readonly asked: Asked; readonly nowMs: number },
): Candidate[] {
  const { asked } = at;
  const named: Candidate[] = first.map(({ host }) => {
    return { kind: 'candidate', host: host.spec.name, finish: finishOn(table, host, at) };
  });
  for (const host of table.hosts) {
    if (named.length >= mostRanked) break;
    if (!isAble(host, asked)) {
      named.push({ kind: 'not', host: host.spec.name, why: whyNot(host, asked) });
    }
  }
  return named;
}

function whyNot(host: Host, asked: Asked): string {
  const { toolchain, tried, work } = asked;
  const { state, spec } = host;
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
      if (state.speaks === 'distcc' && !hasToolchain(host, asked)) {
        return neededOf(asked).by === 'workers'
          ? "distcc's protocol cannot carry the compile"
          : 'has said that it lacks the compiler';
      }
      if (state.speaks === 'reapi' && asked.onlyDistcc === true) return 'takes no preprocessed source';
      if (state.speaks === 'reapi' && !state.toolchains.has(toolchain)) {
        return `has ${state.toolchains.size} compilers, not ${toolchain.slice(0, 12)}`;
      }
      return `the job needs ${work.peakKb} KB of memory, more than ${spec.name} has`;
  }
}

/** One line for each host that cannot do the job. */
export function whyNone(hosts: readonly Host[], asked: Asked): string {
  return hosts
    .filter((host) => !asked.tried.has(host))
    .map((host) => {
      const { state, spec } = host;
      return `${spec.name}: ${state.kind === 'resting' ? state.why : whyNot(host, asked)}`;
    })
    .join('; ');
}
