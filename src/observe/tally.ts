// What became of a build's compiles, counted. One tally a session; the daemon adds to it as jobs end.
import { reasonOf, type ReasonId } from './reasons.ts';

export type JobEnd =
  | {
      readonly kind: 'remote';
      readonly host: string;
      readonly cached: boolean;
      /** The compile ended with the user's own error. */
      readonly failed: boolean;
    }
  | {
      readonly kind: 'here';
      readonly reason: ReasonId;
      readonly detail: string;
      readonly seconds: number;
    }
  /** Refused by strict mode: neither there nor here. */
  | { readonly kind: 'refused'; readonly reason: ReasonId; readonly detail: string };

export type ReasonTally = { count: number; seconds: number; example: string };

export type Tally = {
  remote: number;
  cached: number;
  local: number;
  fallbacks: number;
  failed: number;
  /** Invocations that are no compile of a translation unit: links, probes, version questions. */
  others: number;
  readonly reasons: Map<ReasonId, ReasonTally>;
  readonly hosts: Map<string, { jobs: number }>;
};

export function newTally(): Tally {
  return {
    remote: 0,
    cached: 0,
    local: 0,
    fallbacks: 0,
    failed: 0,
    others: 0,
    reasons: new Map(),
    hosts: new Map(),
  };
}

/** True if the farm, not the job, is why it stayed: the compile could have run elsewhere. */
export function isFallback(reason: ReasonId): boolean {
  const { whose } = reasonOf(reason);
  return whose === 'host' || whose === 'network';
}

function countReason(tally: Tally, end: Exclude<JobEnd, { kind: 'remote' }>): void {
  const counted = tally.reasons.get(end.reason) ?? { count: 0, seconds: 0, example: end.detail };
  counted.count += 1;
  if (end.kind === 'here') counted.seconds += end.seconds;
  tally.reasons.set(end.reason, counted);
}

type RemoteEnd = Extract<JobEnd, { readonly kind: 'remote' }>;

function countRemote(tally: Tally, end: RemoteEnd, by: 1 | -1): void {
  if (end.cached) tally.cached += by;
  else tally.remote += by;
  if (end.failed) tally.failed += by;
  const host = tally.hosts.get(end.host) ?? { jobs: 0 };
  host.jobs += by;
  tally.hosts.set(end.host, host);
}

/** It was counted, and then ran here all the same. */
export function takeFromTally(tally: Tally, end: RemoteEnd): void {
  countRemote(tally, end, -1);
}

export function addToTally(tally: Tally, end: JobEnd): void {
  if (end.kind === 'remote') {
    countRemote(tally, end, 1);
    return;
  }
  countReason(tally, end);
  if (reasonOf(end.reason).probe === true) {
    tally.others += 1;
    return;
  }
  tally.local += 1;
  if (isFallback(end.reason)) tally.fallbacks += 1;
}

/** With `count` compiles that no daemon could count: it had died, or did not answer. */
export function withLone(summary: Summary, count: number): Summary {
  if (count === 0) return summary;
  return {
    ...summary,
    files: summary.files + count,
    local: summary.local + count,
    fallbacks: summary.fallbacks + count,
    reasons: { ...summary.reasons, [lone]: (summary.reasons[lone] ?? 0) + count },
  };
}

const lone: ReasonId = 'no-daemon';

/** The document of SHOAL_SUMMARY; its names stand for years. */
export type Summary = {
  readonly files: number;
  readonly remote: number;
  readonly cached: number;
  readonly local: number;
  readonly fallbacks: number;
  readonly failed: number;
  readonly reasons: Readonly<Record<string, number>>;
  readonly reasonSeconds: Readonly<Record<string, number>>;
  readonly examples: Readonly<Record<string, string>>;
  /** The first of those that fell back. */
  readonly fellBack: readonly { readonly source: string; readonly reason: string }[];
  /** Objects that were compiled once more here and were equal, and those that were not. */
  readonly proved: number;
  readonly differences: readonly { readonly host: string; readonly source: string; readonly section: string }[];
  readonly hosts: Readonly<Record<string, { readonly jobs: number; readonly slots: number }>>;
  readonly others: number;
  readonly bytesSent: number;
  readonly bytesReceived: number;
  readonly wallMs: number;
  readonly clientCpuMs: number;
};

export type SummaryFacts = Pick<
  Summary,
  'bytesSent' | 'bytesReceived' | 'wallMs' | 'clientCpuMs' | 'fellBack' | 'proved' | 'differences'
> & {
  readonly slots: ReadonlyMap<string, number>;
};

export function summarize(tally: Tally, facts: SummaryFacts): Summary {
  const { slots, ...measured } = facts;
  const names = new Set([...slots.keys(), ...tally.hosts.keys()]);
  const hosts = [...names].map((name) => {
    return [name, { jobs: tally.hosts.get(name)?.jobs ?? 0, slots: slots.get(name) ?? 0 }] as const;
  });
  const reasons = [...tally.reasons];
  return {
    files: tally.remote + tally.cached + tally.local,
    remote: tally.remote,
    cached: tally.cached,
    local: tally.local,
    fallbacks: tally.fallbacks,
    failed: tally.failed,
    reasons: Object.fromEntries(reasons.map(([id, { count }]) => [id, count])),
    reasonSeconds: Object.fromEntries(reasons.map(([id, { seconds }]) => [id, Math.round(seconds * 1000) / 1000])),
    examples: Object.fromEntries(reasons.map(([id, { example }]) => [id, example])),
    hosts: Object.fromEntries(hosts),
    others: tally.others,
    ...measured,
  };
}
