// `shoal stop`: ends the client daemon of this user, and returns when process and socket are gone. Without a daemon it
// takes away what launchers have left that found none.
import { rmSync } from 'node:fs';
import { ask, processGone } from '../client/attach.ts';
import { openRuntimeDir } from '../trust/runtime-dir.ts';

const patienceMs = 10_000;

export async function stopCommand(): Promise<void> {
  const line = await ask({ op: 'stop' });
  const answer = await line?.next();
  if (line === undefined || answer?.kind !== 'stopping') {
    rmSync(openRuntimeDir().gate, { force: true });
    process.stderr.write('shoal: no daemon is running\n');
    return;
  }
  const gone = await processGone(answer.pid, patienceMs);
  line.close();
  if (gone) return;
  process.stderr.write(`shoal: the daemon (process ${answer.pid}) has not ended within ${patienceMs / 1000} s\n`);
  process.exitCode = 1;
}
