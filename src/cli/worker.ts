// `shoal worker`: compile for others on this box, in the foreground. Prints `ready HOST:PORT` once it serves. SIGTERM
// and SIGINT drain: no new jobs, those in flight are finished; a second signal ends it at once. This process is the keeper
// (worker/keeper/); what serves is its child, `shoal front`.
//
// Without --listen it serves the members of its farm, which it makes if it belongs to none, on all addresses.
import { connect } from 'node:net';
import { availableParallelism, hostname } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { setFlagsFromString } from 'node:v8';
import { ensureNative, installation } from '../native.ts';
import { nativePort } from '../farm/host-spec.ts';
import { noAudit, openAuditLog, type AuditLog } from '../observe/audit-log.ts';
import { realClock } from '../observe/clock.ts';
import { workerStateDir } from '../user-directories.ts';
import { externalFiles, externalIdentity, type ExternalFiles } from '../trust/external.ts';
import { findClientIdentity, identityDirectoryOf, loadIdentity } from '../trust/identity.ts';
import { filesOfIdentity, openLiveTrust, type LiveTrust } from '../trust/live-trust.ts';
import { memberNameFor } from '../trust/member.ts';
import { isOwnSocket, openRuntimeDir } from '../trust/runtime-dir.ts';
import { commandKinds, type Commands } from '../worker/commands.ts';
import { addressText, type ListenAddress } from '../worker/claims.ts';
import { openness } from '../worker/distcc/exposure.ts';
import { startKeeper, type FrontGiven, type RunningKeeper } from '../worker/keeper/keeper.ts';
import { memoryBounds } from '../worker/memory-bounds.ts';
import { distccSettings, takeDistccFlags } from './distcc-flags.ts';
import type { FrontSettings } from './front.ts';
import { fail } from './fail.ts';
import { parseListen } from './listen.ts';
import type { Invocation } from './invocation.ts';
import { pairingText } from './worker-events.ts';

type Environment = Invocation['env'];

export type WorkerSettings = {
  /** Undefined where none was given. */
  readonly listen: readonly ListenAddress[] | undefined;
  readonly slots: number;
  readonly stateDir: string;
  readonly storeBytes: number;
  readonly jobMemoryBytes?: number;
  /** By client. */
  readonly weights: ReadonlyMap<string, number>;
  readonly commands?: Commands;
  readonly contain?: 'none';
  /** The audit log's file; undefined: none. */
  readonly audit: string | undefined;
  readonly insecure: boolean;
  /** Certificates of an existing authority. */
  readonly external: ExternalFiles | undefined;
};

const defaultStoreBytes = 10 * 2 ** 30;
const maxSlots = 1024;
// A C compiler takes some 30 MB before it has read anything.
const leastJobMemoryBytes = 64 << 20;
const usage =
  'usage: shoal worker [--listen ADDR:PORT] [--slots N] [--state DIR] [--store-size 10G] [--job-memory SIZE]\n' +
  '                    [--commands own|shipped|any] [--weight NAME=2] [--contain=none]\n' +
  '                    [--audit FILE|off] [--insecure]\n' +
  '                    [--distcc [ADDR:PORT] [--allow ADDRESS[/BITS]]… [--allow-private]]\n' +
  '                    [--tls-ca FILE --tls-cert FILE --tls-key FILE]\n' +
  '       shoal worker --stdio     (for ssh: leads to the worker that runs here)';

/** A number of bytes; K, M, G and T are powers of 1024. */
export function parseSize(text: string): number | undefined {
  const match = /^(\d{1,12})([KMGT]?)$/i.exec(text);
  const unit = 'KMGT'.indexOf((match?.[2] ?? '').toUpperCase()) + 1;
  return match === null ? undefined : Number(match[1]) * (match[2] === '' ? 1 : 1024 ** unit);
}

const flags = {
  listen: { type: 'string', multiple: true },
  slots: { type: 'string' },
  state: { type: 'string' },
  'store-size': { type: 'string' },
  'job-memory': { type: 'string' },
  weight: { type: 'string', multiple: true },
  commands: { type: 'string' },
  contain: { type: 'string' },
  audit: { type: 'string' },
  insecure: { type: 'boolean' },
  'tls-ca': { type: 'string' },
  'tls-cert': { type: 'string' },
  'tls-key': { type: 'string' },
} as const;

/** What the arguments ask for, or what is wrong with them. */
export function parseWorkerArgs(args: readonly string[], env: Environment): WorkerSettings | string {
  let values: ReturnType<typeof parse>;
  try {
    values = parse(args);
  } catch (error) {
    return (error as Error).message;
  }
  const listen: ListenAddress[] = [];
  for (const text of values.listen ?? []) {
    const address = parseListen(text);
    if (address === undefined) return `--listen ${text}: not ADDR:PORT`;
    listen.push(address);
  }
  const slots = values.slots === undefined ? availableParallelism() : Number(values.slots);
  if (!Number.isInteger(slots) || slots < 1 || slots > maxSlots) return `--slots ${values.slots}: not 1 to ${maxSlots}`;
  const storeBytes = values['store-size'] === undefined ? defaultStoreBytes : parseSize(values['store-size']);
  if (storeBytes === undefined) return `--store-size ${values['store-size']}: not a size such as 10G`;
  const jobMemoryBytes = values['job-memory'] === undefined ? undefined : parseSize(values['job-memory']);
  if (values['job-memory'] !== undefined && (jobMemoryBytes ?? 0) < leastJobMemoryBytes) {
    return `--job-memory ${values['job-memory']}: not a size such as 2G, of 64M at least`;
  }
  const weights = new Map<string, number>();
  for (const text of values.weight ?? []) {
    const [client, weight] = parseWeight(text);
    if (client === '' || !(weight >= 0.01 && weight <= 100)) return `--weight ${text}: not NAME=WEIGHT, 0.01 to 100`;
    weights.set(client, weight);
  }
  const commands = commandKinds.find((kind) => kind === values.commands);
  if (commands === undefined && values.commands !== undefined) {
    return `--commands ${values.commands}: not ${commandKinds.join(', ')}`;
  }
  if (values.contain !== undefined && values.contain !== 'none')
    return `--contain ${values.contain}: only none is known`;
  const state = values.state ?? workerStateDir(env);
  const external = externalFiles(values, env);
  if (typeof external === 'string') return external;
  return {
    listen: listen.length > 0 ? listen : undefined,
    slots,
    stateDir: state,
    storeBytes,
    ...(jobMemoryBytes === undefined ? {} : { jobMemoryBytes }),
    weights,
    ...(commands === undefined ? {} : { commands }),
    ...(values.contain === 'none' ? { contain: values.contain } : {}),
    audit: auditPath(values.audit, state),
    insecure: values.insecure ?? false,
    external,
  };
}

/** A member by its name; `local` is this box's own user. */
function parseWeight(text: string): [client: string, weight: number] {
  const at = text.lastIndexOf('=');
  const name = text.slice(0, Math.max(0, at));
  return [name === 'local' || name === '' ? name : `member ${name}`, Number(text.slice(at + 1))];
}

function auditPath(asked: string | undefined, state: string): string | undefined {
  return asked === 'off' ? undefined : resolve(asked ?? join(state, 'audit.log'));
}

function parse(args: readonly string[]) {
  return parseArgs({ args: [...args], options: flags, allowPositionals: false }).values;
}

export async function workerCommand({ args, env, mainScript }: Invocation): Promise<void> {
  if (args.includes('--help')) {
    process.stdout.write(`${usage}\n`);
    return;
  }
  if (args.length === 1 && args[0] === '--stdio') return bridge();
  const taken = takeDistccFlags(args);
  if (typeof taken === 'string') return fail(taken, 2);
  const settings = parseWorkerArgs(taken.rest, env);
  if (typeof settings === 'string') return fail(`${settings}\n${usage}`, 2);
  keepHeapSmall();
  // What it makes for the front and for slots is made with the modes that it says.
  process.umask(0o022);
  const open = taken.distcc && openness(taken.distcc);
  if (open !== undefined) say(open);
  const { init } = await ensureNative();
  const belonging = await belongTo(settings, env);
  if (belonging.kind === 'refused') return fail(belonging.why, 1);
  const { trust } = belonging;
  const stateDir = resolve(settings.stateDir);
  const audit = auditLogAt(settings.audit);
  const { slots, insecure, jobMemoryBytes, contain } = settings;
  const { distcc } = taken;
  const keeper = await startKeeper({
    listen: settings.listen ?? belonging.listen,
    slots,
    insecure,
    stateDir,
    trust,
    audit,
    memory: memoryBounds(jobMemoryBytes),
    ...(contain && { contain }),
    ...(distcc && { beside: { listen: distcc.listen } }),
    pairing: (event) => say(pairingText(event)),
    unixSocket: openRuntimeDir().workerSocket,
    initPath: init,
    needed: [installation(), dirname(process.execPath), stateDir],
    frontArgv: (given) => {
      const own = { ...frontSettings(settings, env), hasIdentity: trust !== undefined };
      const told: FrontSettings = { ...own, ...given, ...(distcc && { distcc: distccSettings(distcc) }) };
      return [process.execPath, mainScript, 'front', JSON.stringify(told)];
    },
    env,
    onReady: (addresses, beside) => {
      for (const address of addresses) process.stdout.write(`ready ${addressText(address)}\n`);
      for (const address of beside) process.stdout.write(`distcc ${addressText(address)}\n`);
    },
    log: say,
  });
  if (keeper.kind === 'refused') return fail(keeper.why, 1);
  endOnSignals(keeper, audit);
}

function say(text: string): void {
  process.stderr.write(`shoal: ${text}\n`);
}

function auditLogAt(path: string | undefined): AuditLog {
  return path === undefined ? noAudit : openAuditLog({ path, clock: realClock, now: () => Date.now() });
}

function frontSettings(
  settings: WorkerSettings,
  env: Environment,
): Omit<FrontSettings, keyof FrontGiven | 'hasIdentity'> {
  const { slots, storeBytes, insecure, weights, jobMemoryBytes, commands, contain, stateDir } = settings;
  return {
    slots,
    storeBytes,
    insecure,
    weights: [...weights],
    ...(jobMemoryBytes === undefined ? {} : { jobMemoryBytes }),
    ...(commands === undefined ? {} : { commands }),
    ...(contain && { contain }),
    stateDir: resolve(stateDir),
    path: env['PATH'],
  };
}

type Belonging =
  | { readonly kind: 'belongs'; readonly trust: LiveTrust | undefined; readonly listen: readonly ListenAddress[] }
  | { readonly kind: 'refused'; readonly why: string };

// The usual port; where another worker has it, any: this box finds it by its socket, others by what the network says.
const onThisBox: readonly ListenAddress[] = [{ host: '127.0.0.1', port: nativePort, orAnyPort: true }];
const everywhere: readonly ListenAddress[] = [{ host: '::', port: nativePort, orAnyPort: true }];

/** The worker's identity, and where it listens if nobody said. A farm is made where that was left to it. */
async function belongTo(
  { listen, insecure, external, stateDir }: WorkerSettings,
  env: Environment,
): Promise<Belonging> {
  const nowMs = (): number => Date.now();
  if (external !== undefined) {
    const { ca, certificate, key } = external;
    const find = () => externalIdentity(external);
    return {
      kind: 'belongs',
      trust: openLiveTrust({ find, files: [ca, certificate, key], nowMs }),
      listen: everywhere,
    };
  }
  const directory = identityDirectoryOf(stateDir);
  const state = loadIdentity(directory);
  if (insecure && state.kind === 'none') return { kind: 'belongs', trust: undefined, listen: onThisBox };
  if (listen === undefined && state.kind === 'none') {
    const own = findClientIdentity(env);
    if (own.kind === 'identity') {
      const why =
        `this box is ${own.name} (${own.role}) in ${own.farm}: as a worker it joins by a code of ` +
        '`shoal pair --role worker` on an admin; or give --listen 127.0.0.1 for a worker of this box alone';
      return { kind: 'refused', why };
    }
    // Seldom needed, and megabytes.
    const { makeFarm } = await import('../trust/make-farm.ts');
    const made = await makeFarm(directory, memberNameFor(hostname()), nowMs());
    if (made.kind === 'broken') return { kind: 'refused', why: `${made.why}: ${made.remedy}` };
    const text = `this box is now ${made.name}, the admin of a new farm: \`shoal pair\` lets others in`;
    say(text);
  }
  const find = () => loadIdentity(directory);
  return {
    kind: 'belongs',
    trust: openLiveTrust({ find, files: filesOfIdentity(directory), nowMs }),
    listen: everywhere,
  };
}

/** For ssh: this process's standard streams lead to the worker that runs here. Starts nothing. */
function bridge(): void {
  const paths = [openRuntimeDir().workerSocket, '/run/shoal/worker.sock'];
  const path = paths.find((candidate) => isOwnSocket(candidate));
  if (path === undefined) return fail('no worker runs here: start `shoal worker`', 1);
  const socket = connect(path);
  socket.once('error', (error) => fail(`the worker here cannot be reached: ${error.message}`, 1));
  socket.once('close', () => process.exit());
  process.stdin.pipe(socket).pipe(process.stdout);
}

/** It holds little, and what it reads it lets go of at once. */
function keepHeapSmall(): void {
  setFlagsFromString('--semi-space-growth-factor=1');
}

function endOnSignals(keeper: RunningKeeper, audit: AuditLog): void {
  process.on('SIGTERM', keeper.signal);
  // Of a worker in a terminal it says that the terminal has gone; of a service, that its logs were rotated.
  process.on('SIGHUP', process.stdout.isTTY ? keeper.signal : audit.reopen);
  process.on('SIGINT', keeper.signal);
  keeper.ended.then(
    (status) => process.exit(status),
    () => process.exit(1),
  );
}
