// The command line's side of the daemon: sessions, status, stop.
import type { Socket } from 'node:net';
import { reachAll, slotsOf, type Farm } from '../../farm/farm.ts';
import { version } from '../../observe/version.ts';
import {
  parseControlRequest,
  type ControlAnswer,
  type HostsRequest,
  type SessionRequest,
  type Status,
} from './control.ts';
import type { Opening } from './connection.ts';
import { hostReports } from './host-report.ts';
import { findTrail } from '../session/trail.ts';
import type { Daemon } from './state.ts';
import { hearHosts, inspectHosts, openSession } from './farms.ts';
import { encodeControl } from '../launcher-wire.ts';
import { forgetLone } from './lone-compiles.ts';
import { endSession, summaryOf, type Session } from '../session/session.ts';

// A build begins without the hosts that have not answered by then; they join when they do.
const reachPatienceMs = 1000;
// What runs on after make has ended is a background process, not a compile of the build.
const lastJobsPatienceMs = 200;

function answer(socket: Socket, message: ControlAnswer): void {
  socket.write(encodeControl(message));
}

export async function serveControl(daemon: Daemon, socket: Socket, opening: Opening): Promise<void> {
  const request = parseControlRequest(opening.body);
  switch (request?.op) {
    case undefined:
      answer(socket, { kind: 'error', message: 'the daemon does not know this request: is it of another version?' });
      socket.end();
      return;
    case 'status':
      answer(socket, { kind: 'status', status: statusOf(daemon) });
      socket.end();
      return;
    case 'hosts':
      await serveHosts(daemon, socket, request);
      return;
    case 'explain': {
      const found = everySession(daemon).map(({ trail }) => findTrail(trail.jobs, request.file));
      answer(socket, { kind: 'explained', job: found.find((job) => job !== undefined) });
      socket.end();
      return;
    }
    case 'stop':
      answer(socket, { kind: 'stopping', pid: process.pid });
      socket.end(() => daemon.stop());
      return;
    case 'session':
      await serveSession(daemon, socket, request);
  }
}

const otherBuild = { kind: 'invalid', why: 'a build of this name is open already' } as const;

function endIfUnused({ forSession, sessions, stop }: Daemon): void {
  if (forSession && sessions.open.size === 0) stop();
}

/** The youngest build first, those of no build last. */
function everySession({ sessions }: Daemon): Session[] {
  return [...[...sessions.open.values()].toReversed(), ...sessions.owns().toReversed()];
}

async function serveSession(daemon: Daemon, socket: Socket, request: SessionRequest): Promise<void> {
  await hearHosts(daemon.farms, request.settings);
  // Its build has ended before it began.
  if (socket.destroyed) {
    endIfUnused(daemon);
    return;
  }
  const { sessions } = daemon;
  const opened = sessions.open.has(request.id) ? otherBuild : openSession(daemon.farms, request.settings, request);
  if (opened.kind === 'invalid') {
    answer(socket, { kind: 'error', message: opened.why });
    // A daemon that was started for this build has nothing else to live for.
    socket.end(() => endIfUnused(daemon));
    return;
  }
  const { session } = opened;
  daemon.forSession ||= request.adopt;
  // A daemon that was started for this build counts from its start.
  const ownStart = daemon.forSession && sessions.open.size === 0;
  const cpuBefore = ownStart ? undefined : process.cpuUsage();
  sessions.open.set(session.id, session);
  const end = (): void => {
    sessions.open.delete(session.id);
    forgetLone(daemon.farms.directory, session.id);
    endSession(session);
    opened.close();
    endIfUnused(daemon);
  };
  socket.once('close', end);
  // Anything the owner says after the opening is "the command has ended".
  socket.once('data', () => void tellSummary(daemon, socket, { session, cpuBefore }));
  const { progressMs } = request;
  const progress = progressMs > 0 ? setInterval(() => answer(socket, progressOf(session)), progressMs) : undefined;
  socket.once('close', () => clearInterval(progress));
  answer(socket, await sessionAnswer(session, sessions.open.size));
  socket.resume();
}

async function serveHosts(daemon: Daemon, socket: Socket, request: HostsRequest): Promise<void> {
  const reports = await inspectHosts(daemon.farms, request);
  answer(socket, typeof reports === 'string' ? { kind: 'error', message: reports } : { kind: 'hosts', hosts: reports });
  socket.end();
}

/** The last compile's connection closes about when make ends: its end is waited for, so that it is counted. */
async function lastJobsEnded(daemon: Daemon, session: Session): Promise<void> {
  const { clock } = daemon.world;
  const deadlineMs = clock.nowMs() + lastJobsPatienceMs;
  while (session.here + session.waiting + session.jobs.size > 0 && clock.nowMs() < deadlineMs) {
    await new Promise<void>((resolve) => clock.after(2, resolve));
  }
}

type Ending = { readonly session: Session; readonly cpuBefore: NodeJS.CpuUsage | undefined };

async function tellSummary(daemon: Daemon, socket: Socket, { session, cpuBefore }: Ending): Promise<void> {
  await lastJobsEnded(daemon, session);
  const { user, system } = process.cpuUsage(cpuBefore);
  const summary = summaryOf(session, daemon.world.clock.nowMs(), (user + system) / 1000);
  const stopping = daemon.forSession && daemon.sessions.open.size === 1;
  answer(socket, { kind: 'summary', summary, stopping });
  socket.end();
}

async function sessionAnswer(session: Session, builds: number): Promise<ControlAnswer> {
  const { hosts } = session.farm;
  await reachAll(session.farm, reachPatienceMs);
  const ready = hosts.map((host) => host.state).filter((state) => state.kind === 'ready');
  const slots = ready.reduce((sum, state) => sum + state.slots, 0);
  return {
    kind: 'session',
    pid: process.pid,
    slots,
    builds,
    workers: ready.length,
    why: whyNone(session.farm),
  };
}

function whyNone(farm: Farm): string {
  const how = 'start `shoal worker` on a box, and join it from here by a code of `shoal pair`';
  const states = farm.hosts.map((host) => {
    return host.state.kind === 'resting' ? `${host.spec.name}: ${host.state.why}` : host.spec.name;
  });
  if (states.length === 0) return `no worker is known, so this build runs here; ${how}`;
  return `no worker can be reached, so this build runs here (${states.join('; ')}); ${how}`;
}

function progressOf(session: Session): ControlAnswer {
  const { remote, cached, local } = session.tally;
  const slots = [...slotsOf(session.farm).values()].reduce((sum, count) => sum + count, 0);
  return {
    kind: 'progress',
    progress: {
      running: session.jobs.size,
      here: session.here,
      waiting: session.waiting,
      remote,
      cached,
      local,
      slots,
    },
  };
}

function statusOf(daemon: Daemon): Status {
  const sessions = everySession(daemon);
  const farms = new Set(sessions.map((session) => session.farm));
  const sum = (pick: (session: Session) => number): number => sessions.reduce((total, one) => total + pick(one), 0);
  return {
    pid: process.pid,
    version,
    hosts: [...farms].flatMap(hostReports),
    sessions: daemon.sessions.open.size,
    inFlight: sum((session) => session.jobs.size),
    here: sum((session) => session.here),
    waiting: sum((session) => session.waiting),
    totals: {
      remote: sum((session) => session.tally.remote),
      cached: sum((session) => session.tally.cached),
      local: sum((session) => session.tally.local),
    },
  };
}
