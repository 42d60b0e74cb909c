// Builds: what each asked for, and what became of its compiles. A compile belongs to the session that its environment
// names; a scrubbed environment names none, and then the youngest session is meant. Where there is none, or another than
// the one that is named, it belongs to no build: what its own environment asks for is what it gets.
import { randomBytes } from 'node:crypto';
import { slotsOf, type Farm } from '../../farm/farm.ts';
import { isFallback, newTally, summarize, type Summary, type Tally } from '../../observe/tally.ts';
import type { Traffic } from '../../reapi/traffic.ts';
import type { BuildInputs } from '../plan/closure.ts';
import { newLayer } from '../plan/input-tree.ts';
import { newProofs, stopProof, type Proofs } from './proofs.ts';
import type { LauncherRequest } from '../launcher-wire.ts';
import type { Settings } from './settings.ts';
import { newTrail, type Trail } from './trail.ts';

export type Session = BuildInputs & {
  readonly id: string;
  readonly settings: Settings;
  readonly farm: Farm;
  readonly tally: Tally;
  readonly trail: Trail;
  readonly proofs: Proofs;
  readonly startedMs: number;
  /** Of its own calls: builds share connections. */
  readonly traffic: Traffic;
  /** Jobs in the farm; aborted when the session ends before them. */
  readonly jobs: Set<AbortController>;
  ended: boolean;
  /** Compiles running here. */
  here: number;
  /** Those that wait until a slot is free here. */
  waiting: number;
};

export type Sessions = {
  readonly open: Map<string, Session>;
  /** For compiles of no build: one for each way of asking for the farm, made when the first such compile comes. */
  readonly own: (request: Asking) => Promise<Session>;
  /** Those of compiles of no build, the latest used last; at least one. */
  readonly owns: () => readonly Session[];
};

export const sessionVariable = 'SHOAL_SESSION';

/** Its owner chooses it, so that it stays when a daemon dies and another takes its place. */
export function newSessionId(): string {
  return randomBytes(6).toString('hex');
}

export function isSessionId(text: string): boolean {
  return /^[0-9a-f]{12}$/.test(text);
}

export type SessionStart = Pick<Session, 'id' | 'startedMs' | 'expected'>;

export function newSession(settings: Settings, farm: Farm, { id, startedMs, expected }: SessionStart): Session {
  return {
    id,
    settings,
    farm,
    tally: newTally(),
    trail: newTrail(),
    proofs: newProofs(),
    layer: newLayer(),
    expected,
    startedMs,
    traffic: { sent: 0, received: 0 },
    jobs: new Set(),
    ended: false,
    here: 0,
    waiting: 0,
  };
}

/** Of a compile: what may say which farm it means. */
export type Asking = Pick<LauncherRequest, 'env' | 'asDistcc'>;

function namedSession(env: readonly string[]): string | undefined {
  const prefix = `${sessionVariable}=`;
  return env.find((entry) => entry.startsWith(prefix))?.slice(prefix.length);
}

/** The session a compile belongs to, by its environment. */
export async function sessionOf(sessions: Sessions, request: Asking): Promise<Session> {
  const named = namedSession(request.env);
  const found = named === undefined ? [...sessions.open.values()].at(-1) : sessions.open.get(named);
  return found ?? sessions.own(request);
}

/** True if a compile said itself that it is of this session; otherwise that was a guess. */
export function namesSession(env: readonly string[], { id }: Session): boolean {
  return namedSession(env) === id;
}

// As many as one looks at.
const mostFellBack = 50;

function fellBack({ jobs }: Trail): { source: string; reason: string }[] {
  const ends = jobs.flatMap(({ source, end }) =>
    end.kind !== 'remote' && isFallback(end.reason) ? [{ source, reason: end.reason }] : [],
  );
  return ends.slice(0, mostFellBack);
}

/** The session's summary now; the CPU of its owner and the build's children is the owner's to add. */
export function summaryOf(session: Session, nowMs: number, daemonCpuMs: number): Summary {
  return summarize(session.tally, {
    bytesSent: session.traffic.sent,
    bytesReceived: session.traffic.received,
    wallMs: Math.round(nowMs - session.startedMs),
    clientCpuMs: Math.round(daemonCpuMs),
    slots: slotsOf(session.farm),
    fellBack: fellBack(session.trail),
    proved: session.proofs.equal,
    differences: session.proofs.differences,
  });
}

/** Its owner has gone: what is still in the farm for it is cancelled, and its launchers end instead of compiling here. */
export function endSession(session: Session): void {
  session.ended = true;
  stopProof(session.proofs);
  for (const job of session.jobs) job.abort();
}
