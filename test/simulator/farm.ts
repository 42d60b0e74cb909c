// A farm of simulated hosts, and the client's own view of it.
import { newFarm, type Farm } from '../../src/farm/farm.ts';
import type { NativeAddress, HostSpec } from '../../src/farm/host-spec.ts';
import type { Clock } from '../../src/observe/clock.ts';
import { newFarmMemory, type FarmMemory } from '../../src/farm/memory.ts';
import type { ReapiClient } from '../../src/reapi/client.ts';
import { newVirtualClock, type VirtualClock } from './clock.ts';
import { connectTo } from './connection.ts';
import { newSimulatedHost, type HostParts, type HostPlan, type SimulatedHost } from './host.ts';

export type SimulatedFarm = {
  readonly clock: VirtualClock;
  readonly hosts: readonly SimulatedHost[];
  readonly farm: Farm;
};

/** Calls `part`, and keeps its cost apart. */
export type Aside = <T>(part: () => T) => T;

function asideClock({ nowMs, after }: Clock, aside: Aside): Clock {
  return { nowMs, after: (delayMs, callback) => after(delayMs, () => aside(callback)) };
}

function asideClient(client: ReapiClient, aside: Aside): ReapiClient {
  const { findMissing, upload, read, execute } = client;
  return {
    ...client,
    findMissing: (digests) => aside(() => findMissing(digests)),
    upload: (blobs) => aside(() => upload(blobs)),
    read: (digest) => aside(() => read(digest)),
    execute: (request, options) => aside(() => execute(request, options)),
    metered: (traffic) => asideClient(client.metered(traffic), aside),
  };
}

export type FarmParts = Omit<HostParts, 'clock'> & {
  readonly memory?: FarmMemory;
  /** Around whatever the hosts and the lines do: their cost is not the client's. */
  readonly aside?: Aside;
};

export function simulatedFarm(plans: readonly HostPlan[], parts: FarmParts): SimulatedFarm {
  const clock = newVirtualClock();
  const { aside } = parts;
  const hostClock: Clock = aside === undefined ? clock : asideClock(clock, aside);
  const hosts = plans.map((plan) => newSimulatedHost(plan, { ...parts, clock: hostClock }));
  const byName = new Map(hosts.map((host) => [host.plan.name, host]));
  const specs = plans.map(({ name }): HostSpec => {
    return { name, address: { kind: 'tcp', host: name, port: 8475 }, slots: undefined };
  });
  const connect = (address: NativeAddress): ReapiClient => {
    const host = address.kind === 'unix' ? undefined : byName.get(address.host);
    if (host === undefined) throw new Error('no such host');
    const client = connectTo(host);
    return aside === undefined ? client : asideClient(client, aside);
  };
  const farm = newFarm(specs, { connect, clock }, parts.memory ?? newFarmMemory());
  return { clock, hosts, farm };
}
