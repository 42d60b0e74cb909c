// Which farm a build has: the hosts that its settings name or the network tells of. Builds with the same hosts share one.
import { join } from 'node:path';
import { forgive } from '../../farm/aside.ts';
import { newFarm, reachAll, type Farm } from '../../farm/farm.ts';
import { findDistccHosts } from '../../farm/distcc-zeroconf.ts';
import { findFarms } from '../../farm/discovery.ts';
import { distccSpec, parseHosts, type HostSpec } from '../../farm/host-spec.ts';
import type { HostWorld } from '../../farm/host.ts';
import { knownHosts } from '../../farm/known-hosts.ts';
import { meet } from '../../farm/membership.ts';
import { saveFarmMemory, type FarmMemory } from '../../farm/memory.ts';
import { closeFarm, warm } from '../../farm/places.ts';
import type { LiveTrust } from '../../trust/live-trust.ts';
import { isOwnSocket, type RuntimeDir } from '../../trust/runtime-dir.ts';
import type { HostsRequest } from './control.ts';
import type { DistccWays } from '../distcc/ways.ts';
import { hostReports, type HostReport } from './host-report.ts';
import { loadLayerPaths, saveLayerPaths } from '../kept/layer.ts';
import { keepTrail } from '../kept/trail.ts';
import { newSession, newSessionId, type Session } from '../session/session.ts';
import type { Settings, WayVariables } from '../session/settings.ts';

export type OpenedSession =
  | { readonly kind: 'session'; readonly session: Session; readonly close: () => void }
  | { readonly kind: 'invalid'; readonly why: string };

/** Farms by their hosts setting: builds with the same hosts share connections, and what the hosts are known to hold. */
export type Farms = {
  readonly world: HostWorld;
  readonly directory: RuntimeDir;
  readonly open: Map<string, SharedFarm>;
  /** Where what one build learnt is kept for the next. */
  readonly cacheDir: string;
  readonly stateDir: string;
  readonly memory: FarmMemory;
  readonly trust: LiveTrust;
  /** Addresses that this network told of workers of our farm, and when. */
  heard: { readonly addresses: readonly string[]; readonly atMs: number } | undefined;
  /** Servers of distcc's that it told of. */
  heardDistcc: HeardDistcc | undefined;
  readonly ways: DistccWays;
};

export const farmMemoryPath = (directory: string): string => join(directory, 'farm.json');

type HeardDistcc = { specs: readonly HostSpec[]; readonly atMs: number; readonly hearing: Promise<void> };

type SharedFarm = { readonly farm: Farm; users: number };

type Meant = { readonly specs: readonly HostSpec[]; readonly randomize: boolean };

function specsFor(farms: Farms, hosts: string | undefined): Meant | string {
  if (hosts === undefined) {
    // A worker of this user, or of the system.
    const paths = [farms.directory.workerSocket, '/run/shoal/worker.sock'];
    const socket = paths.find((candidate) => isOwnSocket(candidate));
    return { specs: knownHosts(socket, farms.trust.current(), farms.heard?.addresses ?? []), randomize: false };
  }
  const parsed = parseHosts(hosts);
  if (parsed.kind === 'invalid') return `the hosts setting is wrong at "${parsed.word}": ${parsed.why}`;
  const { randomize, zeroconf } = parsed;
  const named = new Set(parsed.hosts.map(({ name }) => name));
  const heard = zeroconf ? (farms.heardDistcc?.specs ?? []) : [];
  return { specs: [...parsed.hosts, ...heard.filter(({ name }) => !named.has(name))], randomize };
}

// Answers come within some 100 ms; a build that knows of workers does not wait for more.
const hearMs = 400;
const heardForMs = 60_000;
// Nothing is known of such hosts otherwise; it mostly takes a third of that.
const hearDistccMs = 1500;

/** Asks the network for the hosts that a build may have by that alone. */
export async function hearHosts(farms: Farms, settings: Settings): Promise<void> {
  const parsed = parseHosts(settings.hosts ?? '');
  const named = parsed.kind === 'hosts' && parsed.zeroconf;
  await Promise.all([hearFarm(farms, settings), named ? hearDistcc(farms) : undefined]);
}

/** For hosts settings with `+zeroconf`: waits for the answers, unless they are of the last minute. */
export async function hearDistcc(farms: Farms): Promise<void> {
  const nowMs = farms.world.clock.nowMs();
  const before = farms.heardDistcc;
  if (before !== undefined && nowMs - before.atMs < heardForMs) return before.hearing;
  const hearing = findDistccHosts(hearDistccMs).then((found) => {
    heard.specs = found.map(distccSpec);
  });
  const heard: HeardDistcc = { specs: before?.specs ?? [], atMs: nowMs, hearing };
  farms.heardDistcc = heard;
  await hearing;
}

/** Asks for workers of our farm, where a build names no hosts. Waits for the answers if nothing is known. */
async function hearFarm(farms: Farms, { hosts }: Settings): Promise<void> {
  farms.trust.refresh();
  const trust = farms.trust.current();
  const nowMs = farms.world.clock.nowMs();
  if (hosts !== undefined || trust.kind !== 'farm') return;
  if (farms.heard !== undefined && nowMs - farms.heard.atMs < heardForMs) return;
  const { fingerprint } = trust.identity;
  const known = knownHosts(undefined, trust, []).length > 0;
  farms.heard = { addresses: farms.heard?.addresses ?? [], atMs: nowMs };
  const hearing = findFarms({ fingerprint, timeoutMs: hearMs }).then((found) => {
    const addresses = found.map(({ address }) => address);
    farms.heard = { addresses, atMs: nowMs };
    if (known) void meet(farms.trust, addresses);
  });
  if (!known) await hearing;
}

function openFarm({ world, memory, ways }: Farms, { way = {} }: Settings, { specs, randomize }: Meant): Farm {
  const own: HostWorld = {
    ...world,
    distcc: ways.find(way),
    distccRestMs: restMsIn(way),
    chance: randomize ? world.chance : undefined,
  };
  return newFarm(specs, own, memory);
}

/** DISTCC_BACKOFF_PERIOD, in seconds. */
function restMsIn({ DISTCC_BACKOFF_PERIOD: text = '' }: WayVariables): number | undefined {
  return /^[0-9]{1,6}$/.test(text) ? Number(text) * 1000 : undefined;
}

/** `cwd`: where the build was started; undefined for compiles of no build. */
export function openSession(
  farms: Farms,
  settings: Settings,
  { id, cwd }: { readonly id: string; readonly cwd?: string },
): OpenedSession {
  const meant = specsFor(farms, settings.hosts);
  if (typeof meant === 'string') return { kind: 'invalid', why: meant };
  const names = meant.specs.map((spec) => spec.name).join(' ');
  const key = JSON.stringify([settings.hosts, names, settings.way]);
  const shared = farms.open.get(key) ?? { farm: openFarm(farms, settings, meant), users: 0 };
  farms.open.set(key, shared);
  shared.users += 1;
  warm(shared.farm);
  const expected = cwd === undefined ? [] : loadLayerPaths(farms.cacheDir, cwd);
  const session = newSession(settings, shared.farm, { id, startedMs: farms.world.clock.nowMs(), expected });
  const close = (): void => {
    if (cwd !== undefined) saveLayerPaths(farms.cacheDir, cwd, session.layer);
    keepTrail(farms.stateDir, session.trail, { endedAt: new Date().toISOString(), cwd });
    shared.users -= 1;
    if (shared.users > 0) return;
    farms.open.delete(key);
    closeFarm(shared.farm);
  };
  return { kind: 'session', session, close };
}

// A host that is off is found out by then.
const inspectPatienceMs = 3500;

/** Every host of the settings as it stands, connected to if it was not; or what is wrong with the settings. */
export async function inspectHosts(
  farms: Farms,
  { settings, forgive: name }: Pick<HostsRequest, 'settings' | 'forgive'>,
): Promise<readonly HostReport[] | string> {
  if (name !== undefined) {
    const open = [...farms.open.values()].flatMap(({ farm }) => farm.hosts);
    if (!forgive(farms.memory.asides, open, name)) return `${name} is not set aside`;
    saveFarmMemory(farms.memory, farmMemoryPath(farms.cacheDir));
  }
  await hearHosts(farms, settings);
  const opened = openSession(farms, settings, { id: newSessionId() });
  if (opened.kind === 'invalid') return opened.why;
  const { farm } = opened.session;
  await reachAll(farm, inspectPatienceMs);
  const reports = hostReports(farm);
  opened.close();
  return reports;
}
