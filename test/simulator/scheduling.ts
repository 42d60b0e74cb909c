// Builds of made-up work that go through the scheduler and the race alone: what a job is to the client (its command, its
// closure, its tree) is left out, so that hundreds of builds take seconds.
import { createHash } from 'node:crypto';
import type { PlannedAction } from '../../src/client/plan/action.ts';
import { executeAt } from '../../src/client/job/race.ts';
import type { Farm, PlaceRequest } from '../../src/farm/farm.ts';
import { takePlace } from '../../src/farm/places.ts';
import { expectedWork } from '../../src/farm/work.ts';
import { digestKey, type Digest, type DigestKey } from '../../src/reapi/digest.ts';
import type { ListedJob } from './compiler.ts';

export type ScheduledJob = {
  /** From build to build. */
  readonly key: string;
  readonly kind: string;
  readonly workMs: number;
  /** How much it reads; undefined: nobody knows. */
  readonly size?: number;
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

/** When a job was brought, as make had a launcher free for it. */
export type Arrival = { readonly job: ScheduledJob; readonly atMs: number };

/** Builds; resolves when the last job has ended. @throws if one does otherwise than on a host. */
export async function build(farm: Farm, { id, jobs, width }: ScheduledBuild): Promise<readonly Arrival[]> {
  const left = jobs.values();
  const arrivals: Arrival[] = [];
  const launcher = async (): Promise<void> => {
    for (const job of left) {
      arrivals.push({ job, atMs: farm.world.clock.nowMs() });
      await runOne(farm, id, job);
    }
  };
  await Promise.all(Array.from({ length: Math.min(width, jobs.length) }, launcher));
  return arrivals;
}

async function runOne(farm: Farm, id: string, job: ScheduledJob): Promise<void> {
  const { signal } = new AbortController();
  const request: PlaceRequest = {
    build: id,
    toolchain,
    work: expectedWork(farm.memory.works, { key: job.key, kind: job.kind, size: job.size ?? 0 }),
    tried: new Set(),
    inputBytes: 0,
    mayRunHere: false,
    signal,
  };
  const choice = await takePlace(farm, request);
  if (choice.kind !== 'host') throw new Error(`${job.key}: ${choice.kind}`);
  const { clock } = farm.world;
  const traffic = { sent: 0, received: 0 };
  const execution = { action: actionOf(job), earlier: undefined, signal, resultCache: false, clock, traffic };
  const { end } = await executeAt(farm, choice.place, request, execution);
  if (end.kind !== 'done') throw new Error(`${job.key}: ${end.reason} ${end.detail}`);
}

type Speed = { readonly slots: number; readonly pace: number; readonly latencyMs: number };

/**
 * No schedule whatever of jobs that come then ends sooner: all slots busy from the first moment to the last, and each job on
 * the fastest host as soon as it comes.
 */
export function leastMs(arrivals: readonly Arrival[], hosts: readonly Speed[]): number {
  const totalMs = arrivals.reduce((sum, { job }) => sum + job.workMs, 0);
  const speed = hosts.reduce((sum, { slots, pace }) => sum + slots / pace, 0);
  const fastest = Math.min(...hosts.map(({ pace }) => pace));
  const nearest = Math.min(...hosts.map(({ latencyMs }) => latencyMs));
  const startMs = arrivals[0]?.atMs ?? 0;
  const last = arrivals.reduce((most, { job, atMs }) => Math.max(most, atMs - startMs + job.workMs * fastest), 0);
  return Math.max(totalMs / speed, last) + 2 * nearest;
}
