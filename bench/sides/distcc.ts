// distcc as Debian has it (3.4): a distccd on each worker, preprocessing at home, fallback off.
import { chownSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { startDaemon, type Daemon, type Place } from '../processes.ts';
import { makeTask, usualSlots, type Side } from '../side.ts';
import { listens, userIds } from './listening.ts';

export const distcc = sideWith('distcc', '', 'plain protocol');
export const distccLzo = sideWith('distcc lzo', ',lzo', 'compressed protocol');

function sideWith(name: string, option: string, note: string): Side {
  return {
    name,
    note: `Debian's, ${note}; preprocesses at home`,
    needs: ['distcc', 'distccd'],
    input: 'preprocessed',
    start: async ({ workers, slots = usualSlots, scratch }) => {
      const daemons = workers.map((place, at) => startDistccd(place, { slots, state: join(scratch, `distccd-${at}`) }));
      for (const { host } of workers) await listens(host, 3632);
      const hosts = workers.map(({ host }) => `${host.address}/${slots}${option}`);
      const env = {
        HOME: scratch,
        DISTCC_DIR: join(scratch, 'distcc'),
        // Preprocessing at home is not held back below make's own -j.
        DISTCC_HOSTS: ['--localslots_cpp=16', ...hosts].join(' '),
        DISTCC_FALLBACK: '0',
        DISTCC_BACKOFF_PERIOD: '0',
      };
      mkdirSync(env.DISTCC_DIR);
      return { command: (build) => makeTask(build, { CC: 'distcc gcc', CXX: 'distcc g++' }, env), daemons };
    },
  };
}

type DistccdOptions = {
  readonly slots: number;
  readonly state: string;
  readonly env?: Readonly<Record<string, string>>;
};

/** Its log and temporary files are in `state`, which belongs to its user. */
export function startDistccd(place: Place, { slots, state, env }: DistccdOptions): Daemon {
  mkdirSync(state, { recursive: true });
  const log = join(state, 'log');
  writeFileSync(log, '');
  const { uid, gid } = userIds('distccd');
  for (const path of [state, log]) chownSync(path, uid, gid);
  const argv = ['distccd', '--daemon', '--no-detach', '--allow', '10.77.0.0/16', '--listen', place.host.address];
  argv.push('--jobs', String(slots), '--user', 'distccd', '--log-file', log);
  return startDaemon(place, { argv, env: { TMPDIR: state, ...env }, log: join(state, 'stderr') });
}
