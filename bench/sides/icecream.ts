// icecream as Debian has it (1.4): the scheduler and a daemon on the first worker, a daemon on every other host too.
// A first compile outside the measurement ships the toolchain, so that only the work itself is counted.
import { chownSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { mustRun, startDaemon, type Place } from '../processes.ts';
import { makeTask, type Build, type Ground, type Side } from '../side.ts';
import { waitUntil } from '../wait.ts';
import { listens, userIds } from './listening.ts';

const slots = 4;
const schedulerPort = 8765;
const daemonPort = 10245;
const compilers = '/usr/lib/icecc/bin';

export const icecream: Side = {
  name: 'icecream',
  note: "Debian's; preprocesses at home; its toolchain was shipped before the clock started",
  needs: ['icecc', 'iceccd', 'icecc-scheduler'],
  compilesAtHome: false,
  start: async (ground) => {
    const { client, workers, scratch } = ground;
    const [first] = workers;
    if (first === undefined) throw new Error('icecream needs a worker');
    const scheduler = `${first.host.address}:${schedulerPort}`;
    const daemons = [startDaemon(first, { argv: ['icecc-scheduler', '-p', String(schedulerPort), '-n', 'shoalb'], log: join(scratch, 'scheduler') })];
    await listens(first.host, schedulerPort);
    for (const [at, place] of workers.entries()) {
      daemons.push(daemon(place, { name: `worker${at + 1}`, scheduler, state: join(scratch, `iceccd-${at + 1}`), jobs: slots }));
    }
    const home = join(scratch, 'iceccd-client');
    daemons.push(daemon(client, { name: 'client', scheduler, state: home, jobs: 0 }));
    await connected([...workers.map((_, at) => join(scratch, `iceccd-${at + 1}`, 'log')), join(home, 'log')]);
    const log = join(scratch, 'icecc.log');
    const env = { HOME: scratch, ICECC_TEST_SOCKET: join(home, 'socket'), ICECC_LOGFILE: log, ICECC_DEBUG: 'info' };
    await shipToolchain(ground, env);
    return {
      command: (build) => makeTask(build, { CC: `${compilers}/gcc`, CXX: `${compilers}/g++` }, env),
      check: (build) => allWentOut(build, log),
      daemons,
    };
  },
};

type DaemonOptions = { readonly name: string; readonly scheduler: string; readonly state: string; readonly jobs: number };

function daemon(place: Place, { name, scheduler, state, jobs }: DaemonOptions) {
  const { uid, gid } = userIds('icecc');
  const base = join(state, 'envs');
  mkdirSync(base, { recursive: true });
  for (const path of [state, base]) chownSync(path, uid, gid);
  const argv = ['iceccd', '-s', scheduler, '-n', 'shoalb', '-N', name, '-b', base, '-u', 'icecc', '-m', String(jobs), '-p', String(daemonPort), '-v'];
  if (jobs === 0) argv.push('--no-remote');
  return startDaemon(place, { argv, env: { ICECC_TEST_SOCKET: join(state, 'socket') }, log: join(state, 'log') });
}

/** Daemons look for their scheduler every few seconds. */
async function connected(logs: readonly string[]): Promise<void> {
  for (const log of logs) {
    await waitUntil(`Connected to scheduler in ${log}`, 30_000, () => readFileSync(log, 'utf8').includes('Connected to scheduler')).catch((e) => { throw new Error(readFileSync(log, 'utf8'), {cause:e}) });
  }
}

async function shipToolchain({ client, scratch, workers }: Ground, env: Readonly<Record<string, string>>): Promise<void> {
  writeFileSync(join(scratch, 'first.cc'), '#include <vector>\nint main() { return 0; }\n');
  const log = join(scratch, 'first.log');
  const argv = [`${compilers}/g++`, '-O0', '-c', 'first.cc', '-o', 'first.o'];
  for (const at of workers.keys()) {
    const preferred = { ...env, ICECC_PREFERRED_HOST: `worker${at + 1}` };
    await waitUntil(`a compile on worker${at + 1}`, 30_000, async () => {
      await mustRun(client, { argv, env: preferred, cwd: scratch, log });
      return readFileSync(env['ICECC_LOGFILE'] ?? '', 'utf8').includes(`Have to use host ${workers[at]?.host.address}`);
    });
  }
}

function allWentOut({ files }: Build, log: string): void {
  const home = readFileSync(log, 'utf8').split('\n').filter((line) => /building myself|<building_local>/.test(line)).length;
  if (home > 0) throw new Error(`icecream compiled ${home} of ${files} files at home`);
}
