// Where the client daemon is put together: the only place that constructs its layers.
import { join } from 'node:path';
import { clientTrust, connectWith } from '../farm/connect.ts';
import { startMembership } from '../farm/membership.ts';
import { loadFarmMemory, saveFarmMemory } from '../farm/memory.ts';
import { createIncludeView } from '../includes/view.ts';
import { realFiles } from '../includes/files.ts';
import { realClock } from '../observe/clock.ts';
import { openRuntimeDir, type RuntimeDir } from '../trust/runtime-dir.ts';
import { cacheDir, stateDir } from '../user-directories.ts';
import type { HostsRequest } from './daemon/control.ts';
import { startDaemon, type RunningDaemon } from './daemon/daemon.ts';
import { openDistccWays } from './distcc/ways.ts';
import { newEpochs } from './plan/epochs.ts';
import { farmMemoryPath, inspectHosts, type Farms } from './daemon/farms.ts';
import type { HostReport } from './daemon/host-report.ts';
import { loadScans, saveScans } from './kept/scans.ts';
import { ownSessions } from './daemon/own-sessions.ts';
import type { PlanWorld } from './plan/world.ts';
import { newResultMemory } from './kept/result-key.ts';
import { newToolchainView } from './plan/toolchains.ts';
import type { ClientWorld } from './world.ts';

// A worker on the same network answers in milliseconds; a box that is off is found out by this.
const connectTimeoutMs = 3000;

/** As `inspectHosts`, where no daemon runs. @throws RuntimeDirError if its place is not ours. */
export async function inspectHostsAlone(
  request: Pick<HostsRequest, 'settings' | 'forgive'>,
  env: ClientRequest['env'],
): Promise<readonly HostReport[] | string> {
  const farms = realFarms(openRuntimeDir(), env);
  try {
    return await inspectHosts(farms, request);
  } finally {
    farms.ways.close();
  }
}

export type ClientRequest = {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly forSession: boolean;
  readonly log: (line: string) => void;
};

function realFarms(directory: RuntimeDir, env: ClientRequest['env']): Farms {
  const trust = clientTrust(env);
  return {
    world: { connect: connectWith(trust, env, connectTimeoutMs), clock: realClock, chance: Math.random },
    trust,
    heard: undefined,
    heardDistcc: undefined,
    ways: openDistccWays(env, directory.path),
    directory,
    open: new Map(),
    cacheDir: cacheDir(),
    stateDir: stateDir(env),
    memory: loadFarmMemory(farmMemoryPath(cacheDir())),
  };
}

/** What an include server looks with: the scans of earlier builds, and compilers that are known. */
export function includeWorld(): Pick<PlanWorld, 'includes' | 'toolchains' | 'epochs'> {
  const includes = createIncludeView(realFiles);
  loadScans(includes, cacheDir());
  return { includes, epochs: newEpochs(realClock), toolchains: newToolchainView(join(cacheDir(), 'toolchains')) };
}

/** Starts the client daemon of this user. @throws RuntimeDirError if its place is not ours. */
export async function startClient(request: ClientRequest): Promise<RunningDaemon> {
  const directory = openRuntimeDir();
  const farms = realFarms(directory, request.env);
  const looks = includeWorld();
  const own = ownSessions(farms, request);
  const results = newResultMemory(cacheDir());
  const world: ClientWorld = {
    ...looks,
    clock: realClock,
    results,
    chance: Math.random,
    scratch: directory.path,
    background: new Set(),
  };
  const daemon = await startDaemon({
    world,
    farms,
    sessions: { open: new Map(), own: own.find, owns: own.all },
    forSession: request.forSession,
    log: request.log,
    directory,
  });
  const endMembership = startMembership({
    trust: farms.trust,
    random: Math.random,
    log: (event) => {
      if (event.kind === 'renewal-failed') request.log(`this box's certificate could not be renewed: ${event.why}`);
    },
  });
  const ended = daemon.ended.then(async () => {
    endMembership();
    own.close();
    farms.trust.close();
    farms.ways.close();
    await Promise.all(world.background);
    saveScans(looks.includes, cacheDir());
    results.save();
    saveFarmMemory(farms.memory, farmMemoryPath(cacheDir()));
  });
  return { ...daemon, ended };
}
