// `shoal daemon`: the client daemon in the foreground. Launchers and `shoal make` start it by themselves, with nobody to
// read its stderr: what it has to say stands in daemon.log too.
import { join } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { startClient } from '../client/compose.ts';
import { keepHeapSmall, optimizeLate } from '../heap.ts';
import { logTo } from '../observe/log-file.ts';
import { stateDir } from '../user-directories.ts';
import { refuses } from './fail.ts';
import type { Invocation } from './invocation.ts';

/**
 * What waits for a host lives for half a second and more, and so outlives two rounds of V8's quick collection: its garbage
 * stays until the next full one. In a build of 5,000 files the daemon grew to 325 MB; so it keeps below 200.
 */
function collectOften(): void {
  keepHeapSmall();
  setFlagsFromString('--heap-growing-percent=50');
}

export async function daemonCommand({ args, env }: Invocation): Promise<void> {
  if (refuses(args, ['--for-session'], 'daemon')) return;
  optimizeLate();
  collectOften();
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
