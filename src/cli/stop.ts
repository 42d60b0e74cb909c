// `shoal stop`: ends the client daemon of this user, and returns when process and socket are gone; one that does not
// answer is killed. Without a daemon it takes away what launchers have left that found none.
import { rmSync } from 'node:fs';
import { askOnce, processGone, StuckDaemonError } from '../client/builds/attach.ts';
import { daemonProcess } from '../client/builds/daemon-process.ts';
import { refuses } from './fail.ts';
import type { Invocation } from './invocation.ts';
import { openRuntimeDir, type RuntimeDir } from '../trust/runtime-dir.ts';

const patienceMs = 10_000;

/** What is left where no daemon ends in order. */
function clear({ gate, stuck }: RuntimeDir): void {
  for (const path of [gate, stuck]) rmSync(path, { force: true });
}

async function killStuck(directory: RuntimeDir): Promise<void> {
  const pid = daemonProcess(directory);
  if (pid === undefined) {
    process.stderr.write('shoal: the client daemon does not answer, and its process was not found\n');
    process.exitCode = 1;
    return;
  }
  process.kill(pid, 'SIGKILL');
  await expectGone(pid);
  clear(directory);
  rmSync(directory.socket, { force: true });
  process.stderr.write(`shoal: the client daemon (process ${pid}) did not answer, and was killed\n`);
}

async function expectGone(pid: number): Promise<void> {
  if (await processGone(pid, patienceMs)) return;
  process.stderr.write(`shoal: the daemon (process ${pid}) has not ended within ${patienceMs / 1000} s\n`);
  process.exitCode = 1;
}

export async function stopCommand({ args }: Invocation): Promise<void> {
  if (refuses(args, [], 'stop')) return;
  const directory = openRuntimeDir();
  try {
    const answer = await askOnce({ op: 'stop' });
    if (answer?.kind === 'stopping') {
      await expectGone(answer.pid);
      return;
    }
  } catch (error) {
    if (!(error instanceof StuckDaemonError)) throw error;
    await killStuck(directory);
    return;
  }
  clear(directory);
  process.stderr.write('shoal: no daemon is running\n');
}
