// Second places for jobs that are in the farm: those that would be done sooner elsewhere at the end of a build, and those that
// should have been done long ago (src/farm/tail.ts says which).
import { finishOn, rank, type Asked } from './choose.ts';
import type { Farm } from './farm.ts';
import { touch, type Host, type Place } from './host.ts';
import { countInFarm } from './queue.ts';
import { betterPlaces, isOverdue, type Race } from './tail.ts';
import type { Work } from './work.ts';

type Entering = { readonly work: Work; readonly build: string; readonly asked: Asked };

/** Takes a place at the host, which is connected. */
export function enter(farm: Farm, { work, build, asked }: Entering, host: Host): Place {
  const { state } = host;
  if (state.kind !== 'ready') throw new Error(`${host.spec.name} was chosen and is ${state.kind}`);
  const nowMs = farm.world.clock.nowMs();
  const expected = finishOn(farm.table, host, { asked, nowMs });
  const place: Place = { host, ready: state, work, build, sentMs: nowMs, expected };
  host.places.add(place);
  touch(host);
  countInFarm(farm.queue, build, 1);
  return place;
}

export function offerSecondPlaces(farm: Farm): void {
  const better = betterPlaces(farm.table, farm.world.clock.nowMs());
  for (const [place, race] of farm.races) {
    const found = race.isFirst ? better(place, race.asked) : undefined;
    if (found !== undefined) offer(farm, place, { race, to: found });
  }
}

function offer(farm: Farm, place: Place, { race, to }: { readonly race: Race; readonly to: Host }): Place {
  const second = enter(farm, { ...place, asked: race.asked }, to);
  dropRace(farm, place);
  race.offer(second);
  return second;
}

export function dropRace(farm: Farm, place: Place): void {
  farm.races.delete(place);
  farm.overdue.delete(place);
}

export function noteOverdue(farm: Farm): void {
  const nowMs = farm.world.clock.nowMs();
  for (const place of farm.races.keys()) if (isOverdue(place, nowMs)) farm.overdue.add(place);
}

/** Jobs that should have been done long ago, before those that wait, as far as there is room. */
export function offerToOverdue(farm: Farm): void {
  if (farm.overdue.size === 0 || farm.closed) return;
  const nowMs = farm.world.clock.nowMs();
  let misses = 0;
  for (const place of farm.overdue) {
    const race = farm.races.get(place);
    if (farm.again.size >= mostAgain(farm) || misses >= mostMisses) return;
    if (race === undefined) continue;
    const tried = new Set([...race.asked.tried, place.host]);
    const { firstFree, firstWithRoom } = rank(farm.table, { ...race.asked, tried }, nowMs);
    const to = (firstFree ?? firstWithRoom)?.host;
    if (to === undefined) {
      misses += 1;
      continue;
    }
    const second = offer(farm, place, { race, to });
    // A job that ended meanwhile has given it back already.
    if (to.places.has(second)) farm.again.add(second);
  }
}

// It is looked for at each end of a job, among all hosts.
const mostMisses = 8;
// Of the farm's slots: what makes all jobs late is not to double them.
const shareAgain = 0.1;

function mostAgain({ hosts }: Farm): number {
  const slots = hosts.reduce((sum, { state }) => sum + (state.kind === 'ready' ? state.slots : 0), 0);
  return Math.max(1, Math.floor(shareAgain * slots));
}
