// A launcher's side of the daemon: one compile, from its request to the answer, and to the end of what runs here after all.
import type { Socket } from 'node:net';
import { withRightEntries } from '../../distcc/environment.ts';
import { distccExit } from '../../distcc/exit-codes.ts';
import { enterHome, leaveHome } from '../../farm/places.ts';
import { takesSlot } from '../../observe/reasons.ts';
import { addToTally, takeFromTally, type JobEnd } from '../../observe/tally.ts';
import type { Daemon } from './state.ts';
import type { JobAnswer } from '../job/answer.ts';
import { logJob, spokenLine } from './job-log.ts';
import type { JobStateFile } from './job-state.ts';
import { runJob } from '../job/job.ts';
import {
  decodeRequest,
  completedFrames,
  encodeRunHere,
  encodeRunInSlot,
  encodeSpoken,
  heartbeat,
  type Completed,
  type LauncherRequest,
} from '../launcher-wire.ts';
import { preprocessBy, type Preprocessing } from '../distcc/preprocess.ts';
import type { RunHere } from '../plan/run-here.ts';
import { namesSession, sessionOf, type Session } from '../session/session.ts';

// Launchers give up on a silent daemon after ten seconds.
const heartbeatMs = 2000;

type Job = {
  readonly request: LauncherRequest;
  readonly session: Session;
  readonly state: JobStateFile;
  readonly preprocessing: Preprocessing;
};

export async function serveJob(daemon: Daemon, socket: Socket, body: Buffer): Promise<void> {
  const decoded = decodeRequest(body);
  if (decoded.kind === 'malformed') {
    daemon.log(`a launcher's request was refused: ${decoded.why}`);
    socket.destroy();
    return;
  }
  const request = { ...decoded.request, env: withRightEntries(decoded.request.env) };
  await serveRequest(daemon, socket, { request, preprocessing: preprocessBy(socket) });
}

async function serveRequest(
  daemon: Daemon,
  socket: Socket,
  asked: Pick<Job, 'request' | 'preprocessing'>,
): Promise<void> {
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
      asked.preprocessing.onceSaid(() => {
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
  const { request, session, state, preprocessing } = job;
  const { preprocess } = preprocessing;
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
