// The real client over simulated hosts: each job goes its whole way through runJob, from a launcher's request to the
// bytes that the launcher writes. What runs here takes its time, too.
import { newEpochs } from '../../src/client/plan/epochs.ts';
import { runJob } from '../../src/client/job/job.ts';
import type { JobAnswer } from '../../src/client/job/answer.ts';
import { newResultMemory } from '../../src/client/kept/result-key.ts';
import { newSession, newSessionId, type Session } from '../../src/client/session/session.ts';
import type { Settings } from '../../src/client/session/settings.ts';
import { newToolchainView, type ToolchainView } from '../../src/client/plan/toolchains.ts';
import { understandJob } from '../../src/client/plan/understand.ts';
import type { ClientWorld } from '../../src/client/world.ts';
import type { Farm } from '../../src/farm/farm.ts';
import { createIncludeView } from '../../src/includes/view.ts';
import { realFiles } from '../../src/includes/files.ts';
import type { Digest } from '../../src/reapi/digest.ts';
import { launcherRequest } from '../generated/job-closure.ts';
import { newObjectMaker } from './compiler.ts';
import type { VirtualClock } from './clock.ts';
import type { Project, ProjectJob } from './project.ts';

export const compiler = '/usr/bin/gcc';

/** What all simulations of this process share: the real compiler, asked once, and what the simulated one makes. */
export type Compilers = {
  readonly toolchains: ToolchainView;
  readonly toolchain: Digest;
  readonly makeObject: ReturnType<typeof newObjectMaker>;
};

export async function askCompilers(cacheDir: string, { cwd, jobs }: Project): Promise<Compilers> {
  const toolchains = newToolchainView(cacheDir);
  const words = jobs[0]?.words ?? [];
  // Its options are asked for before any simulation: they take real time.
  for (const optimised of [[], ['-O2']]) {
    const request = launcherRequest(compiler, ['gcc', ...optimised, ...words.filter((word) => word !== '-O2')], cwd);
    const understood = await understandJob({ toolchains }, request);
    if (understood.kind === 'here') throw new Error(`${understood.reason}: ${understood.detail}`);
  }
  const found = await toolchains.find(compiler, new Map([['PATH', process.env['PATH'] ?? '']]));
  if (found.kind !== 'toolchain') throw new Error(found.why);
  return { toolchains, toolchain: found.digest, makeObject: newObjectMaker() };
}

export type Client = { readonly world: ClientWorld; readonly clock: VirtualClock; readonly compilers: Compilers };

export function newClient(compilers: Compilers, clock: VirtualClock, cacheDir: string): Client {
  const { toolchains } = compilers;
  const results = newResultMemory(cacheDir);
  const views = { includes: createIncludeView(realFiles), toolchains, results };
  // Nothing is proved: what proves is a compiler that really runs.
  const proofs = { chance: () => 1, scratch: cacheDir, background: new Set<Promise<void>>() };
  return { world: { clock, epochs: newEpochs(clock), ...views, ...proofs }, clock, compilers };
}

export type BuildSettings = Omit<Settings, 'hosts' | 'proofShare'>;

export function openSession({ clock }: Client, farm: Farm, settings: BuildSettings): Session {
  return newSession({ hosts: undefined, proofShare: 0, ...settings }, farm, {
    id: newSessionId(),
    startedMs: clock.nowMs(),
    expected: [],
  });
}

export type JobRecord = {
  readonly job: ProjectJob;
  readonly startedMs: number;
  readonly endedMs: number;
  /** Its launcher was killed. */
  readonly wasKilled: boolean;
  readonly answer: JobAnswer;
  /** Of one that came from the farm: the compiler would have made these bytes of this source. */
  readonly isRight: boolean;
};

export type BuildRequest = Project & {
  readonly width: number;
  /** How many times as long as on a host of pace 1 a compile takes here. */
  readonly homePace: number;
  /** When, after it began, the launcher of this job is killed; undefined: never. */
  readonly killsAfterMs: (job: ProjectJob) => number | undefined;
};

/** A build as make runs it: so many jobs at once, the next one when one has ended. */
export async function runBuild(client: Client, session: Session, build: BuildRequest): Promise<JobRecord[]> {
  const records: JobRecord[] = [];
  const left = build.jobs.values();
  const launcher = async (): Promise<void> => {
    for (const job of left) records.push(await runOne(client, session, { job, build }));
  };
  await Promise.all(Array.from({ length: build.width }, launcher));
  return records;
}

function rethrow(error: unknown): never {
  throw error;
}

async function runOne(
  { world, clock, compilers }: Client,
  session: Session,
  { job, build }: { readonly job: ProjectJob; readonly build: BuildRequest },
): Promise<JobRecord> {
  const argv = [compiler, ...job.words];
  const request = launcherRequest(compiler, argv, build.cwd);
  const abort = new AbortController();
  const killAfterMs = build.killsAfterMs(job);
  const kill = killAfterMs === undefined ? undefined : clock.after(killAfterMs, () => abort.abort());
  const startedMs = clock.nowMs();
  const answer = await runJob(world, session, { request, signal: abort.signal, onError: rethrow });
  if (answer.kind === 'here') {
    const tookMs = abort.signal.aborted ? 0 : job.workMs * build.homePace;
    await new Promise<void>((resolve) => clock.after(tookMs, resolve));
    answer.ended?.(tookMs / 1000);
  }
  kill?.cancel();
  const isRight =
    answer.kind !== 'completed' ||
    (answer.completed.waitStatus === 0 &&
      answer.completed.outputs.length === 1 &&
      answer.completed.outputs[0]?.content.equals(compilers.makeObject(job.text, argv)) === true);
  return { job, startedMs, endedMs: clock.nowMs(), wasKilled: abort.signal.aborted, answer, isRight };
}
