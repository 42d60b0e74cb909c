// One host of the farm: what it holds, how it has behaved. reach.ts connects to it.
//
//   idle ──reach()──▶ connecting ──▶ ready ──trouble()──▶ resting ──time──▶ idle
//                         └──────────trouble()──────────────▲
//
// A host rests for a second after its first failure, twice as long after each further one, a minute at most (one of distcc's
// as long as DISTCC_BACKOFF_PERIOD says); one job done clears its record. Only what is the host's own fault counts: a user's compile error never does.
import type { DistccHost } from '../distcc/host-list.ts';
import type { Clock } from '../observe/clock.ts';
import type { Digest, DigestKey } from '../reapi/digest.ts';
import type { ReapiClient } from '../reapi/client.ts';
import { isThisBox } from './home.ts';
import type { DistccWay } from './distcc-host.ts';
import type { HostSpec, NativeAddress } from './host-spec.ts';
import type { HostRecord } from './pace.ts';
import type { Finish } from './finish.ts';
import type { SharedUpload } from './shared-upload.ts';
import type { Work } from './work.ts';

const firstRestMs = 1000;
const longestRestMs = 60_000;

/** @throws where what is written cannot be reached from this box at all. */
export type Connect = (address: NativeAddress) => ReapiClient;

type Reached = {
  readonly kind: 'ready';
  readonly slots: number;
  /** Of the whole host, 0 where it does not say. */
  readonly memoryKb: number;
  /** Bytes that it was given or said to have, before compression. */
  heldBytes: number;
};

/** A connection to what speaks the Remote Execution API. */
export type NativeReady = Reached & {
  readonly speaks: 'reapi';
  readonly client: ReapiClient;
  readonly toolchains: ReadonlySet<DigestKey>;
  /** It takes a job's inputs along with the call that executes it; false once it said that it does not. */
  takesInputs: boolean;
  holds: Holds;
  /** Large uploads under way: jobs that need their blobs wait for them. */
  bulkUpload: Promise<void>;
  readonly uploads: Set<SharedUpload>;
};

/** A server of distcc's protocol: a connection for each job, nothing kept between them. */
export type DistccReady = Reached & {
  readonly speaks: 'distcc';
  readonly server: DistccHost;
  /** It does not say which compilers it has: those that it was found not to have. */
  readonly lacks: Set<DigestKey>;
  /** How often it has ended a job for a compiler without a word, since it last did one. */
  readonly silences: Map<DigestKey, number>;
};

export type ReadyHost = NativeReady | DistccReady;

export type HostState =
  | { readonly kind: 'idle' }
  | { readonly kind: 'connecting'; readonly attempt: Promise<HostState> }
  | ReadyHost
  | { readonly kind: 'resting'; readonly untilMs: number; readonly why: string }
  /** It has returned a wrong object, and is not used. */
  | { readonly kind: 'aside'; readonly why: string };

/** What a host was given or said to have. */
export type Holds = {
  /** A Directory's digest stands for everything below it. */
  readonly blobs: Set<DigestKey>;
  /** Directories, as objects of the client, all of whose files it holds. */
  readonly filled: WeakSet<object>;
  /** The last blob sent for each place in a tree: the next one there is much like it. */
  readonly latest: Map<string, { readonly digest: Digest; readonly bytes: Buffer }>;
};

export const holdsNothing = (): Holds => ({ blobs: new Set(), filled: new WeakSet(), latest: new Map() });

/** A job at a host, from the choice until its end. */
export type Place = {
  readonly host: Host;
  readonly ready: ReadyHost;
  readonly work: Work;
  readonly build: string;
  readonly sentMs: number;
  readonly expected: Finish;
};

export type Host = {
  readonly spec: HostSpec;
  readonly record: HostRecord;
  /** Its place in the setting. */
  readonly index: number;
  readonly changes: HostChanges;
  /** It is a worker on this very box. */
  readonly onThisBox: boolean;
  state: HostState;
  failures: number;
  /** Jobs that it failed since it last did one. */
  faultsInRow: number;
  readonly places: Set<Place>;
  /** How long jobs waited there beyond what those of ours explain: others use it, too. Seen at `seenMs`. */
  others: { readonly waitMs: number; readonly seenMs: number };
  jobsDone: number;
  /** When it last did one. */
  doneMs: number;
  /** What it held when its last connection ended: its store is likely to have outlived that. */
  pastHeldBytes: number;
};

/** Of the hosts of one farm: nobody should have to go through a thousand of them to find out. */
export type HostChanges = {
  /** Something of it has changed since its row in the table was made. */
  readonly touched: Set<Host>;
  /** Neither connected nor being connected. */
  readonly unconnected: Set<Host>;
};

export type HostParts = Pick<Host, 'record' | 'index' | 'changes'>;

export function newHost(spec: HostSpec, { record, index, changes }: HostParts): Host {
  const host: Host = {
    spec,
    record,
    index,
    changes,
    onThisBox: isThisBox(spec),
    state: { kind: 'idle' },
    failures: 0,
    faultsInRow: 0,
    places: new Set(),
    others: { waitMs: 0, seenMs: 0 },
    jobsDone: 0,
    doneMs: -Infinity,
    pastHeldBytes: 0,
  };
  become(host, host.state);
  return host;
}

/** Its jobs, its connection or what is known of it has changed. */
export function touch(host: Host): void {
  host.changes.touched.add(host);
}

export function become(host: Host, state: HostState): void {
  const { unconnected } = host.changes;
  host.state = state;
  if (state.kind === 'ready' || state.kind === 'connecting') unconnected.delete(host);
  else unconnected.add(host);
  touch(host);
}

export type HostWorld = {
  readonly connect: Connect;
  /** A farm without hosts of distcc's needs none. */
  readonly distcc?: DistccWay;
  readonly clock: Clock;
  /** How long a host of distcc rests after any failure, where somebody has said so. */
  readonly distccRestMs?: number | undefined;
  /** Chooses among equal hosts; otherwise the first of the setting is taken. */
  readonly chance?: (() => number) | undefined;
};

/** The host failed in a way that is its own fault: it rests, and is asked again later. */
export function trouble(host: Host, world: HostWorld, why: string, gently = false): HostState {
  leave(host, gently);
  host.failures += 1;
  const own = host.spec.address.kind === 'distcc' ? world.distccRestMs : undefined;
  const restMs = own ?? Math.min(longestRestMs, firstRestMs * 2 ** (host.failures - 1));
  const resting: HostState = { kind: 'resting', untilMs: world.clock.nowMs() + restMs, why };
  become(host, resting);
  return resting;
}

/**
 * As `trouble`, but said by a job of the connection `ready`: of many that fail with it, one counts. `gently`: what runs
 * there may end.
 */
export function troubleWith(
  { host, ready }: { readonly host: Host; readonly ready: ReadyHost },
  world: HostWorld,
  { why, gently }: { readonly why: string; readonly gently: boolean },
): void {
  if (host.state === ready) trouble(host, world, why, gently);
}

/** Closes the connection, if any. What the host holds may be gone when it comes back: each job asks then. */
export function leave(host: Host, gently = false): void {
  const { state } = host;
  // First: that the connection ends then is no failure.
  become(host, { kind: 'idle' });
  if (state.kind !== 'ready' || state.speaks !== 'reapi') return;
  const { client } = state;
  host.pastHeldBytes = state.heldBytes;
  if (gently) client.closeWhenIdle();
  else client.close();
}

/** An upload failed: whatever rested on it has to be sent again. */
export function forgetAll(ready: NativeReady): void {
  ready.holds = holdsNothing();
  ready.heldBytes = 0;
}
