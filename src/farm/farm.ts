// The hosts of one hosts setting, and which of them takes a job: the one that is least busy for its size among those
// that have the job's very toolchain. Order in the setting breaks ties only.
import type { ReasonId } from '../observe/reasons.ts';
import { digestKey, type Digest, type DigestKey } from '../reapi/digest.ts';
import type { HostSpec } from './host-spec.ts';
import { bytesOf, leave, newHost, reach, type Host, type HostState, type HostWorld, type ReadyHost } from './host.ts';

export type Farm = { readonly hosts: readonly Host[]; readonly world: HostWorld };

export type Choice =
  | { readonly kind: 'host'; readonly host: Host; readonly ready: ReadyHost }
  | { readonly kind: 'none'; readonly reason: ReasonId; readonly detail: string };

export function newFarm(specs: readonly HostSpec[], world: HostWorld): Farm {
  return { hosts: specs.map(newHost), world };
}

/** Begins to connect to every host, so that the first job need not wait for all of it. */
export function warm(farm: Farm): void {
  for (const host of farm.hosts) void reach(host, farm.world);
}

function load(host: Host, ready: ReadyHost): number {
  return (host.inFlight + 1) / ready.slots;
}

function why(host: Host, state: HostState, toolchain: DigestKey): string {
  switch (state.kind) {
    case 'resting':
      return `${host.spec.name}: ${state.why}`;
    case 'ready':
      return `${host.spec.name}: has ${state.toolchains.size} compilers, not ${toolchain.slice(0, 12)}`;
    case 'idle':
    case 'connecting':
      return `${host.spec.name}: not connected`;
  }
}

/**
 * A place for a job, or why there is none. `tried` are the hosts that this job has already been to. The place is taken
 * when this resolves, so that jobs which come at once do not all see the same host as idle; `giveBack` it.
 */
export async function takePlace(farm: Farm, toolchain: Digest, tried: ReadonlySet<Host>): Promise<Choice> {
  if (farm.hosts.length === 0) return { kind: 'none', reason: 'no-worker', detail: '' };
  const key = digestKey(toolchain);
  const states = await Promise.all(farm.hosts.map((host) => reach(host, farm.world)));
  let best: { host: Host; ready: ReadyHost } | undefined;
  const others: string[] = [];
  let reached = false;
  farm.hosts.forEach((host, index) => {
    const state = states[index];
    if (state === undefined || tried.has(host)) return;
    reached ||= state.kind === 'ready';
    if (state.kind !== 'ready' || !state.toolchains.has(key)) {
      others.push(why(host, state, key));
      return;
    }
    if (best === undefined || load(host, state) < load(best.host, best.ready)) best = { host, ready: state };
  });
  if (best !== undefined) {
    best.host.inFlight += 1;
    return { kind: 'host', ...best };
  }
  return { kind: 'none', reason: reached ? 'no-toolchain' : 'no-worker', detail: others.join('; ') };
}

export function giveBack(host: Host): void {
  host.inFlight -= 1;
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
  for (const host of farm.hosts) leave(host);
}
