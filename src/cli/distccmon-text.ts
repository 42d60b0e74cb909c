// `distccmon-text [DELAY]`: the jobs under way, as distcc's has it: those of shoal's client and of stock distcc's alike.
import { mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { dropStale } from '../client/daemon/job-state.ts';
import { decodeState, stateLine, statePrefix, type JobState } from '../distcc/binstate.ts';
import { distccExit } from '../distcc/exit-codes.ts';
import { distccDirectory } from '../distcc/host-source.ts';
import type { Invocation } from './invocation.ts';

const usage = `usage: distccmon-text [DELAY]

Displays current compilation jobs in text form.

If delay is specified, repeatedly updates after that many (fractional)
seconds.  Otherwise, runs just once.
`;

function readState(path: string): JobState | undefined {
  try {
    return decodeState(readFileSync(path));
  } catch {
    return undefined; // It has ended since.
  }
}

/** Those of processes that live. */
function statesIn(directory: string): readonly JobState[] {
  dropStale(directory);
  return readdirSync(directory)
    .filter((name) => name.startsWith(statePrefix))
    .flatMap((name) => readState(join(directory, name)) ?? [])
    .filter(({ phase }) => phase !== 'Done');
}

export async function distccmonTextCommand({ args, env }: Invocation): Promise<void> {
  const [delay, ...more] = args;
  const seconds = delay === undefined ? undefined : Number(delay);
  if (more.length > 0 || (seconds !== undefined && !(seconds >= 0 && seconds < 1e6))) {
    process.stderr.write(usage);
    process.exitCode = 1;
    return;
  }
  const own = distccDirectory(env);
  if (own === undefined) {
    process.stderr.write('distccmon-text: neither DISTCC_DIR nor HOME is set\n');
    process.exitCode = distccExit.ioError;
    return;
  }
  const directory = join(own, 'state');
  mkdirSync(directory, { recursive: true });
  for (;;) {
    const lines = statesIn(directory).map((state) => `${stateLine(state)}\n`);
    process.stdout.write(`${lines.join('')}\n`);
    if (seconds === undefined || seconds === 0 || process.stdout.destroyed) return;
    await pause(seconds * 1000);
  }
}
