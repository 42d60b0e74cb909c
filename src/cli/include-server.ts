// `shoal include-server DIRECTORY PID TICKS`: the process that `pump --startup` leaves behind, for its own use. It ends on
// SIGTERM, with the shell that it was started from, when nobody has asked for long, and when its directory is swept away.
import { appendFileSync, existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { includeWorld } from '../client/compose.ts';
import { startIncludeServer } from '../client/pump/include-server.ts';
import { identify, lives, writeOwner, type ProcessIdentity } from '../client/pump/directory.ts';
import type { Invocation } from './invocation.ts';

const lookMs = 1000;
// A working day: somebody may have a shell for building in the background.
const idleMs = 8 * 3_600_000;

/** Serves in this process until `close` is called, which leaves nothing. */
export async function serveIncludes(
  directory: string,
  { shell, env }: { readonly shell: ProcessIdentity; readonly env: Invocation['env'] },
): Promise<{ readonly close: () => Promise<void>; readonly isOver: () => boolean }> {
  const own = identify(process.pid);
  if (own === undefined) throw new Error('/proc does not tell about this process');
  const log = join(directory, 'log');
  const server = await startIncludeServer({
    directory,
    world: { ...includeWorld(), env },
    log: (line) => appendFileSync(log, `${line}\n`),
  });
  writeOwner(directory, { server: own, shell });
  const close = async (): Promise<void> => {
    await server.close();
    rmSync(directory, { recursive: true, force: true });
  };
  const isOver = (): boolean =>
    !lives(shell) || !existsSync(server.socket) || performance.now() - server.lastAskedMs() > idleMs;
  return { close, isOver };
}

export async function includeServerCommand({ args, env }: Invocation): Promise<void> {
  const [directory = '', pid = '', startTicks = ''] = args;
  const { close, isOver } = await serveIncludes(directory, { shell: { pid: Number(pid), startTicks }, env });
  const end = (): void => {
    clearInterval(look);
    close().then(
      () => process.exit(0),
      () => process.exit(1),
    );
  };
  const look = setInterval(() => {
    if (isOver()) end();
  }, lookMs);
  process.on('SIGTERM', end);
  process.on('SIGINT', end);
}
