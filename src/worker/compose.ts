// Where the worker is put together: the only place that constructs its layers.
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { AuditEvent } from '../observe/audit-log.ts';
import { realClock } from '../observe/clock.ts';
import { sameDigest } from '../reapi/digest.ts';
import type { Handler } from '../reapi/server.ts';
import { zstdReady } from '../reapi/zstd.ts';
import { openActionCache, type ActionCache } from '../store/action-cache.ts';
import { openDiskStore, type DiskStore } from '../store/disk.ts';
import type { StoreWriter } from '../store/store-writer.ts';
import type { ActionWorld } from './actions/action.ts';
import type { Commands, CommandWorld } from './actions/commands.ts';
import { openClients, type Clients } from './services/clients.ts';
import { newDirectories } from './trees/directories.ts';
import { newOperations, type Operations } from './actions/operations.ts';
import type { SlotPool } from './sandbox/slots.ts';
import { actionCacheService } from './services/action-cache.ts';
import { byteStreamService } from './services/bytestream.ts';
import { capabilitiesService } from './services/capabilities.ts';
import { casService } from './services/cas.ts';
import { executionService } from './services/execution.ts';
import {
  openToolchains,
  type ToolchainEvent,
  type CompilerView,
  type WorkerToolchains,
} from './toolchains/toolchains.ts';
import { openTrees } from './trees/trees.ts';
import { newUploads } from './services/uploads.ts';

export type PartsOptions = {
  readonly name: string;
  readonly stateDir: string;
  readonly storeBytes: number;
  /** Of `<stateDir>/store`. */
  readonly writer: StoreWriter;
  readonly slots: SlotPool;
  readonly compilers: CompilerView;
  readonly commands?: Commands;
  readonly log: (event: ToolchainEvent) => void;
  readonly audit: (event: AuditEvent) => void;
};

export type Parts = {
  readonly store: DiskStore;
  readonly results: ActionCache;
  readonly clients: Clients;
  readonly toolchains: WorkerToolchains;
  readonly operations: Operations;
  readonly handlers: readonly Handler[];
};

export async function openParts(options: PartsOptions): Promise<Parts> {
  const { name, stateDir, storeBytes, writer, slots, compilers, log, audit } = options;
  await zstdReady();
  const storeDir = join(stateDir, 'store');
  const store = await openDiskStore({ directory: storeDir, writer, maxBytes: storeBytes, clock: realClock });
  const results = openActionCache({ path: join(storeDir, 'results'), writer, store, clock: realClock });
  const directories = newDirectories(store);
  const trees = await openTrees({ directory: join(stateDir, 'trees'), store, directories });
  const clients = openClients({ store, directories, path: join(storeDir, 'holders'), writer });
  const toolchainDir = join(stateDir, 'toolchains');
  mkdirSync(toolchainDir, { recursive: true, mode: 0o755 });
  const toolchains = await openToolchains({ directory: toolchainDir, ...compilers, log });
  const uploads = newUploads();
  const operations = newOperations();
  const action: ActionWorld = { name, stateDir, store, results, trees, toolchains, slots, now: () => Date.now() };
  const driverOf: CommandWorld['driverOf'] = (digest) =>
    toolchains.announced().find((each) => each.digest !== undefined && sameDigest(each.digest, digest))?.driver;
  const commandWorld = { directories, driverOf };
  const handlers = [
    ...capabilitiesService({ name, slots: slots.size, toolchains: toolchains.announced }),
    ...casService({ clients, uploads }),
    ...byteStreamService({ clients, uploads }),
    ...actionCacheService({ store, results, clients, audit }),
    ...executionService({ action, operations, uploads, clients, audit, commands: options.commands, commandWorld }),
  ];
  return { store, results, clients, toolchains, operations, handlers };
}
