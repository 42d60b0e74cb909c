// distcc with hosts that are as fast as the stand-in farm: a real distccd with as many jobs, whose compiler sleeps. What is
// left is what distcc itself can do: it preprocesses each file at home.
import { mkdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { mustRun, path, type Daemon } from '../processes.ts';
import { makeProgram } from '../programs.ts';
import { startDistccd } from '../sides/distcc.ts';
import { listens } from '../sides/listening.ts';
import { compileMs, slots, type Ground } from './farm.ts';
import { objectOf } from './sources.ts';

export type PeerFigures = { readonly files: number; readonly wallMs: number; readonly clientCpuMs: number };

/** Builds the first `files` of the tree. */
export async function measureDistcc(ground: Ground, object: string, files: number): Promise<PeerFigures> {
  const { client, worker, scratch, tree } = ground;
  const daemon = startSleeping(ground, object);
  try {
    await listens(worker.host, 3632);
    const env = {
      HOME: scratch,
      DISTCC_DIR: join(scratch, 'distcc'),
      // distcc's own bound on preprocessors at once.
      DISTCC_HOSTS: `--localslots_cpp=16 ${worker.host.address}/${slots},lzo`,
      DISTCC_FALLBACK: '0',
      DISTCC_BACKOFF_PERIOD: '0',
    };
    mkdirSync(env.DISTCC_DIR);
    const beforeMs = client.group.usedMs();
    const { wallMs } = await mustRun(client, {
      argv: [
        'make',
        '--silent',
        '-B',
        `-j${slots + 1}`,
        'CXX=distcc g++',
        ...tree.sources.slice(0, files).map(objectOf),
      ],
      cwd: tree.directory,
      env,
      log: join(scratch, 'distcc.log'),
    });
    return { files, wallMs, clientCpuMs: client.group.usedMs() - beforeMs };
  } finally {
    await daemon.stop();
  }
}

function startSleeping({ worker, scratch }: Ground, object: string): Daemon {
  const state = join(scratch, 'distccd');
  const compilers = join(state, 'bin');
  mkdirSync(compilers, { recursive: true });
  const sleeper = makeProgram('sleeper', state);
  // distcc names the compiler by its machine too, so that a box of another kind would not take its own.
  for (const name of ['g++', 'x86_64-linux-gnu-g++']) symlinkSync(sleeper, join(compilers, name));
  const env = { PATH: `${compilers}:${path}`, SLEEPER_MS: String(compileMs), SLEEPER_OBJECT: object };
  return startDistccd(worker, { slots, state, env });
}
