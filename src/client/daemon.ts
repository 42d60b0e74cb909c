// The client daemon: one per user, one socket. Launchers bring compiles, the command line brings sessions and
// questions. It ends when stopped, when the last build session of a daemon that was started for one closes, or when
// nothing has happened for a while; what it and its launchers made (the socket, the gate) goes with it.
import { existsSync, linkSync, lstatSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { withRightEntries } from '../distcc/environment.ts';
import { distccExit } from '../distcc/exit-codes.ts';
import { enterHome, leaveHome } from '../farm/places.ts';
import { takesSlot } from '../observe/reasons.ts';
import { addToTally, takeFromTally, type JobEnd } from '../observe/tally.ts';
import { temporarySocket, type RuntimeDir } from '../trust/runtime-dir.ts';
import { readOpening, type Intake } from './connection.ts';
import { serveControl } from './control-line.ts';
import { logJob, spokenLine } from './job-log.ts';
import { newJobStates, type JobStateFile, type JobStates } from './job-state.ts';
import { runJob } from './job.ts';
import type { JobAnswer } from './job-answer.ts';
import type { RunHere } from './run-here.ts';
import {
  decodeRequest,
  completedFrames,
  encodeRunHere,
  encodeRunInSlot,
  encodeSpoken,
  heartbeat,
  type Completed,
  type LauncherRequest,
} from './launcher-wire.ts';
import { preprocessBy, type Preprocess } from './preprocess.ts';
import { gssPrefix } from './distcc-ways.ts';
import { proofPrefix } from './proof.ts';
import { namesSession, sessionOf, type Session, type Sessions } from './session.ts';
import type { Farms } from './compose.ts';
import type { ClientWorld } from './world.ts';

// Nobody waits for an idle daemon; five minutes span the pauses of somebody who edits and compiles.
const idleMs = 5 * 60_000;
// Launchers give up on a silent daemon after ten seconds.
const heartbeatMs = 2000;
// The socket may be swept from /tmp, or another daemon may have taken its place: then nobody can find this one.
const socketCheckMs = 1000;
// Of daemons that start over a dead one's socket, each may take away what another has just put there.
const mostTakes = 5;

export type Daemon = {
  readonly world: ClientWorld;
  readonly farms: Farms;
  readonly sessions: Sessions;
  /** Started by a build, for builds: ends with the last of them. */
  forSession: boolean;
  readonly log: (line: string) => void;
  readonly intake: Intake;
  readonly states: JobStates;
  readonly stop: () => void;
};

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

type Job = {
  readonly request: LauncherRequest;
  readonly session: Session;
  readonly state: JobStateFile;
  readonly preprocess: Preprocess;
};

async function serveJob(daemon: Daemon, socket: Socket, body: Buffer): Promise<void> {
  const decoded = decodeRequest(body);
  if (decoded.kind === 'malformed') {
    daemon.log(`a launcher's request was refused: ${decoded.why}`);
    socket.destroy();
    return;
  }
  const request = { ...decoded.request, env: withRightEntries(decoded.request.env) };
  await serveRequest(daemon, socket, { request, preprocess: preprocessBy(socket) });
}

async function serveRequest(daemon: Daemon, socket: Socket, asked: Pick<Job, 'request' | 'preprocess'>): Promise<void> {
  const { request } = asked;
  const state = daemon.states.begin(request);
  state.note('Startup', 'localhost');
  socket.once('close', state.remove);
  const job = { ...asked, session: await sessionOf(daemon.sessions, request), state };
  if (socket.destroyed) return;
  const answer = await farmOut(daemon, socket, job);
  if (socket.destroyed || job.session.ended) {
    // A compile that was to run here never will: its place here is free.
    if (answer.kind === 'here') answer.ended?.(0);
    if (socket.destroyed) return;
    // One that was only taken for this build's goes on in another, or in none.
    if (namesSession(request.env, job.session)) finish(socket, interrupted);
    else await serveRequest(daemon, socket, asked);
    return;
  }
  logJob(request, answer);
  const spoken = Buffer.from(spokenLine(request, answer));
  if (answer.kind === 'here') state.note('Compile', 'localhost');
  switch (answer.kind) {
    case 'here':
      runHere(job.session, socket, { why: answer, spoken });
      return;
    case 'refused':
      addToTally(job.session.tally, answer);
      finish(socket, withSpoken(refusal(answer, request), spoken));
      return;
    case 'completed':
      addToTally(job.session.tally, answer.end);
      // A launcher says more only where it could not write the outputs, and the compiler runs here all the same.
      socket.once('data', () => {
        const why = answer.unwritten?.();
        if (why === undefined) return;
        takeFromTally(job.session.tally, answer.end);
        countHere(job.session, socket, why);
      });
      finish(socket, withSpoken(answer.completed, spoken));
  }
}

const withSpoken = (completed: Completed, spoken: Buffer): Completed =>
  spoken.length === 0 ? completed : { ...completed, stderr: Buffer.concat([spoken, completed.stderr]) };

/** Writes the answer in one system call, and ends the connection. */
function finish(socket: Socket, completed: Completed): void {
  socket.cork();
  for (const piece of completedFrames(completed)) socket.write(piece);
  socket.end();
}

/** Runs the job while the launcher is there: a launcher that goes away cancels what runs for it. */
async function farmOut(daemon: Daemon, socket: Socket, job: Job): Promise<JobAnswer> {
  const { request, session, state, preprocess } = job;
  const abort = new AbortController();
  const cancel = (): void => abort.abort();
  socket.once('close', cancel);
  socket.resume();
  const beat = setInterval(() => socket.write(heartbeat), heartbeatMs);
  session.jobs.add(abort);
  try {
    const onError = (error: unknown): void => daemon.log(`a job failed: ${(error as Error).stack ?? String(error)}`);
    const onPlace = (host: string): void => state.note('Compile', host);
    return await runJob(daemon.world, session, { request, signal: abort.signal, preprocess, onError, onPlace });
  } finally {
    session.jobs.delete(abort);
    clearInterval(beat);
    socket.off('close', cancel);
  }
}

// By SIGINT, as its build ended: without an answer the launcher would compile here, for nobody.
const interrupted = { outputs: [], stdout: Buffer.alloc(0), stderr: Buffer.alloc(0), waitStatus: 2 };

function refusal({ reason, detail }: Pick<RunHere, 'reason' | 'detail'>, { asDistcc }: LauncherRequest) {
  const because = detail === '' ? reason : `${reason} (${detail})`;
  const text = `shoal: strict: this compile would have run here: ${because}\n`;
  return {
    outputs: [],
    stdout: Buffer.alloc(0),
    stderr: Buffer.from(text),
    waitStatus: (asDistcc ? distccExit.noHosts : 1) << 8,
  };
}

/**
 * Tells the launcher to run its compiler, at once or when a slot is free here. It keeps the connection open while that
 * runs, and says when a wait is over: so it is timed.
 */
function runHere(
  session: Session,
  socket: Socket,
  { why, spoken }: { readonly why: RunHere; readonly spoken: Buffer },
): void {
  const waits = takesSlot(why.reason);
  countHere(session, socket, why, waits);
  socket.resume();
  const frame = waits ? encodeRunInSlot(why.reason, why.needKb ?? 0) : encodeRunHere(why.reason);
  socket.write(spoken.length === 0 ? frame : Buffer.concat([encodeSpoken(spoken), frame]));
}

/** Times what runs here, and counts it when it ends. */
function countHere(session: Session, socket: Socket, why: RunHere, waits = false): void {
  const { farm } = session;
  // One that was chosen to run here is in already.
  const stay = why.reason === 'sooner-here' ? undefined : enterHome(farm);
  let startedMs: number | undefined;
  const start = (): void => {
    session.here += 1;
    startedMs = performance.now();
  };
  if (waits) {
    session.waiting += 1;
    socket.once('data', () => {
      session.waiting -= 1;
      start();
    });
  } else start();
  socket.once('close', () => {
    if (startedMs === undefined) session.waiting -= 1;
    else session.here -= 1;
    const seconds = startedMs === undefined ? 0 : (performance.now() - startedMs) / 1000;
    const end: JobEnd = { kind: 'here', reason: why.reason, detail: why.detail, seconds };
    addToTally(session.tally, end);
    why.ended?.(seconds);
    if (stay !== undefined) leaveHome(farm, stay);
  });
}
