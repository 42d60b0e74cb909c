// The client daemon: one per user, one socket. Launchers bring compiles (launcher-line.ts), the command line brings sessions
// and questions (control-line.ts). It ends when stopped, when the last build session of a daemon that was started for one
// closes, or when nothing has happened for a while; what it and its launchers made (the socket, the gate) goes with it.
import { existsSync, linkSync, lstatSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { temporarySocket, type RuntimeDir } from '../../trust/runtime-dir.ts';
import { readOpening } from './connection.ts';
import { serveControl } from './control-line.ts';
import type { Daemon } from './state.ts';
import { gssPrefix } from '../distcc/ways.ts';
import { newJobStates } from './job-state.ts';
import { serveJob } from './launcher-line.ts';
import { proofPrefix } from '../job/proof.ts';

// Nobody waits for an idle daemon; five minutes span the pauses of somebody who edits and compiles.
const idleMs = 5 * 60_000;
// The socket may be swept from /tmp, or another daemon may have taken its place: then nobody can find this one.
const socketCheckMs = 1000;
// Of daemons that start over a dead one's socket, each may take away what another has just put there.
const mostTakes = 5;

export type DaemonRequest = Pick<Daemon, 'world' | 'farms' | 'sessions' | 'forSession' | 'log'> & {
  readonly directory: RuntimeDir;
};

export type RunningDaemon = { readonly ended: Promise<void>; readonly stop: () => void };

function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once('connect', () => resolve(true));
    socket.once('error', () => resolve(false));
    socket.once('connect', () => socket.destroy());
  });
}

/** Takes a dead daemon's socket away, and not the one that another daemon has put there since it was looked at. */
function takeAway({ path, socket }: RuntimeDir, dead: bigint | undefined): void {
  const aside = `${path}/dead.${process.pid}.sock`;
  try {
    renameSync(socket, aside);
    if (lstatSync(aside, { bigint: true }).ino !== dead) linkSync(aside, socket);
  } catch {
    // Somebody else has been here: what is there now is looked at again.
  }
  rmSync(aside, { force: true });
}

/**
 * Listens under a name of its own, then takes the well-known one: whoever connects finds a daemon that accepts. Undefined
 * if another daemon has that name: launchers and command lines may start two at once, and the build's jobs and its
 * session have to meet in one.
 */
async function listen(server: Server, directory: RuntimeDir): Promise<bigint | undefined> {
  const temporary = temporarySocket(directory, process.pid);
  rmSync(temporary, { force: true });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(temporary, () => resolve());
  });
  const { ino } = lstatSync(temporary, { bigint: true });
  let taken = false;
  for (let tries = 0; !taken && tries < mostTakes; tries += 1) {
    try {
      linkSync(temporary, directory.socket);
      taken = true;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
      const dead = lstatSync(directory.socket, { bigint: true, throwIfNoEntry: false })?.ino;
      if (await answers(directory.socket)) break;
      takeAway(directory, dead);
    }
  }
  rmSync(temporary, { force: true });
  return taken ? ino : undefined;
}

/** What a daemon that was killed left behind. */
function sweep({ path }: RuntimeDir): void {
  for (const name of readdirSync(path)) {
    if (name.startsWith(proofPrefix) || isLeftOfKilled(name))
      rmSync(join(path, name), { recursive: true, force: true });
  }
}

/** Whoever asks for the hosts without a daemon has one, too. */
function isLeftOfKilled(name: string): boolean {
  return name.startsWith(gssPrefix) && !existsSync(`/proc/${name.split('.')[1] ?? ''}`);
}

function holdsSocket(directory: RuntimeDir, ino: bigint): boolean {
  return lstatSync(directory.socket, { bigint: true, throwIfNoEntry: false })?.ino === ino;
}

export async function startDaemon(request: DaemonRequest): Promise<RunningDaemon> {
  const connections = new Set<Socket>();
  let finish = (): void => undefined;
  const ended = new Promise<void>((resolve) => (finish = resolve));
  let lastBusyMs = request.world.clock.nowMs();
  let stopping = false;
  const daemon: Daemon = { ...request, intake: { pendingBytes: 0 }, states: newJobStates(), stop: () => stop() };
  const server = createServer((socket) => {
    connections.add(socket);
    lastBusyMs = request.world.clock.nowMs();
    socket.on('error', () => undefined);
    socket.on('close', () => {
      connections.delete(socket);
      lastBusyMs = request.world.clock.nowMs();
    });
    void serve(daemon, socket).catch((error: unknown) => {
      request.log(`a connection failed: ${(error as Error).stack ?? String(error)}`);
      socket.destroy();
    });
  });
  const ino = await listen(server, request.directory);
  if (ino === undefined) {
    server.close(() => finish());
    return { ended, stop: () => undefined };
  }
  sweep(request.directory);
  const check = setInterval(() => {
    rmSync(request.directory.stuck, { force: true }); // whoever thought so will see that it is over
    const idle = connections.size === 0 && request.world.clock.nowMs() - lastBusyMs > idleMs;
    if (idle || (connections.size === 0 && !holdsSocket(request.directory, ino))) stop();
  }, socketCheckMs);
  const stop = (): void => {
    if (stopping) return;
    stopping = true;
    clearInterval(check);
    if (holdsSocket(request.directory, ino)) {
      rmSync(request.directory.socket, { force: true });
      rmSync(request.directory.gate, { force: true });
      rmSync(request.directory.stuck, { force: true });
    }
    server.close(() => finish());
    for (const socket of connections) socket.destroy();
  };
  return { ended, stop };
}

async function serve(daemon: Daemon, socket: Socket): Promise<void> {
  const opening = await readOpening(socket, daemon.intake);
  if (opening === undefined) {
    socket.destroy();
    return;
  }
  if (opening.kind === 'control') await serveControl(daemon, socket, opening);
  else await serveJob(daemon, socket, opening.body);
}
