// shoal as shipped: sandbox on, strict, and the command line's and the daemon's own start and end inside the client's group.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { logEnd, mustRun, path, startDaemon, type Daemon, type Place, type Task } from '../processes.ts';
import { usualSlots, type Build, type Ground, type Running, type Side } from '../side.ts';
import { newFarm, newMember } from '../../test/trust/members.ts';
import { waitUntil } from '../wait.ts';

const port = 8475;
const patienceMs = 30_000;

export const shoal: Side = {
  name: 'shoal',
  note: 'shoal make, strict, sandboxed; second build with the result cache off; the start and end of daemon and command line included; a compile on each worker before the clock started, so that both sides know the toolchain and its own headers',
  needs: ['node'],
  input: 'lines',
  start: (ground) => startSide(ground, undefined),
};

/** The same between members of a farm. */
export const shoalTls: Side = {
  ...shoal,
  name: 'shoal, mutual TLS',
  note: 'as shoal, each connection by TLS 1.3 with certificates on both sides',
  start: async (ground) => startSide(ground, await makeIdentities(ground)),
};

/** Of a farm: each worker's state directory, and the client's identity. */
type Identities = { readonly states: readonly string[]; readonly client: string };

async function makeIdentities({ workers, scratch }: Ground): Promise<Identities> {
  const admin = await newFarm(scratch);
  const states = [dirname(admin.directory)];
  for (let at = 2; at <= workers.length; at += 1) {
    const member = await newMember(admin, { name: `worker-${at}`, role: 'worker', scratch });
    states.push(dirname(member.directory));
  }
  return { states, client: (await newMember(admin, { name: 'client', role: 'client', scratch })).directory };
}

async function startSide(ground: Ground, identities: Identities | undefined): Promise<Running> {
  const workers = await startWorkers(ground, identities?.states);
  const identity: Record<string, string> = identities === undefined ? {} : { SHOAL_IDENTITY: identities.client };
  await meetToolchain(ground, identity);
  return {
    command: (build) => buildTask(ground, build, identity),
    check: ({ which, files }) => allWentOut(join(ground.scratch, `summary-${which}.json`), files),
    facts: () => memoryFacts(workers),
    daemons: workers,
  };
}

/** Starts a worker on every worker host; resolves when all serve. `states`: directories with identities in them. */
export async function startWorkers(
  { workers, slots = usualSlots, scratch }: Pick<Ground, 'workers' | 'slots' | 'scratch'>,
  states: readonly string[] = [],
): Promise<readonly Daemon[]> {
  const started = workers.map((place, at) => {
    const state = states[at];
    return state === undefined
      ? worker(place, { slots, state: join(scratch, `worker-${at + 1}`), insecure: true })
      : worker(place, { slots, state, insecure: false });
  });
  try {
    await Promise.all(started.map(({ ready }) => ready));
  } catch (error) {
    // Whoever calls has nothing to stop them by, and would never end beside them.
    await Promise.allSettled(started.map(async ({ daemon }) => daemon.stop()));
    throw error;
  }
  return started.map(({ daemon }) => daemon);
}

/** The command that runs `shoal ARGS`. */
export function shoalCommand(...args: readonly string[]): readonly string[] {
  return [process.execPath, join(process.cwd(), 'bin/shoal.js'), ...args];
}

/** The environment of a strict client whose home is `home`. */
export function clientEnvironment({
  workers,
  slots = usualSlots,
  scratch,
}: Pick<Ground, 'workers' | 'slots' | 'scratch'>): Record<string, string> {
  const hosts = workers.map(({ host }) => `${host.address}:${port}/${slots}`);
  return { HOME: scratch, PATH: withNode(), SHOAL_HOSTS: hosts.join(' '), SHOAL_STRICT: '1' };
}

/**
 * Everything of a first build is new to the farm but the toolchain and its own headers: like icecream's toolchain, they
 * were met before. One compile on each worker.
 */
async function meetToolchain(ground: Ground, identity: Readonly<Record<string, string>>): Promise<void> {
  const { client, workers, scratch } = ground;
  const directory = join(scratch, 'first');
  mkdirSync(directory);
  writeFileSync(join(directory, 'Makefile'), 'first.o: first.cc\n\t$(CXX) -std=c++17 -c $<\n');
  for (const [at, worker] of workers.entries()) {
    writeFileSync(join(directory, 'first.cc'), `#include <bits/stdc++.h>\nint x${at};\n`);
    const env = { ...clientEnvironment({ ...ground, workers: [worker] }), ...identity };
    const argv = shoalCommand('make', '-B', '--silent');
    await mustRun(client, { argv, env, cwd: directory, log: join(directory, 'log'), ownRun: true });
  }
}

function buildTask(
  ground: Ground,
  { which, tree, jobs, ownJobs, log }: Build,
  identity: Readonly<Record<string, string>>,
): Task {
  const env = {
    ...clientEnvironment(ground),
    ...identity,
    SHOAL_SUMMARY: join(ground.scratch, `summary-${which}.json`),
  };
  const cache = which === 'second' ? { SHOAL_RESULT_CACHE: 'off' } : {};
  return {
    argv: shoalCommand('make', ...(ownJobs === true ? [] : [`-j${jobs}`]), '--silent'),
    cwd: tree,
    env: { ...env, ...cache },
    log,
    ownRun: true,
  };
}

type WorkerStart = { readonly slots: number; readonly state: string; readonly insecure: boolean };

function worker(
  place: Place,
  { slots, state, insecure }: WorkerStart,
): { readonly daemon: Daemon; readonly ready: Promise<void> } {
  const log = `${state}.log`;
  const argv = shoalCommand('worker', '--listen', `${place.host.address}:${port}`, '--slots', String(slots));
  const env = { HOME: dirname(state), PATH: withNode() };
  const daemon = startDaemon(place, {
    argv: [...argv, '--state', state, ...(insecure ? ['--insecure'] : [])],
    env,
    log,
    ownRun: true,
  });
  const ready = waitUntil(`the worker of ${place.host.address}`, patienceMs, () => {
    if (!daemon.running()) throw new Error(`the worker ended:\n${logEnd(log)}`);
    return /^ready /m.test(readFileSync(log, 'utf8'));
  });
  return { daemon, ready };
}

function withNode(): string {
  return `${path}:${dirname(process.execPath)}`;
}

type Counted = {
  readonly files: number;
  readonly remote: number;
  readonly hosts: Readonly<Record<string, { readonly jobs: number }>>;
};

function allWentOut(summary: string, files: number): void {
  const counted = JSON.parse(readFileSync(summary, 'utf8')) as Counted;
  if (counted.remote === files && counted.files === files) return;
  throw new Error(`shoal: ${counted.remote} of ${files} files were compiled by a worker: ${JSON.stringify(counted)}`);
}

/** A worker is two processes of Node's, and the slots', which are small. */
function processesOf({ pid }: Daemon): readonly number[] {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean).map(Number);
  return [pid, ...children.filter((child) => readFileSync(`/proc/${child}/comm`, 'utf8').trim() !== 'shoal-init')];
}

function memoryFacts(workers: readonly Daemon[]): Record<string, string> {
  const largestMb = (field: string): string => {
    const ofOne = (pid: number): number => {
      const status = readFileSync(`/proc/${pid}/status`, 'utf8');
      return Number(new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(status)?.[1]);
    };
    const kb = workers.map((worker) => processesOf(worker).reduce((sum, pid) => sum + ofOne(pid), 0));
    return (Math.max(...kb) / 1024).toFixed(0);
  };
  return { workerResidentMb: largestMb('VmRSS'), workerPeakMb: largestMb('VmHWM') };
}
