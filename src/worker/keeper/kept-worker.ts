// `shoal worker`, put together: the identity, and the keeper that starts the front.
import { dirname, resolve } from 'node:path';
import { ensureNative, installation } from '../../native.ts';
import { noAudit, openAuditLog, type AuditLog } from '../../observe/audit-log.ts';
import { realClock } from '../../observe/clock.ts';
import type { ExternalFiles } from '../../trust/external.ts';
import { openRuntimeDir } from '../../trust/runtime-dir.ts';
import type { ListenAddress, WorkerRefusal } from '../claims.ts';
import type { Commands } from '../actions/commands.ts';
import { keepHeapSmall } from '../../heap.ts';
import { memoryBounds } from '../sandbox/memory-bounds.ts';
import { findOwnIdentity, type IdentityRequest } from '../members/own-identity.ts';
import type { DistccSettings, FrontSettings } from './front-settings.ts';
import { startKeeper, type FrontGiven, type KeeperOptions, type RunningKeeper } from './keeper.ts';

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

export type KeptWorkerOptions = Pick<KeeperOptions, 'env' | 'pairing' | 'onReady' | 'log'> &
  Pick<IdentityRequest, 'madeFarm'> & {
    readonly settings: WorkerSettings;
    /** For distcc's clients, too. */
    readonly distcc: { readonly listen: readonly ListenAddress[]; readonly settings: DistccSettings } | undefined;
    /** Becomes a front, given its settings as the last word. */
    readonly frontCommand: readonly string[];
  };

export type KeptWorker = RunningKeeper & Pick<AuditLog, 'reopen'>;

export async function startKeptWorker(options: KeptWorkerOptions): Promise<KeptWorker | WorkerRefusal> {
  const { settings, distcc, frontCommand, env, madeFarm, ...told } = options;
  keepHeapSmall();
  // What it makes for the front and for slots is made with the modes that it says.
  process.umask(0o022);
  const { init } = await ensureNative();
  const belonging = await findOwnIdentity({ ...settings, env, madeFarm });
  if (belonging.kind === 'refused') return belonging;
  const { trust } = belonging;
  const { slots, insecure, jobMemoryBytes, contain } = settings;
  const stateDir = resolve(settings.stateDir);
  const audit = auditLogAt(settings.audit);
  const keeper = await startKeeper({
    ...told,
    listen: settings.listen ?? belonging.listen,
    slots,
    insecure,
    stateDir,
    trust,
    audit,
    memory: memoryBounds(jobMemoryBytes),
    ...(contain && { contain }),
    ...(distcc && { beside: { listen: distcc.listen } }),
    unixSocket: openRuntimeDir().workerSocket,
    initPath: init,
    needed: [installation(), dirname(process.execPath), stateDir],
    frontArgv: (given) => {
      const own = { ...frontSettings(settings, env), hasIdentity: trust !== undefined };
      const front: FrontSettings = { ...own, ...given, ...(distcc && { distcc: distcc.settings }) };
      return [...frontCommand, JSON.stringify(front)];
    },
    env,
  });
  return keeper.kind === 'refused' ? keeper : { ...keeper, reopen: audit.reopen };
}

function auditLogAt(path: string | undefined): AuditLog {
  return path === undefined ? noAudit : openAuditLog({ path, clock: realClock, now: () => Date.now() });
}

function frontSettings(
  settings: WorkerSettings,
  env: KeptWorkerOptions['env'],
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
