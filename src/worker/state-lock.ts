// One worker a state directory. The lock is a Unix socket that the worker listens on: the kernel stops listening for it
// however it ends, kill -9 included, so a lock that answers is held and one that does not is stale. A process id in a
// file would lie once another process has that number.
//
// A stale socket is first renamed and only then asked once more: of two workers that find it stale, the later one may
// have moved the fresh socket of the earlier, sees that it answers, and puts it back.
import { closeSync, openSync, renameSync, unlinkSync } from 'node:fs';
import { createConnection, createServer, type Server } from 'node:net';

export type StateLock = { readonly kind: 'held'; readonly release: () => void };
export type StateBusy = { readonly kind: 'busy'; readonly why: string };

function listen(path: string): Promise<Server | NodeJS.ErrnoException> {
  return new Promise((resolve) => {
    const server = createServer((socket) => socket.destroy());
    server.once('error', resolve);
    server.listen(path, () => resolve(server));
    server.unref();
  });
}

/** True if somebody listens on this Unix socket. */
export function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection(path);
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}

/** Moves a socket that nobody listens on out of the way. False if somebody does. */
export async function clearStaleSocket(path: string): Promise<boolean> {
  if (await answers(path)) return false;
  const aside = `${path}.${process.pid}`;
  try {
    renameSync(path, aside);
  } catch {
    return true;
  }
  if (await answers(aside)) {
    renameSync(aside, path);
    return false;
  }
  unlinkSync(aside);
  return true;
}

export async function lockState(directory: string): Promise<StateLock | StateBusy> {
  const busy = {
    kind: 'busy',
    why: `another worker uses ${directory}: stop it, or choose another place with --state`,
  } as const;
  const fd = openSync(directory, 'r');
  // A socket's path is bounded to 107 bytes, a state directory's is not: by its descriptor it is always short.
  const path = `/proc/self/fd/${fd}/lock`;
  const release = (server: Server): void => {
    // Closing also removes the socket, by the path that it was bound to.
    server.close(() => closeSync(fd));
  };
  for (let attempt = 0; attempt < 2; attempt += 1) {
    const server = await listen(path);
    if (!(server instanceof Error)) return { kind: 'held', release: () => release(server) };
    if (server.code !== 'EADDRINUSE') {
      closeSync(fd);
      return { kind: 'busy', why: `cannot lock ${directory}: ${server.message}` };
    }
    if (!(await clearStaleSocket(path))) break;
  }
  closeSync(fd);
  return busy;
}
