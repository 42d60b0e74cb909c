// `distccd`: the drop-in for distcc's server, and `shoal distccd`. Reads distccd's own command line and serves with a worker
// that listens for nothing else.
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, setPriority, getPriority } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { distccdHelp, parseDistccd, type DistccdSettings } from '../distcc/distccd-options.ts';
import { distccExit } from '../distcc/exit-codes.ts';
import { decodeLogLine, type LogLine } from '../distcc/log-lines.ts';
import { announceDistcc } from '../farm/distcc-zeroconf.ts';
import { ensureGss, ensureNative, installation } from '../native.ts';
import { noAudit, openAuditLog, type AuditLog } from '../observe/audit-log.ts';
import { realClock } from '../observe/clock.ts';
import { version } from '../observe/version.ts';
import { gssSocketName, startGssHelper } from '../trust/gssapi.ts';
import { parsePrincipals } from '../trust/principal-list.ts';
import { openRuntimeDir, RuntimeDirError } from '../trust/runtime-dir.ts';
import { stateDir } from '../user-directories.ts';
import { addressText } from '../trust/addresses.ts';
import type { ListenAddress } from '../worker/claims.ts';
import { exposure, openness } from '../worker/distcc/exposure.ts';
import { startKeeper, type FrontGiven, type KeeperOptions, type RunningKeeper } from '../worker/keeper/keeper.ts';
import { memoryBounds } from '../worker/sandbox/memory-bounds.ts';
import { clearStaleSocket } from '../worker/state-lock.ts';
import { becomeUser, UserError } from './become-user.ts';
import { startDetached } from './distccd-detach.ts';
import { localSocketPath, serveInetd, serveInetdFlag } from './distccd-inetd.ts';
import { openDistccdLog, type DistccdLog } from './distccd-log.ts';
import type { FrontSettings } from '../worker/keeper/front-settings.ts';
import type { Invocation } from './invocation.ts';

// It is there for connections to come: an idle one costs some 60 MB.
const inetdIdleMs = 60_000;
const storeBytes = 64 << 20;

function fail(why: string, status: number): void {
  process.stderr.write(`distccd: ${why}\n`);
  process.exitCode = status;
}

function text(what: 'help' | 'version' | 'principal', env: Invocation['env']): string {
  const about = `distccd (shoal ${version})\n  (protocols 1, 2 and 3) (default port 3632)\n`;
  if (what === 'version') return about;
  if (what === 'help') return `${about}\n${distccdHelp()}`;
  const principal = env['DISTCCD_PRINCIPAL'];
  return principal === undefined ? 'Principal\t: Not Set\n' : `Principal is\t: ${principal}\n`;
}

export async function distccdCommand({ args, env, mainScript }: Invocation): Promise<void> {
  const isLocal = args[0] === serveInetdFlag;
  const parsed = parseDistccd(isLocal ? args.slice(1) : args, env);
  if (parsed.kind === 'wrong') return fail(parsed.why, distccExit.badArguments);
  if (parsed.kind === 'text') return void process.stdout.write(text(parsed.what, env));
  const { settings } = parsed;
  if (isLocal)
    return serve(
      { ...settings, listen: [], log: { kind: 'stderr' }, statsPort: undefined },
      { env, mainScript, idleMs: inetdIdleMs },
    );
  if (settings.mode === 'inetd') return serveInetd({ allow: settings.allow, mainScript, args });
  const exposed = exposure(settings);
  if (exposed !== undefined) return fail(exposed, distccExit.badArguments);
  if (settings.detach) return startDetached(mainScript, args);
  return serve(settings, { env, mainScript, idleMs: undefined });
}

type Asked = Pick<Serving, 'env' | 'mainScript' | 'idleMs'>;

async function serve(settings: DistccdSettings, { env, mainScript, idleMs }: Asked): Promise<void> {
  const directory = resolve(stateFor(settings, env));
  // What it makes for the front and for slots is made with the modes that it says.
  process.umask(0o022);
  const { init } = await ensureNative();
  const { auth } = settings;
  const gss = auth === undefined ? undefined : await ensureGss();
  const names = principalsOf(auth);
  if (typeof names === 'string') return fail(names, distccExit.badArguments);
  try {
    if (settings.user !== undefined) becomeUser(settings.user, [directory]);
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    return fail(error.message, distccExit.badArguments);
  }
  // As the user that it runs as from here on: what that one cannot write is known now.
  const log = openDistccdLog(settings.log, settings.level);
  const unwritable = log === undefined ? settings.log : pidFileTrouble(settings.pidFile);
  if (log === undefined || unwritable !== undefined) {
    fail(`cannot write ${JSON.stringify(unwritable)}`, distccExit.badArguments);
    return log?.close();
  }
  for (const note of settings.notes) log.write({ level: 'warning', text: note });
  setPriority(Math.min(19, Math.max(-20, getPriority() + settings.nice)));
  await run({ settings, env, mainScript, directory, init, idleMs, log, names, gss });
}

// The front gets them over its command line, of which the kernel takes 128 KB a word.
const mostNamesBytes = 64 << 10;

/** Text says what is wrong. */
function principalsOf(auth: DistccdSettings['auth']): readonly string[] | string {
  if (auth?.list === undefined) return [];
  const { kind, path } = auth.list;
  try {
    const names = [...parsePrincipals(kind, readFileSync(path, 'utf8')).names];
    const size = names.reduce((sum, name) => sum + name.length + 3, 0);
    return size <= mostNamesBytes
      ? names
      : `--${kind}list ${path}: ${size} bytes of names; the most is ${mostNamesBytes}`;
  } catch (error) {
    return `--${kind}list ${path}: ${(error as Error).message}`;
  }
}

/** Gives the path back if it cannot be written. */
function pidFileTrouble(path: string | undefined): string | undefined {
  try {
    if (path !== undefined) writeFileSync(path, '');
    return undefined;
  } catch {
    return path;
  }
}

function stateFor({ state, user }: DistccdSettings, env: Invocation['env']): string {
  if (state !== undefined) return state;
  return user === undefined ? join(stateDir(env), 'distccd') : `/var/lib/shoal/distccd-${user}`;
}

type Serving = {
  readonly settings: DistccdSettings;
  readonly env: Invocation['env'];
  readonly mainScript: string;
  readonly directory: string;
  readonly init: string;
  readonly idleMs: number | undefined;
  readonly log: DistccdLog;
  /** Of --whitelist or --blacklist. */
  readonly names: readonly string[];
  /** The program of the GSS-API, where it is needed. */
  readonly gss: string | undefined;
};

/** For the front. */
function frontSettings({ settings, env, directory, idleMs, names }: Serving): Omit<FrontSettings, keyof FrontGiven> {
  const { jobs, searchPath, list, sysroot, allow, lifetimeSeconds, idleSeconds, statsPort, auth } = settings;
  return {
    slots: jobs ?? availableParallelism() + 2,
    weights: [],
    hasIdentity: false,
    stateDir: directory,
    storeBytes,
    insecure: false,
    path: searchPath ?? env['PATH'],
    distcc: {
      allow,
      pathEnv: searchPath,
      list,
      sysroot,
      lifetimeMs: lifetimeSeconds === undefined ? undefined : lifetimeSeconds * 1000,
      idleMs: idleSeconds === undefined ? undefined : idleSeconds * 1000,
      auth: auth && { socket: gssSocketName, list: auth.list && { kind: auth.list.kind, names } },
      hasStats: statsPort !== undefined,
      log: 'lines',
      endsAfterMs: idleMs,
    },
  };
}

/** Directories that the front reads, wherever they are. */
function neededOf({ settings: { list, sysroot }, directory }: Serving): readonly string[] {
  const own = [installation(), dirname(process.execPath), directory];
  return [...own, ...(list === undefined ? [] : [dirname(list.path)]), ...(sysroot === undefined ? [] : [sysroot])];
}

function clientsOf({ statsPort }: DistccdSettings, beside: readonly ListenAddress[]): readonly ListenAddress[] {
  return statsPort === undefined ? beside : beside.slice(0, -1);
}

/** Tells the network, and says goodbye by the function that it gives. */
function announceIt({ settings }: Serving, beside: readonly ListenAddress[]): () => Promise<void> {
  const [at] = clientsOf(settings, beside);
  if (!settings.zeroconf || at === undefined) return async () => Promise.resolve();
  const processors = availableParallelism();
  return announceDistcc({ ...at, jobs: settings.jobs ?? processors + 2, processors, compiler: boxCompiler() });
}

/** What the box's gcc says of itself, as stock distccd tells it. */
function boxCompiler(): { readonly version: string; readonly machine: string } | undefined {
  const [version, machine] = ['-dumpversion', '-dumpmachine'].map((option) => {
    const { status, stdout } = spawnSync('gcc', [option], { encoding: 'utf8', timeout: 5000 });
    return status === 0 ? stdout.trim() : undefined;
  });
  return version === undefined || machine === undefined ? undefined : { version, machine };
}

function tellReady({ settings, log }: Serving, beside: readonly ListenAddress[]): void {
  for (const at of clientsOf(settings, beside))
    log.write({ level: 'notice', text: `serves distcc's clients on ${addressText(at)}` });
  const open = openness(settings);
  if (open !== undefined) log.write({ level: 'warning', text: open });
  if (settings.pidFile !== undefined) writeFileSync(settings.pidFile, `${process.pid}\n`);
  process.stdout.write('ready\n');
}

async function run(serving: Serving): Promise<void> {
  const { settings, env, mainScript, directory, init, idleMs, log } = serving;
  const own = frontSettings(serving);
  let isReady = false;
  let serves = (): void => undefined;
  const served = new Promise<void>((resolve) => (serves = resolve));
  let farewell = async (): Promise<void> => Promise.resolve();
  let last: LogLine | undefined;
  const say = (line: LogLine): void => log.write((last = line));
  const end = async (): Promise<void> => {
    await farewell();
    if (settings.pidFile !== undefined) rmSync(settings.pidFile, { force: true });
    return log.close();
  };
  const keeper = await startKeeper({
    listen: [],
    beside: await placesOf(settings),
    slots: own.slots,
    stateDir: directory,
    memory: memoryBounds(undefined),
    insecure: false,
    trust: undefined,
    audit: auditLogOf(serving),
    pairing: () => undefined,
    initPath: init,
    helper: helperOf(serving),
    needed: neededOf(serving),
    frontArgv: (given) => [process.execPath, mainScript, 'front', JSON.stringify({ ...own, ...given })],
    env,
    endsIdle: idleMs !== undefined,
    frontLine: (line) => say(decodeLogLine(line)),
    onReady: (_, beside) => {
      isReady = true;
      tellReady(serving, beside);
      farewell = announceIt(serving, beside);
      serves();
    },
    log: (text) => say({ level: 'warning', text }),
  });
  if (keeper.kind === 'refused') {
    fail(keeper.why, keeper.reason === 'listen' ? distccExit.bindFailed : distccExit.badArguments);
    return end();
  }
  endWhenAsked(keeper, settings, served);
  const status = await keeper.ended;
  if (!isReady && status !== 0) fail(last?.text ?? 'it was ended before it served', status);
  await end();
  process.exit(status);
}

function auditLogOf({ settings: { audit }, directory }: Serving): AuditLog {
  if (audit === 'off') return noAudit;
  const path = resolve(audit ?? join(directory, 'audit.log'));
  return openAuditLog({ path, clock: realClock, now: () => Date.now() });
}

function helperOf({ settings: { auth }, gss, env }: Serving): KeeperOptions['helper'] {
  if (auth === undefined || gss === undefined) return undefined;
  const { principal } = auth;
  return (directory) => startGssHelper({ program: gss, directory, as: { kind: 'accept', principal }, env });
}

/** A socket for `distccd --inetd` of this user, too, unless somebody serves there already. */
async function localSocket(): Promise<string | undefined> {
  try {
    const path = localSocketPath(openRuntimeDir());
    return !existsSync(path) || (await clearStaleSocket(path)) ? path : undefined;
  } catch (error) {
    if (error instanceof RuntimeDirError) return undefined;
    throw error;
  }
}

async function placesOf({ listen, statsPort }: DistccdSettings): Promise<KeeperOptions['beside']> {
  const host = listen[0]?.host ?? '127.0.0.1';
  const stats = statsPort === undefined ? [] : [{ host, port: statsPort }];
  return { listen: [...listen, ...stats], unixSocket: await localSocket() };
}

/** By a signal, or after --lifetime. */
function endWhenAsked(keeper: RunningKeeper, { daemonSeconds }: DistccdSettings, served: Promise<void>): void {
  const { signal } = keeper;
  process.on('SIGTERM', signal);
  process.on('SIGINT', signal);
  process.on('SIGHUP', () => undefined);
  if (daemonSeconds !== undefined) void served.then(() => setTimeout(signal, daemonSeconds * 1000).unref());
}
