// This box as a host of the farm. It takes a compile only while the host that would be first is busy and it would be done
// sooner here, and its time counts two and a half times: make, the links and the farm's own work need the box, too.
import { availableParallelism } from 'node:os';
import type { HostLoad } from './finish.ts';
import { paceFor, type HostRecord } from './pace.ts';
import type { WorkKind } from './kind.ts';
import type { HostSpec } from './host-spec.ts';

export type Home = {
  readonly record: HostRecord;
  readonly slots: number;
  /** The compiles that run here or wait for a slot, whyever, of all builds. */
  readonly compiles: Set<object>;
};

/** What a millisecond of a compile here costs the build. */
export const homeCost = 2.5;

export function newHome(record: HostRecord): Home {
  return { record, slots: availableParallelism(), compiles: new Set() };
}

const loopback = new Set(['localhost', '127.0.0.1', '::1']);

/** A worker on this very box: what it does and what is done here take the same processors. */
export function isThisBox({ address }: HostSpec): boolean {
  if (address.kind === 'unix') return true;
  if (address.kind !== 'distcc') return isLoopback(address.host);
  return address.host.transport.kind === 'tcp' && isLoopback(address.host.transport.host);
}

export function isLoopback(host: string): boolean {
  return loopback.has(host);
}

/** With a slot free, and nothing that would have to travel. */
export function homeLoad({ record, slots, compiles }: Home, kind: WorkKind): HostLoad {
  const jobs = { slots, jobs: compiles.size, slotFreeMs: 0, othersMs: 0 };
  return { pace: paceFor(record, kind), ...jobs, lacksBytes: 0, bytesPerMs: 1, roundTripMs: 0 };
}
