// How many connections there may be at once, of one caller and in all. Where there is no room the oldest goes: of the
// caller that has most, so that nobody can push out others than itself.

export type Crowd = {
  /** Takes a place, which `leave` gives back. `expel` is called if another takes it. */
  readonly enter: (caller: string, expel: () => void) => { readonly leave: () => void };
  readonly size: () => number;
};

type Place = { readonly expel: () => void };

export function newCrowd({ most, mostOfOne }: { readonly most: number; readonly mostOfOne: number }): Crowd {
  const places = new Map<string, Set<Place>>();
  let size = 0;
  const leave = (caller: string, place: Place): void => {
    const own = places.get(caller);
    if (own?.delete(place) !== true) return;
    size -= 1;
    if (own.size === 0) places.delete(caller);
  };
  const expelOldest = (caller: string): void => {
    const [oldest] = places.get(caller) ?? [];
    if (oldest === undefined) return;
    leave(caller, oldest);
    oldest.expel();
  };
  const largest = (): string => {
    let found = { caller: '', count: 0 };
    for (const [caller, own] of places) if (own.size > found.count) found = { caller, count: own.size };
    return found.caller;
  };
  return {
    enter: (caller, expel) => {
      const place = { expel };
      const own = places.get(caller);
      if (own === undefined) places.set(caller, new Set([place]));
      else own.add(place);
      size += 1;
      if ((own?.size ?? 0) > mostOfOne) expelOldest(caller);
      if (size > most) expelOldest(largest());
      return { leave: () => leave(caller, place) };
    },
    size: () => size,
  };
}
