// `shoal daemon`: the client daemon in the foreground. Launchers and `shoal make` start it by themselves; by hand it
// shows why it would not start.
import { startClient } from '../client/compose.ts';
import type { Invocation } from './main.ts';

export async function daemonCommand({ args, env }: Invocation): Promise<void> {
  const daemon = await startClient({
    env,
    forSession: args.includes('--for-session'),
    log: (line) => void process.stderr.write(`shoal: ${line}\n`),
  });
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.once(signal, () => daemon.stop());
  await daemon.ended;
  // Connections of hosts may still be closing; nothing is owed to anybody any more.
  process.exit(0);
}
