// The end of a build: no job waits any more, and slots are idle. A job that an idle slot is expected to finish well before
// the host that has it gets a second place there; the first to be done wins.
import { rank, type Asked } from './choose.ts';
import type { Host, Place } from './host.ts';
import { endOf, leastIdlePace, type Table } from './table.ts';

/** A job that may be given a second place. */
export type Race = { readonly asked: Asked; offered: boolean; readonly offer: (place: Place) => void };

// A second place costs the farm the work twice: it has to be worth a tenth of a second and a third of what is left.
const leastGainMs = 100;
const mostShare = 0.67;

const isWorth = (ms: number, leftMs: number): boolean => ms < mostShare * leftMs && ms + leastGainMs < leftMs;

/**
 * Where a job would be done much earlier, if anywhere, as the farm stands now. Most jobs are told by the pace of the
 * fastest idle host alone that there is no such place: thousands may be in the farm.
 */
export function betterPlaces(table: Table, nowMs: number): (place: Place, asked: Asked) => Host | undefined {
  const paces = new Map<string, number>();
  const leastPace = ({ toolchain, work: { kind } }: Asked): number => {
    const key = `${toolchain} ${kind}`;
    const known = paces.get(key) ?? leastIdlePace(table, { toolchain, kind }, nowMs);
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
