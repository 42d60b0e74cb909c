// What users feel: how long a build takes on a farm, against the peers and against what no farm could beat. The compiles
// themselves are played back, since one machine cannot really do the work of five.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import type { PartPlan } from '../part.ts';
import { atExit } from '../tidy.ts';

/** Runs it in a mount namespace of its own, where another compiler may stand in the place of the box's. */
export async function measureReplay({ scratch, cache, rounds }: PartPlan): Promise<string> {
  const program = [process.execPath, join(import.meta.dirname, 'inside.js'), scratch, cache, String(rounds)];
  const child = spawn(
    'unshare',
    ['--mount', '--propagation', 'private', '--kill-child=SIGTERM', '--fork', '--', ...program],
    {
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  );
  const forget = atExit(() => child.kill('SIGTERM'));
  let text = '';
  child.stdout.on('data', (bytes: Buffer) => (text += bytes.toString()));
  const [status] = (await once(child, 'close')) as [number | null];
  forget();
  if (status !== 0) throw new Error(`the part replay ended with status ${status}`);
  return text.trimEnd();
}
