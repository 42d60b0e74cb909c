// One build from the command line's side: a session with the daemon, the compiler names in front of PATH, the user's
// command with the terminal as it is, then the summary. The command's own status is the result, whatever the farm did.
import { spawn, type ChildProcess } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { delimiter, join } from 'node:path';
import type { Writable } from 'node:stream';
import { discoverCompilers } from '../../compiler/discover.ts';
import { ensureNative } from '../../native.ts';
import { withLone, type Summary } from '../../observe/tally.ts';
import { cacheDir } from '../../user-directories.ts';
import { answerPatienceMs, askFor, openOrStart, processGone, StuckDaemonError, type Line } from './attach.ts';
import type { ControlAnswer, Progress, SessionRequest } from '../daemon/control.ts';
import { countLone, expectLone } from '../daemon/lone-compiles.ts';
import { layOutNames } from './names.ts';
import { openRuntimeDir, RuntimeDirError, type RuntimeDir } from '../../trust/runtime-dir.ts';
import { untouchedWords } from './untouched.ts';
import { newSessionId, sessionVariable } from '../session/session.ts';
import type { Settings } from '../session/settings.ts';

// Ctrl-C reaches make and every launcher from the terminal; what is still there after this long is killed.
const interruptPatienceMs = 600;
const politeMs = 150;
// A build whose daemon died meets its next compile soon, and that starts another.
const restartPatienceMs = 400;
const endPatienceMs = 5000;

export type BuildRequest = {
  /** The command, given the farm's slots: `shoal make` picks its -j from them. */
  readonly command: (slots: number) => readonly [string, ...string[]];
  readonly settings: Settings;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly mainScript: string;
  readonly progressMs: number;
  readonly onProgress: (progress: Progress) => void;
  readonly warn: (text: string) => void;
};

export type BuildEnd = {
  readonly status: { readonly code: number } | { readonly signal: NodeJS.Signals };
  readonly summary: Summary | undefined;
  /** The daemon ended in mid-build: what became of the compiles then is not in the summary. */
  readonly lostDaemon: boolean;
  readonly command: readonly string[];
};

type Session = { readonly line: Line; readonly slots: number; readonly builds: number; readonly pid: number };

/** A build, and the name by which its compiles find its session. */
type Build = BuildRequest & { readonly id: string };

async function openSession(request: Build): Promise<Session | undefined> {
  const { warn, mainScript } = request;
  return sessionBy(async () => {
    const line = await openOrStart(sessionRequest(request, false), mainScript);
    if (line === undefined) {
      warn('shoal: the client daemon did not start, so this build runs here without it (`shoal daemon` shows why)');
    }
    return line;
  }, warn);
}

function sessionRequest({ id, settings, progressMs }: Build, adopt: boolean): SessionRequest {
  return { op: 'session', id, settings, cwd: process.cwd(), progressMs, adopt };
}

/** The session on a line, undefined if there can be none, or why another line is worth a try. */
async function sessionOn(line: Line, warn: BuildRequest['warn']): Promise<Session | 'ended' | undefined> {
  const answer = await line.next(answerPatienceMs);
  if (answer === undefined) return 'ended';
  if (answer.kind !== 'session') {
    warn(`shoal: ${answer.kind === 'error' ? answer.message : 'unexpected answer of the daemon'}`);
    return undefined;
  }
  if (answer.workers === 0) warn(`shoal: ${answer.why}`);
  return { line, slots: answer.slots, builds: answer.builds, pid: answer.pid };
}

// A daemon may be about to end when a build comes, or be killed just then.
const mostTries = 3;

/** Never throws: neither somebody else's directory where ours should be nor a stuck daemon is a reason to fail. */
async function sessionBy(
  open: () => Promise<Line | undefined>,
  warn: BuildRequest['warn'],
): Promise<Session | undefined> {
  let line: Line | undefined;
  try {
    for (let tries = 0; tries < mostTries; tries += 1) {
      line = await open();
      if (line === undefined) return undefined;
      const session = await sessionOn(line, warn);
      if (session !== 'ended') return session;
    }
    warn('shoal: the client daemon ended while this build was to begin, which runs here without it');
  } catch (error) {
    if (!(error instanceof RuntimeDirError) && !(error instanceof StuckDaemonError)) throw error;
    line?.close();
    warn(`shoal: ${error.message}; until then builds run here, without the farm`);
  }
  return undefined;
}

/**
 * The daemon died under the build. The next compile starts another; it is taken over, so that it ends with the build, or
 * started here if none comes. At the build's end only a compile's daemon is taken over: none is needed any more.
 */
async function reopenSession(request: Build, ending: boolean): Promise<Session | undefined> {
  const { warn, mainScript } = request;
  warn('shoal: the client daemon ended in mid-build; the summary will count from its restart');
  const adopting = sessionRequest(request, true);
  return sessionBy(async () => {
    const line = await askFor(restartPatienceMs, adopting);
    return line !== undefined || ending ? line : openOrStart(adopting, mainScript);
  }, warn);
}

async function buildEnvironment({ id, env }: Build, { builds }: Session): Promise<NodeJS.ProcessEnv> {
  const path = env['PATH'] ?? '/usr/local/bin:/usr/bin:/bin';
  const [native, names] = await Promise.all([ensureNative(), discoverCompilers(path)]);
  const directory = join(cacheDir(), 'bin');
  // Another build may have other compilers on its PATH, and needs their names as long as it goes on.
  layOutNames(directory, names, native.launcher, builds > 1 ? 'more' : 'none');
  const has = (name: string): boolean => names.includes(name);
  const defaults: NodeJS.ProcessEnv = {};
  const cc = ['cc', 'gcc', 'clang'].find(has);
  const cxx = ['c++', 'g++', 'clang++'].find(has);
  if (cc !== undefined) defaults['CC'] = cc;
  if (cxx !== undefined) defaults['CXX'] = cxx;
  return { ...defaults, ...env, PATH: `${directory}${delimiter}${path}`, [sessionVariable]: id };
}

/** The environment in which compiles find the farm; undefined where there is no place for their names. */
async function farmEnvironment(build: Build, session: Session): Promise<NodeJS.ProcessEnv | undefined> {
  try {
    return await buildEnvironment(build, session);
  } catch (error) {
    const why = (error as Error).message;
    build.warn(`shoal: the compilers' names have no place (${why}), so this build runs here; set XDG_CACHE_HOME`);
    return undefined;
  }
}

function ended(child: ChildProcess): Promise<BuildEnd['status'] | { readonly error: NodeJS.ErrnoException }> {
  return new Promise((resolve) => {
    child.once('error', (error) => resolve({ error }));
    child.once('close', (code, signal) => resolve(signal === null ? { code: code ?? 1 } : { signal }));
  });
}

async function startCommand(command: readonly string[], env: BuildRequest['env']): Promise<ChildProcess> {
  const [file = '', ...args] = command;
  const words = untouchedWords(command, env);
  if (words === undefined) return spawn(file, args, { stdio: 'inherit', env });
  const { launcher } = await ensureNative();
  const child = spawn(launcher, [], {
    argv0: 'shoal-untouched',
    stdio: ['inherit', 'inherit', 'inherit', 'pipe'],
    env,
  });
  const pipe = child.stdio[3] as Writable;
  pipe.on('error', () => undefined); // It has ended: its status says all.
  pipe.end(words);
  return child;
}

/**
 * Runs the command. SIGINT, SIGTERM and SIGHUP go on to it. From a terminal its whole group has them already; a make
 * that was signalled alone waits for its children on SIGINT, and ends them on SIGTERM.
 */
async function runCommand(request: BuildRequest, command: readonly string[], env: BuildRequest['env']) {
  const child = await startCommand(command, env);
  let received: NodeJS.Signals | undefined;
  const forward = (signal: NodeJS.Signals): void => {
    if (received !== undefined) return;
    received = signal;
    child.kill(signal);
    setTimeout(() => child.kill('SIGTERM'), politeMs).unref();
    setTimeout(() => child.kill('SIGKILL'), interruptPatienceMs).unref();
  };
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
  for (const signal of signals) process.on(signal, forward);
  const end = await ended(child);
  for (const signal of signals) process.off(signal, forward);
  if ('error' in end) {
    const missing = end.error.code === 'ENOENT';
    request.warn(`shoal: ${command[0] ?? ''}: ${missing ? 'no such command on PATH' : end.error.message}`);
    return { code: missing ? 127 : 126 };
  }
  return 'signal' in end && received !== undefined ? { signal: received } : end;
}

/** The build's session; another one takes its place if the daemon dies. */
type Following = {
  session: Session;
  ending: boolean;
  lostDaemon: boolean;
  closed: boolean;
  readonly directory: RuntimeDir;
};

function newFollowing(session: Session): Following {
  return { session, ending: false, lostDaemon: false, closed: false, directory: openRuntimeDir() };
}

async function follow(request: Build, following: Following): Promise<ControlAnswer | undefined> {
  for (;;) {
    const answer = await following.session.line.next();
    if (answer?.kind === 'progress') request.onProgress(answer.progress);
    else if (answer !== undefined) return answer;
    else if (following.closed) return undefined;
    else {
      following.lostDaemon = true;
      const reopened = await reopenSession(request, following.ending);
      if (reopened === undefined) return undefined;
      following.session = reopened;
      if (following.ending) reopened.line.send({ op: 'end' });
    }
  }
}

// utime, stime, cutime, cstime of this process and of all it has waited for: make, its launchers, local compiles. To be
// asked while the daemon lives, which counts for itself: one that this process has started is its child too.
function ownCpuMs(): number {
  const fields = readFileSync('/proc/self/stat', 'latin1').split(') ')[1]?.split(' ') ?? [];
  const ticks = fields.slice(11, 15).reduce((sum, field) => sum + Number(field), 0);
  return ticks * 10; // USER_HZ is 100 on every Linux that Node runs on
}

async function closeSession(
  { id }: Build,
  following: Following,
  last: Promise<ControlAnswer | undefined>,
): Promise<Summary | undefined> {
  const ownMs = ownCpuMs();
  const lone = countLone(following.directory, id);
  following.ending = true;
  following.session.line.send({ op: 'end' });
  const stuck = new Promise<void>((resolve) => setTimeout(resolve, answerPatienceMs).unref());
  const answer = await Promise.race([last, stuck]);
  if (answer?.kind !== 'summary') {
    following.closed = true;
    following.session.line.close();
    return undefined;
  }
  // The daemon closes the connection once it has cleaned up; if it was started for us it is then about to be gone.
  const { line, pid } = following.session;
  await line.next(endPatienceMs).catch(() => undefined);
  if (answer.stopping) await processGone(pid, endPatienceMs);
  return withLone({ ...answer.summary, clientCpuMs: answer.summary.clientCpuMs + ownMs }, lone);
}

/** Runs a build and gives its end; the summary is undefined where no daemon could be had. */
export async function runBuild(request: BuildRequest): Promise<BuildEnd> {
  const build: Build = { ...request, id: newSessionId() };
  const session = await openSession(build);
  const farm = session === undefined ? undefined : await farmEnvironment(build, session);
  if (farm === undefined && request.settings.mostFallbacks !== undefined) {
    request.warn('shoal: strict: every compile of this build would have run here, so it was not begun');
    session?.line.close();
    return { status: { code: 1 }, summary: undefined, lostDaemon: false, command: [] };
  }
  const following = session === undefined ? undefined : newFollowing(session);
  const last = following === undefined ? undefined : follow(build, following);
  if (following !== undefined) expectLone(following.directory, build.id);
  const slots = farm === undefined ? 0 : (session?.slots ?? 0);
  const command = request.command(slots === 0 ? availableParallelism() : slots);
  const status = await runCommand(request, command, farm ?? request.env);
  const summary =
    following === undefined || last === undefined ? undefined : await closeSession(build, following, last);
  return { status, summary, lostDaemon: following?.lostDaemon === true, command };
}

/** Why a build has broken strict mode, with its fallbacks, a line each; undefined if all is well. */
export function strictBreach(
  { status, summary, lostDaemon }: BuildEnd,
  { mostFallbacks }: Settings,
): string | undefined {
  // All of them may run here, and so nothing has to be known.
  if (mostFallbacks === undefined || mostFallbacks === 1) return undefined;
  const succeeded = 'code' in status && status.code === 0;
  if (succeeded && (summary === undefined || lostDaemon)) {
    return 'shoal: strict: the client daemon ended before the build, so it is not known which compiles ran here; build again';
  }
  if (summary === undefined) return undefined;
  const { fallbacks, remote, cached, fellBack } = summary;
  const share = fallbacks / Math.max(1, remote + cached + fallbacks);
  if (share <= mostFallbacks) return undefined;
  const percent = (part: number): string => `${Number((part * 100).toFixed(2))} %`;
  const lines = fellBack.map(({ source, reason }) => `  ${source}: ${reason}`);
  if (fallbacks > fellBack.length) lines.push(`  and ${fallbacks - fellBack.length} more`);
  const head = `shoal: strict: ${fallbacks} compiles stayed here, ${percent(share)} of those that could run elsewhere; ${percent(mostFallbacks)} are allowed:`;
  return [head, ...lines].join('\n');
}

export function writeSummaryFile(path: string, summary: Summary): void {
  writeFileSync(path, `${JSON.stringify(summary, undefined, 2)}\n`);
}
