// What became of each compile of a build, and why: for `shoal explain`. Kept in memory while the build lasts, and the last
// builds in files, since the daemon of a build ends with it.
import { basename } from 'node:path';
import type { Candidate } from '../../farm/choose.ts';
import type { Decision } from '../../farm/farm.ts';
import type { Finish } from '../../farm/finish.ts';
import { reasonOf, type ReasonId } from '../../observe/reasons.ts';

/** One host's try at a job. Times on the client's clock, in milliseconds since some fixed moment. */
export type Attempt = {
  readonly host: string;
  readonly sentMs: number;
  readonly endedMs: number;
  readonly outcome: 'done' | 'overtaken' | ReasonId;
};

/** One compile. Times in milliseconds since the build began. */
export type JobTrail = {
  readonly source: string;
  /** Where the object goes, if it was understood so far. */
  readonly object: string | undefined;
  readonly arrivedMs: number;
  readonly work: { readonly ms: number; readonly known: boolean; readonly kind: string } | undefined;
  /** Until it was its turn. */
  readonly waitedMs: number;
  readonly candidates: readonly Candidate[];
  /** This box as a host; undefined where the job could not have run here for that. */
  readonly here: Finish | undefined;
  /** Why it was not asked. */
  readonly whyNotHere?: string | undefined;
  readonly attempts: readonly Attempt[];
  end: TrailEnd;
};

export type TrailEnd =
  | { readonly kind: 'remote'; readonly host: string; readonly cached: boolean; readonly endedMs: number }
  /** `endedMs` is undefined while it runs. */
  | { readonly kind: 'here'; readonly reason: ReasonId; readonly detail: string; readonly endedMs: number | undefined }
  | { readonly kind: 'refused'; readonly reason: ReasonId; readonly detail: string; readonly endedMs: number };

export type Trail = { readonly jobs: JobTrail[]; dropped: number };

// 1 KB each in memory. The first of a very large build are the ones that are dropped.
const mostJobs = 20_000;

export function newTrail(): Trail {
  return { jobs: [], dropped: 0 };
}

export function addToTrail(trail: Trail, job: JobTrail): void {
  if (trail.jobs.length >= mostJobs) {
    trail.jobs.splice(0, mostJobs / 10);
    trail.dropped += mostJobs / 10;
  }
  trail.jobs.push(job);
}

const sourceName = /\.(c|cc|cp|cpp|cxx|c\+\+|C|CPP|i|ii|m|mi|mm|M|mii|s|S|sx)$/;

/** The word of a command line that looks like its source. */
export function sourceWord(argv: readonly string[]): string {
  return argv.slice(1).find((word) => !word.startsWith('-') && sourceName.test(word)) ?? argv.at(-1) ?? '';
}

export type Draft = {
  readonly arrivedMs: number;
  object: string | undefined;
  decision: Decision | undefined;
  attempts: Attempt[];
  /** Memory that the compile is expected to need, where that is known. */
  needKb: number;
  /** To be told each host that the job goes to. */
  onPlace?: (host: string) => void;
};

export function newDraft(arrivedMs: number): Draft {
  return { arrivedMs, object: undefined, decision: undefined, attempts: [], needKb: 0 };
}

/** The trail of a job that has ended, or goes on here. */
export function trailOf(
  draft: Draft,
  { source, buildStartedMs }: { readonly source: string; readonly buildStartedMs: number },
  end: TrailEnd,
): JobTrail {
  const { arrivedMs, object, decision, attempts } = draft;
  const since = (ms: number): number => Math.round((ms - buildStartedMs) * 10) / 10;
  return {
    source,
    object,
    arrivedMs: since(arrivedMs),
    work: decision?.work,
    waitedMs: Math.round((decision?.waitedMs ?? 0) * 10) / 10,
    candidates: decision?.candidates ?? [],
    here: decision?.here,
    whyNotHere: decision?.whyNotHere,
    attempts: attempts.map((one) => ({ ...one, sentMs: since(one.sentMs), endedMs: since(one.endedMs) })),
    end,
  };
}

/** The last compile of a build, or the last whose source or object is `file` (absolute), or ends like that path. */
export function findTrail(jobs: readonly JobTrail[], file: string | undefined): JobTrail | undefined {
  if (file === undefined) return jobs.findLast(({ end }) => end.kind !== 'here' || reasonOf(end.reason).probe !== true);
  const isIt = (path: string | undefined): boolean => path === file;
  const exact = jobs.findLast(({ source, object }) => isIt(source) || isIt(object));
  if (exact !== undefined) return exact;
  const name = `/${basename(file)}`;
  return jobs.findLast(({ source, object }) => source.endsWith(name) || (object?.endsWith(name) ?? false));
}
