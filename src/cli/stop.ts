// `shoal stop`: ends the client daemon of this user, and returns when process and socket are gone.
import { ask, processGone } from '../client/attach.ts';

const patienceMs = 10_000;

export async function stopCommand(): Promise<void> {
  const line = await ask({ op: 'stop' });
  const answer = await line?.next();
  if (line === undefined || answer?.kind !== 'stopping') {
    process.stderr.write('shoal: no daemon is running\n');
    return;
  }
  const gone = await processGone(answer.pid, patienceMs);
  line.close();
  if (gone) return;
  process.stderr.write(`shoal: the daemon (process ${answer.pid}) has not ended within ${patienceMs / 1000} s\n`);
  process.exitCode = 1;
}
