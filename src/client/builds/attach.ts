// How the command line reaches the client daemon: connects to its socket, and starts it where asked.
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { smallAllocator } from '../../allocator.ts';
import { isOwnSocket, openRuntimeDir } from '../../trust/runtime-dir.ts';
import {
  parseJson,
  type ControlAnswer,
  type ControlRequest,
  type SessionEnd,
  type SessionRequest,
} from '../daemon/control.ts';
import { encodeControl, encodeControlRequest } from '../launcher-wire.ts';
import { sessionVariable } from '../session/session.ts';
import { settingVariables } from '../session/settings.ts';

// MB. A build of 200 files fills some 30: with V8's first guess of 4 it is marked from end to end again and again while it
// grows, which is a twentieth of the daemon's CPU. Reserved, not used.
const heapFlag = '--initial-heap-size=64';
// A daemon listens some 70 ms after its start on an idle box; a loaded one gets this long.
const startPatienceMs = 10_000;
const maxAnswerBytes = 64 * 1024 * 1024;

/** A daemon that answers at all does so in milliseconds; about hosts that are off, in 4 s. */
export const answerPatienceMs = 10_000;

export class StuckDaemonError extends Error {
  readonly code = 'STUCK_DAEMON';
}

export type Line = {
  /**
   * The next answer, or undefined once the daemon has closed the connection.
   * @throws StuckDaemonError if nothing comes for `patienceMs`; without it, the wait has no end.
   */
  readonly next: (patienceMs?: number) => Promise<ControlAnswer | undefined>;
  readonly send: (message: SessionEnd) => void;
  readonly close: () => void;
};

function open(path: string): Promise<Socket | undefined> {
  return new Promise((resolve) => {
    if (!isOwnSocket(path)) {
      resolve(undefined);
      return;
    }
    const socket = connect(path);
    socket.once('connect', () => resolve(socket));
    socket.once('error', () => resolve(undefined));
  });
}

function lineOver(socket: Socket, request: ControlRequest): Line {
  const answers: ControlAnswer[] = [];
  const waiting: ((answer: ControlAnswer | undefined) => void)[] = [];
  let ended = false;
  let pending = Buffer.alloc(0);
  const deliver = (answer: ControlAnswer): void => {
    const waiter = waiting.shift();
    if (waiter === undefined) answers.push(answer);
    else waiter(answer);
  };
  socket.on('data', (chunk: Buffer) => {
    pending = Buffer.concat([pending, chunk]);
    while (pending.length >= 4) {
      const size = pending.readUInt32LE(0);
      if (size > maxAnswerBytes) socket.destroy();
      if (size > maxAnswerBytes || pending.length < 4 + size) return;
      deliver(parseJson(pending.subarray(4, 4 + size)) as ControlAnswer);
      pending = pending.subarray(4 + size);
    }
  });
  const end = (): void => {
    ended = true;
    for (const waiter of waiting.splice(0)) waiter(undefined);
  };
  socket.on('error', end);
  socket.on('close', end);
  socket.write(encodeControlRequest(request));
  return {
    next: (patienceMs) => {
      const answer = answers.shift();
      if (answer !== undefined || ended) return Promise.resolve(answer);
      return new Promise((resolve, reject) => {
        const isStuck = (): void => reject(new StuckDaemonError(stuckText(patienceMs ?? 0)));
        const timer = patienceMs === undefined ? undefined : setTimeout(isStuck, patienceMs);
        waiting.push((next) => {
          clearTimeout(timer);
          resolve(next);
        });
      });
    },
    send: (message) => void socket.write(encodeControl(message)),
    close: () => socket.destroy(),
  };
}

/** Asks the running daemon, or gives undefined if none runs. */
export async function ask(request: ControlRequest): Promise<Line | undefined> {
  const socket = await open(openRuntimeDir().socket);
  return socket === undefined ? undefined : lineOver(socket, request);
}

const stuckText = (ms: number): string =>
  `the client daemon has not answered for ${ms / 1000} s; \`shoal stop\` ends it, and the next build starts another`;

/**
 * What the running daemon answers, or undefined if none runs.
 * @throws StuckDaemonError if one runs and does not answer.
 */
export async function askOnce(request: ControlRequest): Promise<ControlAnswer | undefined> {
  const line = await ask(request);
  try {
    return await line?.next(answerPatienceMs);
  } finally {
    line?.close();
  }
}

function startDaemon(mainScript: string): void {
  const env: NodeJS.ProcessEnv = { ...process.env, ...smallAllocator };
  // Node 20 reads the first at each start: 30 ms. The others are this build's, not those of the daemon's next one.
  for (const name of ['NODE_EXTRA_CA_CERTS', sessionVariable, ...settingVariables]) delete env[name];
  const child = spawn(process.execPath, [heapFlag, mainScript, 'daemon', '--for-session'], {
    detached: true,
    stdio: 'ignore',
    cwd: '/',
    env,
  });
  child.on('error', () => undefined);
  child.unref();
}

/** Asks until a daemon answers, for that long at most. */
export async function askFor(patienceMs: number, request: ControlRequest): Promise<Line | undefined> {
  const deadline = performance.now() + patienceMs;
  for (let pauseMs = 10; performance.now() < deadline; pauseMs = Math.min(100, pauseMs * 1.5)) {
    await new Promise((resolve) => setTimeout(resolve, pauseMs));
    const line = await ask(request);
    if (line !== undefined) return line;
  }
  return undefined;
}

/** A build's session with the daemon, which is started first if none runs; undefined if it would not start. */
export async function openOrStart(request: SessionRequest, mainScript: string): Promise<Line | undefined> {
  const running = await ask(request);
  if (running !== undefined) return running;
  startDaemon(mainScript);
  // A compile may have started another at this moment, and ours then gave way: that one ends with the build, too.
  return askFor(startPatienceMs, { ...request, adopt: true });
}

function stateOf(pid: number): 'runs' | 'ended' | 'gone' {
  try {
    return / [ZX] /.test(readFileSync(`/proc/${pid}/stat`, 'latin1').split(')')[1] ?? '') ? 'ended' : 'runs';
  } catch {
    return 'gone';
  }
}

// A process that has ended stays in the list until its parent takes note, which some parents never do.
const parentPatienceMs = 3000;

/** Resolves once the process is gone, or false when `patienceMs` have passed. */
export async function processGone(pid: number, patienceMs: number): Promise<boolean> {
  let deadline = performance.now() + patienceMs;
  let state = stateOf(pid);
  while (state !== 'gone' && performance.now() < deadline) {
    await new Promise((resolve) => setTimeout(resolve, 3));
    const before = state;
    state = stateOf(pid);
    if (state === 'ended' && before === 'runs') deadline = performance.now() + parentPatienceMs;
  }
  return state !== 'runs';
}
