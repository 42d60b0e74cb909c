// A program that stands for a large farm: shoal's own server, store and services, but for the compile itself. A slot that is
// given a job waits for a fixed time and answers with an object that no other job has. Before that it has checked, by a walk
// of its own, that every blob of the job's tree has come.
//
//   node stand-in-farm.js LISTEN-ADDRESS PORT SLOTS MILLISECONDS OBJECT STATE-DIRECTORY FACTS-FILE
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { realClock } from '../../src/observe/clock.ts';
import { digestKey, type Digest, type DigestKey } from '../../src/reapi/digest.ts';
import { missingBlobsError } from '../../src/reapi/errors.ts';
import { serve } from '../../src/reapi/server.ts';
import { zstdReady } from '../../src/reapi/zstd.ts';
import { openActionCache } from '../../src/store/action-cache.ts';
import type { BlobStore } from '../../src/store/blob-store.ts';
import { openDiskStore } from '../../src/store/disk.ts';
import { openClients } from '../../src/worker/services/clients.ts';
import { openStoreWriter } from '../../src/store/store-writer.ts';
import { newDirectories } from '../../src/worker/trees/directories.ts';
import { localCompilers } from '../../src/worker/toolchains/local-compilers.ts';
import { memoryBounds } from '../../src/worker/sandbox/memory-bounds.ts';
import { newOperations } from '../../src/worker/actions/operations.ts';
import type { SandboxJob, SandboxResult, Slot } from '../../src/worker/sandbox/sandbox.ts';
import { actionCacheService } from '../../src/worker/services/action-cache.ts';
import { byteStreamService } from '../../src/worker/services/bytestream.ts';
import { capabilitiesService } from '../../src/worker/services/capabilities.ts';
import { casService } from '../../src/worker/services/cas.ts';
import { executionService } from '../../src/worker/services/execution.ts';
import { queueBefore } from '../../src/worker/sandbox/slot-queue.ts';
import { openToolchains } from '../../src/worker/toolchains/toolchains.ts';
import { emptyTree } from '../../src/worker/trees/tree-difference.ts';
import type { PreparedTree, Trees } from '../../src/worker/trees/trees.ts';
import { newUploads } from '../../src/worker/services/uploads.ts';
import { countDirectories } from '../../src/worker/trees/whole-directories.ts';

/** What it tells at its end. */
export type StandInFacts = {
  readonly executed: number;
  /** Trees that were asked for and not all there, at that moment: their clients were told, and sent the rest. */
  readonly incomplete: number;
  /** Of the smallest tree. */
  readonly leastFiles: number;
  readonly mostAtOnce: number;
};

const [address = '', port = '', slotsText = '', delayText = '', objectFile = '', state = '', factsFile = ''] =
  process.argv.slice(2);
const delayMs = Number(delayText);
const storeBytes = 8 * 2 ** 30;
// So much more than a build sends that nothing goes to the disk.
const memoryBytes = 2 ** 30;

let executed = 0;
let incomplete = 0;
let leastFiles = Infinity;
let atOnce = 0;
let mostAtOnce = 0;

const usage = { userUs: delayMs * 1000, systemUs: 0, maxRssKb: 100_000, wallUs: delayMs * 1000 };
const template = readFileSync(objectFile);
const dependencies = Buffer.from('out.o: source.cc\n');

/** Each its own: linkers take no note of what follows an object's last section. */
function objectFor(source: string): Buffer {
  return Buffer.concat([template, Buffer.from(`${source} ${executed}`)]);
}

function resultOf({ outputs, argv }: SandboxJob): SandboxResult {
  const source = argv.find((word) => word.endsWith('.cc')) ?? '';
  const contents = outputs.map((path) => {
    const content = path.endsWith('.o') ? objectFor(source) : dependencies;
    return { path, kind: 'file', content, executable: false } as const;
  });
  const nothing = Buffer.alloc(0);
  return { kind: 'ran', waitStatus: 0, stdout: nothing, stderr: nothing, outputs: contents, usage, trouble: [] };
}

const slot: Slot = {
  run: async (job) => {
    executed += 1;
    atOnce += 1;
    mostAtOnce = Math.max(mostAtOnce, atOnce);
    await sleep(delayMs);
    atOnce -= 1;
    return resultOf(job);
  },
  close: async () => undefined,
};

/** Trees are not laid out, but looked through. What was complete once stays so: the store is never full. */
function checkedTrees(store: BlobStore): Trees {
  const directories = newDirectories(store);
  const complete = new Map<DigestKey, number>();
  const filesBelow = (digest: Digest, absent: Digest[]): number => {
    const known = complete.get(digestKey(digest));
    if (known !== undefined) return known;
    const entries = directories.read(digest);
    if (entries === undefined) {
      absent.push(digest);
      return 0;
    }
    const before = absent.length;
    absent.push(...store.missing([...entries.files.values()].map((file) => file.digest)));
    let count = entries.files.size;
    for (const child of entries.directories.values()) count += filesBelow(child, absent);
    if (absent.length === before) complete.set(digestKey(digest), count);
    return count;
  };
  const nothing = { additions: [], symlinks: [], directories: [], deletions: [] };
  const prepared: PreparedTree = { lowers: [], view: emptyTree, ...nothing, release: () => undefined };
  return {
    prepare: async ({ root }) => {
      const absent: Digest[] = [];
      const files = filesBelow(root, absent);
      if (absent.length > 0) {
        incomplete += 1;
        throw missingBlobsError(absent);
      }
      leastFiles = Math.min(leastFiles, files);
      return prepared;
    },
  };
}

await zstdReady();
const writer = openStoreWriter(join(state, 'store'));
const store = await openDiskStore({
  directory: join(state, 'store'),
  writer,
  maxBytes: storeBytes,
  maxMemoryBytes: memoryBytes,
  clock: realClock,
});
const results = openActionCache({ path: join(state, 'store/results'), writer, store, clock: realClock });
const compilers = localCompilers(process.env['PATH'], join(state, 'digests'));
const known = await openToolchains({ directory: join(state, 'toolchains'), ...compilers, log: () => undefined });
const toolchains = { ...known, directory: async () => state, counted: () => countDirectories([]) };
const size = Number(slotsText);
const slots = {
  kind: 'slots',
  size,
  memory: { jobBytes: memoryBounds().jobBytes, isGrouped: false },
  ...queueBefore(Array.from({ length: size }, () => slot)),
  close: async () => undefined,
} as const;
const uploads = newUploads();
const clients = openClients({ store, directories: newDirectories(store), path: join(state, 'store/holders'), writer });
const name = 'stand-in';
const trees = checkedTrees(store);
const action = { name, stateDir: state, store, results, trees, toolchains, slots, now: () => Date.now() };
const anyCommand = {
  commands: 'any',
  commandWorld: { directories: newDirectories(store), driverOf: () => undefined },
} as const;
const handlers = [
  ...capabilitiesService({ name, slots: size, toolchains: toolchains.announced }),
  ...casService({ clients, uploads }),
  ...byteStreamService({ clients, uploads }),
  ...actionCacheService({ store, results, clients, audit: () => undefined }),
  ...executionService({ action, operations: newOperations(), uploads, clients, audit: () => undefined, ...anyCommand }),
];
const serving = await serve(handlers, [{ kind: 'tcp', host: address, port: Number(port) }]);
process.once('SIGTERM', () => {
  const facts: StandInFacts = { executed, incomplete, leastFiles, mostAtOnce };
  writeFileSync(factsFile, JSON.stringify(facts));
  serving.stop();
  process.exit(0);
});
process.stdout.write('ready\n');
