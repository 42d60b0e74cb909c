// Second places. At the end of a build no job waits any more, and slots are idle: a job that an idle slot is expected to
// finish well before the host that has it gets a second place there. And at any time one that its host should have done
// long ago gets another, for a worker may answer pings and still never end a job. The first to be done wins.
import { neededOf, rank, type Asked } from './choose.ts';
import type { Host, Place } from './host.ts';
import { endOf, leastIdlePace, type Table } from './table.ts';

/** A job that may be given another place. */
export type Race = {
  /** It has been to the hosts of its other places. */
  readonly asked: Asked;
  /** It has no other place; only such a job gets one because that would be done sooner. */
  readonly isFirst: boolean;
  readonly offer: (place: Place) => void;
};

// A second place costs the farm the work twice: it has to be worth a tenth of a second and a third of what is left.
const leastGainMs = 100;
const mostShare = 0.67;

// A compile may well take a few times as long as it is expected to, above all one that was never seen.
const patience = { known: { times: 5, moreMs: 3000 }, unknown: { times: 10, moreMs: 5000 } };

/** Its host should have done the job long ago. */
export function isOverdue({ sentMs, expected, work }: Place, nowMs: number): boolean {
  const { times, moreMs } = work.known ? patience.known : patience.unknown;
  return nowMs - sentMs > times * expected.totalMs + moreMs;
}

const isWorth = (ms: number, leftMs: number): boolean => ms < mostShare * leftMs && ms + leastGainMs < leftMs;

/**
 * Where a job would be done much earlier, if anywhere, as the farm stands now. Most jobs are told by the pace of the
 * fastest idle host alone that there is no such place: thousands may be in the farm.
 */
export function betterPlaces(table: Table, nowMs: number): (place: Place, asked: Asked) => Host | undefined {
  const paces = new Map<string, number>();
  const leastPace = (asked: Asked): number => {
    const { kind } = asked.work;
    const needed = neededOf(asked);
    const key = `${needed.toolchain} ${needed.by} ${kind}`;
    const known = paces.get(key) ?? leastIdlePace(table, { ...needed, kind }, nowMs);
    paces.set(key, known);
    return known;
  };
  return (place, asked) => {
    const leftMs = endOf(place, nowMs) - nowMs;
    if (leftMs < leastGainMs || !isWorth(asked.work.ms * leastPace(asked), leftMs)) return undefined;
    const tried = new Set([...asked.tried, place.host]);
    const { firstFree } = rank(table, { ...asked, tried }, nowMs);
    return firstFree !== undefined && isWorth(firstFree.ms, leftMs) ? firstFree.host : undefined;
  };
}
