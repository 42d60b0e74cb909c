// All that the formula needs to know of each host, side by side in one array of numbers. Each job is compared with every
// host: for a thousand that took 190 µs where the numbers were gathered from the hosts themselves, which lie all over the
// memory (test/simulator/cost.ts). A host whose jobs, connection or record change is *touched*, and its row is made anew
// before the next look.
import type { DigestKey } from '../reapi/digest.ts';
import { jobsAhead, type HostLoad } from './finish.ts';
import type { Host, HostChanges, Place, ReadyHost } from './host.ts';
import { paceFor } from './pace.ts';
import type { Work } from './work.ts';
import type { WorkKind } from './kind.ts';

/** Columns of a row. */
export const column = {
  slots: 0,
  /** Jobs that it has, or that wait for it. */
  jobs: 1,
  /** As many as it is sent: its slots, and what is ahead of them. */
  mostJobs: 2,
  /** When a slot is free for one job more; before now where one is. */
  slotFreeAtMs: 3,
  othersMs: 4,
  othersSeenMs: 5,
  roundTripMs: 6,
  bytesPerMs: 7,
  /** As it was when the host was last touched: what is being sent to it is noted with the next job. */
  heldBytes: 8,
  /** 0 where it does not say. */
  memoryKb: 9,
  usedKb: 10,
  /** 1 where nothing is kept from job to job: all of a job's bytes are sent each time. */
  keepsNothing: 11,
} as const;

const columns = 12;

export type Table = {
  readonly hosts: readonly Host[];
  readonly rows: Float64Array;
  /** By toolchain and kind of work: each host's pace, Infinity where it cannot do that. */
  readonly paces: Map<string, Float64Array>;
  readonly changes: HostChanges;
  readonly chance: (() => number) | undefined;
};

// A build has a few compilers and kinds of work; what comes and goes is not kept for ever.
const mostPaces = 64;
// Others' work on a host is forgotten at that rate: half in ten seconds.
const othersHalfLifeMs = 10_000;
// What an overdue job still needs, of what it has taken so far: nobody knows.
const overdueShare = 0.25;

/** `chance`: of equal hosts any may be the first. */
export function newTable(hosts: readonly Host[], changes: HostChanges, chance?: () => number): Table {
  return { hosts, rows: new Float64Array(hosts.length * columns), paces: new Map(), changes, chance };
}

export const rowAt = (index: number): number => index * columns;

export const cell = (rows: Float64Array, at: number): number => rows[at] ?? 0;

/** When the job is expected to end. */
export function endOf({ sentMs, expected }: Place, nowMs: number): number {
  const endMs = sentMs + expected.totalMs;
  return endMs >= nowMs ? endMs : nowMs + overdueShare * (nowMs - sentMs);
}

/** When a slot is free for one job more: once all of the host's jobs but one less than it has slots have ended. */
function slotFreeAt({ places }: Host, slots: number, nowMs: number): number {
  if (places.size < slots) return -Infinity;
  const ends = Array.from(places, (place) => endOf(place, nowMs)).toSorted((a, b) => a - b);
  return ends[places.size - slots] ?? nowMs;
}

function fill(
  { rows }: Table,
  host: Host,
  { ready, nowMs }: { readonly ready: ReadyHost; readonly nowMs: number },
): void {
  const { record, places, others } = host;
  const { slots } = ready;
  const row = rowAt(host.index);
  let usedKb = 0;
  for (const { work } of places) usedKb += work.peakKb;
  rows[row + column.slots] = slots;
  rows[row + column.jobs] = places.size;
  // distcc's `/limit` is a promise to whoever runs the server.
  rows[row + column.mostJobs] = ready.speaks === 'distcc' ? slots : slots + jobsAhead(record, slots);
  rows[row + column.slotFreeAtMs] = slotFreeAt(host, slots, nowMs);
  rows[row + column.othersMs] = others.waitMs;
  rows[row + column.othersSeenMs] = others.seenMs;
  rows[row + column.roundTripMs] = record.roundTripMs.value;
  rows[row + column.bytesPerMs] = record.bytesPerMs.value;
  rows[row + column.heldBytes] = ready.heldBytes;
  rows[row + column.memoryKb] = ready.memoryKb;
  rows[row + column.usedKb] = usedKb;
  rows[row + column.keepsNothing] = ready.speaks === 'distcc' ? 1 : 0;
}

/** The hosts that may do a job: workers, servers of distcc's protocol, or both. */
export type Doers = 'both' | 'workers' | 'distcc';

type Kind = { readonly toolchain: DigestKey; readonly kind: WorkKind; readonly by: Doers };

function paceOf({ state, record }: Host, kind: Kind): number {
  return state.kind === 'ready' && hasCompiler(state, kind) ? paceFor(record, kind.kind) : Infinity;
}

/** In which order to look at the hosts; undefined for their own. */
export function lookOrder({ hosts, chance }: Table): readonly number[] | undefined {
  if (chance === undefined) return undefined;
  const order = Array.from(hosts, (_, index) => index);
  for (let left = order.length - 1; left > 0; left -= 1) {
    const other = Math.floor(chance() * (left + 1));
    [order[left], order[other]] = [order[other] ?? 0, order[left] ?? 0];
  }
  return order;
}

export type Needed = Pick<Kind, 'toolchain' | 'by'>;

/** A server of distcc's protocol has whatever compiler it has not been found to lack. */
export function hasCompiler(ready: ReadyHost, { toolchain, by }: Needed): boolean {
  if (ready.speaks === 'reapi') return by !== 'distcc' && ready.toolchains.has(toolchain);
  return by !== 'workers' && !ready.lacks.has(toolchain);
}

/** Makes the rows of all hosts that were touched anew; gives the hosts' paces for such work. */
export function look(table: Table, kind: Kind, nowMs: number): Float64Array {
  const { hosts, paces } = table;
  const { touched } = table.changes;
  if (touched.size > 0) {
    if (paces.size > mostPaces) paces.clear();
    for (const host of touched) {
      if (host.state.kind === 'ready') fill(table, host, { ready: host.state, nowMs });
      for (const [key, known] of paces) known[host.index] = paceOf(host, kindOf(key));
    }
    touched.clear();
  }
  const key = `${kind.toolchain} ${kind.by} ${kind.kind}`;
  let known = paces.get(key);
  if (known === undefined) {
    known = Float64Array.from(hosts, (host) => paceOf(host, kind));
    paces.set(key, known);
  }
  return known;
}

function kindOf(key: string): Kind {
  const [toolchain = '', by = '', ...kind] = key.split(' ');
  return { toolchain: toolchain as DigestKey, by: by as Doers, kind: kind.join(' ') };
}

/** The least pace for such work among hosts with a free slot, Infinity if there is none. */
export function leastIdlePace(table: Table, kind: Kind, nowMs: number): number {
  const { rows } = table;
  const paces = look(table, kind, nowMs);
  let least = Infinity;
  for (let index = 0; index < paces.length; index += 1) {
    const pace = paces[index] ?? Infinity;
    const row = rowAt(index);
    if (pace < least && cell(rows, row + column.jobs) < cell(rows, row + column.slots)) least = pace;
  }
  return least;
}

export type Bytes = {
  /** All that the job's build has in its layer; what a host was given of it, it does not lack. */
  readonly inputBytes: number;
  /** What the job sends to a server of distcc's protocol; undefined where it may not go to one. */
  readonly distccBytes?: number | undefined;
};

/** The host as it stands now, for work that it has that pace for. */
export function loadAt(
  { rows, hosts }: Table,
  index: number,
  { pace, nowMs, inputBytes, distccBytes }: Bytes & { readonly pace: number; readonly nowMs: number },
): HostLoad {
  const row = rowAt(index);
  const slots = cell(rows, row + column.slots);
  const jobs = cell(rows, row + column.jobs);
  let freeAtMs = cell(rows, row + column.slotFreeAtMs);
  const host = jobs >= slots && freeAtMs < nowMs ? hosts[index] : undefined;
  // Its jobs have not ended when they were to.
  if (host !== undefined) rows[row + column.slotFreeAtMs] = freeAtMs = slotFreeAt(host, slots, nowMs);
  const others = cell(rows, row + column.othersMs);
  return {
    pace,
    slots,
    jobs,
    slotFreeMs: Math.max(0, freeAtMs - nowMs),
    othersMs: others === 0 ? 0 : others * 2 ** ((cell(rows, row + column.othersSeenMs) - nowMs) / othersHalfLifeMs),
    lacksBytes:
      cell(rows, row + column.keepsNothing) === 1
        ? (distccBytes ?? 0)
        : Math.max(0, inputBytes - cell(rows, row + column.heldBytes)),
    bytesPerMs: cell(rows, row + column.bytesPerMs),
    roundTripMs: cell(rows, row + column.roundTripMs),
  };
}

/** A job waits for this host, and is before whatever comes after it; until the host is touched. */
export function noteMeant(
  { rows }: Table,
  { index, record }: Host,
  { work, nowMs }: { readonly work: Work; readonly nowMs: number },
): void {
  const row = rowAt(index);
  const freeAtMs = Math.max(nowMs, cell(rows, row + column.slotFreeAtMs));
  const slots = cell(rows, row + column.slots);
  rows[row + column.slotFreeAtMs] = freeAtMs + (work.ms * paceFor(record, work.kind)) / slots;
  rows[row + column.jobs] = cell(rows, row + column.jobs) + 1;
}
