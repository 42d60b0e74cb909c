// The end of a build: no job waits any more, and slots are idle. A job that an idle slot is expected to finish well before
// the host that has it gets a second place there; the first to be done wins.
import { choose, remainingOf, type Asked } from './choose.ts';
import type { Finish } from './finish.ts';
import type { Home } from './home.ts';
import type { Host, Place, ReadyHost } from './host.ts';

/** A job that may be given a second place. */
export type Race = { readonly asked: Asked; offered: boolean; readonly offer: (place: Place) => void };

// A second place costs the farm the work twice: it has to be worth a tenth of a second and a third of what is left.
const leastGainMs = 100;
const mostShare = 0.67;

/** Where the job would be done much earlier, if anywhere. */
export function betterPlace(
  hosts: readonly Host[],
  home: Home,
  race: { readonly place: Place; readonly asked: Asked },
  nowMs: number,
): { readonly host: Host; readonly ready: ReadyHost; readonly finish: Finish } | undefined {
  const { place, asked } = race;
  const leftMs = remainingOf(place, nowMs);
  if (leftMs < leastGainMs) return undefined;
  const tried = new Set([...asked.tried, place.host]);
  const verdict = choose(hosts, home, { ...asked, tried, mayRunHere: false }, { nowMs, meant: new Map() });
  if (verdict.kind !== 'send' || verdict.host.places.size >= verdict.ready.slots) return undefined;
  const { totalMs } = verdict.finish;
  return totalMs < mostShare * leftMs && totalMs + leastGainMs < leftMs ? verdict : undefined;
}
