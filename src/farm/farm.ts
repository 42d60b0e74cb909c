// The hosts of one hosts setting, what is known of them, and the jobs that want a place there.
import type { ReasonId } from '../observe/reasons.ts';
import type { Digest } from '../reapi/digest.ts';
import { isAside } from './aside.ts';
import type { Asked, Candidate } from './choose.ts';
import type { Finish } from './finish.ts';
import type { Home } from './home.ts';
import type { HostSpec } from './host-spec.ts';
import { become, newHost, type Host, type HostChanges, type HostWorld, type Place } from './host.ts';
import { newFarmMemory, type FarmMemory } from './memory.ts';
import { newQueue, type JobQueue, type Waiting } from './queue.ts';
import { reach } from './reach.ts';
import { newTable, type Table } from './table.ts';
import type { Race } from './tail.ts';
import type { Work } from './work.ts';

export type Farm = {
  readonly hosts: readonly Host[];
  readonly table: Table;
  readonly home: Home;
  readonly world: HostWorld;
  readonly memory: FarmMemory;
  readonly queue: JobQueue<WaitingJob>;
  /** Jobs in the farm that may get another place, by the last that they got. */
  readonly races: Map<Place, Race>;
  /** Of those, the ones that should have been done long ago and are to get another place as soon as there is room. */
  readonly overdue: Set<Place>;
  /** The places that such jobs got. */
  readonly again: Set<Place>;
  /** A look at the farm is due, because time alone may change who gets a place. */
  ticking: boolean;
  /** Places are about to be given. */
  pumping: boolean;
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
  readonly distccBytes?: number | undefined;
  readonly mayRunHere: boolean;
  readonly onlyDistcc?: boolean | undefined;
  readonly signal: AbortSignal;
};

/** Why a job went where it went. */
export type Decision = {
  readonly waitedMs: number;
  readonly work: Work;
  readonly candidates: readonly Candidate[];
  /** This box's own finish, with what it costs the build; undefined where the job may not run here now. */
  readonly here: Finish | undefined;
  readonly whyNotHere: string | undefined;
};

export type Choice =
  | { readonly kind: 'host'; readonly place: Place; readonly decision: Decision }
  | { readonly kind: 'here'; readonly stay: Stay; readonly decision: Decision }
  | { readonly kind: 'none'; readonly reason: ReasonId; readonly detail: string; readonly decision: Decision };

/** A compile that was chosen to run here. */
export type Stay = { readonly work: Work };

export type WaitingJob = Waiting & {
  work: Work;
  asked: Asked;
  readonly decide: (choice: Choice) => void;
};

export function newFarm(specs: readonly HostSpec[], world: HostWorld, memory: FarmMemory = newFarmMemory()): Farm {
  const changes: HostChanges = { touched: new Set(), unconnected: new Set() };
  const hosts = specs.map((spec, index) => {
    const host = newHost(spec, { record: memory.host(spec.name), index, changes });
    const why = isAside(memory.asides, spec.name);
    if (why !== undefined) become(host, { kind: 'aside', why });
    return host;
  });
  const home = memory.box;
  const table = newTable(hosts, changes, world.chance);
  return {
    hosts,
    table,
    home,
    world,
    memory,
    queue: newQueue(),
    races: new Map(),
    overdue: new Set(),
    again: new Set(),
    ticking: false,
    pumping: false,
    closed: false,
  };
}

/** Resolves once every host has answered or failed, or the patience is over. */
export async function reachAll({ hosts, world, closed }: Farm, patienceMs: number): Promise<void> {
  if (closed) return;
  const all = Promise.all(hosts.map((host) => reach(host, world)));
  await Promise.race([all, new Promise<void>((resolve) => world.clock.after(patienceMs, resolve))]);
}

export function slotsOf(farm: Farm): Map<string, number> {
  return new Map(
    farm.hosts.map((host) => [host.spec.name, host.state.kind === 'ready' ? host.state.slots : (host.spec.slots ?? 0)]),
  );
}
