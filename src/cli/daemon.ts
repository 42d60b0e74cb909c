// `shoal daemon`: the client daemon in the foreground. Launchers and `shoal make` start it by themselves, with nobody to
// read its stderr: what it has to say stands in daemon.log too.
import { join } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { startClient } from '../client/compose.ts';
import { logTo } from '../observe/log-file.ts';
import { stateDir } from '../user-directories.ts';
import { refuses } from './fail.ts';
import type { Invocation } from './invocation.ts';

// A daemon lives for a build, and most of its code runs a few hundred times. V8 would spend a third of the daemon's CPU
// on optimising it in the background: 1.2 of 3.3 s in a build of 224 files, 0.4 of 2.2 with this.
const optimiseLate = '--interrupt-budget=1000000';

// What waits for a host lives for half a second and more, and so outlives two rounds of V8's quick collection: its garbage
// stays until the next full one. In a build of 5,000 files the daemon grew to 325 MB; with these it keeps below 200.
const smallHeap = ['--semi-space-growth-factor=1', '--heap-growing-percent=50'];

export async function daemonCommand({ args, env }: Invocation): Promise<void> {
  if (refuses(args, ['--for-session'], 'daemon')) return;
  for (const flag of [optimiseLate, ...smallHeap]) setFlagsFromString(flag);
  const logFile = join(stateDir(env), 'daemon.log');
  const log = (line: string): void => {
    process.stderr.write(`shoal: ${line}\n`);
    logTo(logFile, line);
  };
  // Launchers run their compilers themselves when it has gone; a daemon in an unknown state would be worse.
  process.on('uncaughtException', (error) => {
    log(`the daemon ends: ${error.stack ?? error.message}`);
    process.exit(1);
  });
  const daemon = await startClient({ env, forSession: args.includes('--for-session'), log });
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.once(signal, () => daemon.stop());
  await daemon.ended;
  // Connections of hosts may still be closing; nothing is owed to anybody any more.
  process.exit(0);
}
