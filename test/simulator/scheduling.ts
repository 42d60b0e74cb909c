// Builds of made-up work that go through the scheduler and the race alone: what a job is to the client (its command, its
// closure, its tree) is left out, so that hundreds of builds take seconds.
import { createHash } from 'node:crypto';
import type { PlannedAction } from '../../src/client/action.ts';
import { executeAt } from '../../src/client/race.ts';
import { takePlace, type Farm, type PlaceRequest } from '../../src/farm/farm.ts';
import { expectedWork } from '../../src/farm/work.ts';
import { digestKey, type Digest, type DigestKey } from '../../src/reapi/digest.ts';
import type { ListedJob } from './compiler.ts';

export type ScheduledJob = {
  /** From build to build. */
  readonly key: string;
  readonly kind: string;
  readonly workMs: number;
};

export type ScheduledBuild = {
  readonly id: string;
  readonly jobs: readonly ScheduledJob[];
  /** As `make -j`: so many are with the client at once. */
  readonly width: number;
};

const digestNamed = (text: string): Digest => ({
  hash: createHash('sha256').update(text).digest('hex'),
  sizeBytes: text.length,
});

export const toolchain: Digest = digestNamed('toolchain');

const noBytes = Buffer.alloc(0);

function actionOf({ key }: ScheduledJob): PlannedAction {
  const root = { digest: digestNamed(`root ${key}`), bytes: noBytes, files: [], children: new Map(), over: undefined };
  return { digest: digestNamed(key), command: root.digest, root, blobs: [], outputPaths: [] };
}

/** What the hosts' compiler is to know of the jobs. */
export function listed(jobs: readonly ScheduledJob[]): Map<DigestKey, ListedJob> {
  return new Map(
    jobs.map((job) => {
      const { digest, root } = actionOf(job);
      const { key, kind, workMs } = job;
      const compiled = {
        kind: 'job',
        workMs,
        workKind: kind,
        output: key,
        object: noBytes,
        root: root.digest,
      } as const;
      return [digestKey(digest), compiled];
    }),
  );
}

/** Builds; resolves when the last job has ended, with how many a host did. @throws if a job ends otherwise. */
export async function build(farm: Farm, { id, jobs, width }: ScheduledBuild): Promise<void> {
  const left = jobs.values();
  const launcher = async (): Promise<void> => {
    for (const job of left) await runOne(farm, id, job);
  };
  await Promise.all(Array.from({ length: Math.min(width, jobs.length) }, launcher));
}

async function runOne(farm: Farm, id: string, job: ScheduledJob): Promise<void> {
  const { signal } = new AbortController();
  const request: PlaceRequest = {
    build: id,
    toolchain,
    work: expectedWork(farm.memory.works, { key: job.key, kind: job.kind }),
    tried: new Set(),
    inputBytes: 0,
    mayRunHere: false,
    signal,
  };
  const choice = await takePlace(farm, request);
  if (choice.kind !== 'host') throw new Error(`${job.key}: ${choice.kind}`);
  const { clock } = farm.world;
  const execution = { action: actionOf(job), earlier: undefined, signal, resultCache: false, clock };
  const { end } = await executeAt(farm, choice.place, request, execution);
  if (end.kind !== 'done') throw new Error(`${job.key}: ${end.reason} ${end.detail}`);
}

type Speed = { readonly slots: number; readonly pace: number; readonly latencyMs: number };

/** No schedule whatever ends sooner: all slots busy from the first moment to the last, the longest job on the fastest. */
export function leastMs(jobs: readonly ScheduledJob[], hosts: readonly Speed[]): number {
  const totalMs = jobs.reduce((sum, { workMs }) => sum + workMs, 0);
  const longestMs = jobs.reduce((most, { workMs }) => Math.max(most, workMs), 0);
  const speed = hosts.reduce((sum, { slots, pace }) => sum + slots / pace, 0);
  const fastest = Math.min(...hosts.map(({ pace }) => pace));
  const nearest = Math.min(...hosts.map(({ latencyMs }) => latencyMs));
  return Math.max(totalMs / speed, longestMs * fastest) + 2 * nearest;
}
