// icecream as Debian has it (1.4): the scheduler and a daemon on the first worker, a daemon on every other host too.
// Compiles outside the measurement ship the toolchain to each worker first, so that only the work itself is counted.
import { chownSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { run, startDaemon, type Daemon, type Place } from '../processes.ts';
import { makeTask, usualSlots, type Ground, type Side } from '../side.ts';
import { waitUntil } from '../wait.ts';
import { listens, userIds } from './listening.ts';

const schedulerPort = 8765;
const daemonPort = 10245;
const compilers = '/usr/lib/icecc/bin';
const patienceMs = 60_000;

type Env = Readonly<Record<string, string>>;

export const icecream: Side = {
  name: 'icecream',
  note: "Debian's; preprocesses at home; its toolchain was shipped before the clock started",
  needs: ['icecc', 'iceccd', 'icecc-scheduler'],
  input: 'preprocessed',
  start: async (ground) => {
    const { client, workers, slots = usualSlots, scratch } = ground;
    const states = workers.map((_, at) => join(scratch, `iceccd-${at + 1}`));
    const home = join(scratch, 'iceccd-client');
    const daemons = [
      await scheduler(ground),
      ...workers.map((place, at) => iceccd(place, `worker${at + 1}`, states[at] ?? '', ['-m', String(slots)])),
    ];
    daemons.push(iceccd(client, 'client', home, ['-m', '0', '--no-remote']));
    const env = { HOME: scratch, ICECC_TEST_SOCKET: join(home, 'socket') };
    for (const at of workers.keys()) await shipToolchain(ground, `worker${at + 1}`, env);
    const counted = compiledOn(states);
    let before = counted();
    return {
      command: (build) => makeTask(build, { CC: `${compilers}/gcc`, CXX: `${compilers}/g++` }, env),
      check: ({ files }) => {
        const now = counted();
        if (now - before !== files) throw new Error(`icecream: ${now - before} of ${files} files went to a worker`);
        before = now;
      },
      daemons,
    };
  },
};

async function scheduler({ workers, scratch }: Ground): Promise<Daemon> {
  const [place] = workers;
  if (place === undefined) throw new Error('icecream needs a worker');
  const argv = ['icecc-scheduler', '-p', String(schedulerPort), '-n', 'shoalb'];
  const daemon = startDaemon(place, { argv, log: join(scratch, 'scheduler') });
  await listens(place.host, schedulerPort);
  return daemon;
}

function iceccd(place: Place, name: string, state: string, more: readonly string[]): Daemon {
  const { uid, gid } = userIds('icecc');
  const base = join(state, 'envs');
  mkdirSync(base, { recursive: true });
  for (const path of [state, base]) chownSync(path, uid, gid);
  const argv = ['iceccd', '-s', `10.77.1.2:${schedulerPort}`, '-n', 'shoalb', '-N', name, '-u', 'icecc'];
  argv.push('-b', base, '-p', String(daemonPort), '-vv', ...more);
  return startDaemon(place, { argv, env: { ICECC_TEST_SOCKET: join(state, 'socket') }, log: join(state, 'log') });
}

/** Compiles until one goes to `worker`: the daemons look for their scheduler every few seconds only. */
async function shipToolchain({ client, scratch }: Ground, worker: string, env: Env): Promise<void> {
  writeFileSync(join(scratch, 'first.cc'), '#include <vector>\nint main() { return 0; }\n');
  const seen = join(scratch, `${worker}.log`);
  const argv = [`${compilers}/g++`, '-O0', '-c', 'first.cc', '-o', 'first.o'];
  const talking = { ...env, ICECC_PREFERRED_HOST: worker, ICECC_DEBUG: 'debug', ICECC_LOGFILE: seen };
  await waitUntil(`icecream: a compile on ${worker}`, patienceMs, async () => {
    const { status } = await run(client, { argv, env: talking, cwd: scratch, log: join(scratch, 'first.log') });
    return status === 0 && readFileSync(seen, 'utf8').includes('<wait for cs>');
  });
}

/** Counts what the workers' logs say was compiled there. */
function compiledOn(states: readonly string[]): () => number {
  return () => {
    const text = states.map((state) => readFileSync(join(state, 'log'), 'utf8')).join('');
    return text.split('Remote compilation completed').length - 1;
  };
}
