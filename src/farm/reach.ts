// How a connection to a host comes about, whichever protocol it speaks; what that costs a host that fails is host.ts's.
import type { DistccHost } from '../distcc/host-list.ts';
import { digestKey } from '../reapi/digest.ts';
import type { ReapiClient } from '../reapi/client.ts';
import type { NativeAddress } from './host-spec.ts';
import {
  become,
  holdsNothing,
  trouble,
  type DistccReady,
  type Host,
  type HostState,
  type HostWorld,
  type NativeReady,
} from './host.ts';
import { noteRoundTrip } from './pace.ts';

// More than any box has; a worker of shoal's announces no more either.
const mostAnnouncedSlots = 1024;

/** It is neither connected nor being connected, and has rested enough if it failed. */
export function mayBeReached({ state }: Host, nowMs: number): boolean {
  return state.kind === 'idle' || (state.kind === 'resting' && nowMs >= state.untilMs);
}

/** The host's state once it is settled: connects if it is idle or has rested enough. Never throws. */
export async function reach(host: Host, world: HostWorld): Promise<HostState> {
  const { state } = host;
  if (state.kind === 'ready') return state;
  if (state.kind === 'connecting') return state.attempt;
  if (state.kind === 'aside' || (state.kind === 'resting' && world.clock.nowMs() < state.untilMs)) return state;
  const isMeant = (): boolean => host.state.kind === 'connecting' && host.state.attempt === attempt;
  const attempt = Promise.resolve().then(() => open(host, world, isMeant));
  become(host, { kind: 'connecting', attempt });
  return attempt;
}

/** The host was neither left nor set aside since. */
type IsMeant = () => boolean;

async function open(host: Host, world: HostWorld, isMeant: IsMeant): Promise<HostState> {
  if (!isMeant()) return host.state;
  const { address } = host.spec;
  if (address.kind !== 'distcc') return openNative(host, world, { address, isMeant });
  const reached = await openDistcc(host, world, address.host);
  if (!isMeant()) return host.state;
  if (typeof reached === 'string') return trouble(host, world, reached);
  become(host, reached);
  return reached;
}

async function openNative(
  host: Host,
  world: HostWorld,
  { address, isMeant }: { readonly address: NativeAddress; readonly isMeant: IsMeant },
): Promise<HostState> {
  let client: ReapiClient;
  try {
    client = world.connect(address);
  } catch (error) {
    return trouble(host, world, (error as Error).message);
  }
  try {
    await client.ready();
    const listed = await client.toolchains();
    if (!isMeant()) {
      client.close();
      return host.state;
    }
    const ready: NativeReady = {
      kind: 'ready',
      speaks: 'reapi',
      client,
      toolchains: new Set(listed.toolchains.map((toolchain) => digestKey(toolchain.digest))),
      slots: host.spec.slots ?? Math.min(mostAnnouncedSlots, Math.max(1, listed.slots)),
      memoryKb: Math.max(0, listed.memoryKb),
      takesInputs: listed.isShoal,
      holds: holdsNothing(),
      heldBytes: host.pastHeldBytes,
      bulkUpload: Promise.resolve(),
      uploads: new Set(),
    };
    client.onClose((error) => {
      if (host.state === ready) trouble(host, world, `connection lost: ${error.message}`);
    });
    become(host, ready);
    return ready;
  } catch (error) {
    client.close();
    if (!isMeant()) return host.state;
    return trouble(host, world, (error as Error).message);
  }
}

/** If a connection to it can be opened; otherwise why not. One by ssh is taken as it is: to ask it costs a login. */
async function openDistcc(
  { record }: Host,
  { distcc, clock }: HostWorld,
  server: DistccHost,
): Promise<DistccReady | string> {
  const ready: DistccReady = {
    kind: 'ready',
    speaks: 'distcc',
    server,
    lacks: new Set(),
    silences: new Map(),
    slots: server.limit,
    memoryKb: 0,
    heldBytes: 0,
  };
  if (distcc === undefined) return 'this farm has no way to hosts of distcc';
  if (server.transport.kind === 'ssh') return ready;
  const startedMs = clock.nowMs();
  try {
    const stream = await distcc.open(server, new AbortController().signal);
    noteRoundTrip(record, clock.nowMs() - startedMs);
    stream.on('error', () => undefined).destroy();
    return ready;
  } catch (error) {
    return (error as Error).message;
  }
}
