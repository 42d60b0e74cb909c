// Time in the simulator: it stands still while anything is left to do, and then leaps to the next moment at which something
// was to happen. A run of an hour takes seconds, and is the same each time.
import type { Clock } from '../../src/observe/clock.ts';

export type VirtualClock = Clock & {
  /**
   * Lets time pass until the promise settles. @throws if nothing is left to happen before that, or it takes more than
   * `mostMs`.
   */
  readonly until: <T>(promise: Promise<T>, mostMs: number) => Promise<T>;
  /** Lets time pass until nothing is left to happen; gives how many things were left after `mostMs`. */
  readonly drain: (mostMs: number) => Promise<number>;
};

type Timer = { readonly atMs: number; readonly callback: () => void; isCancelled: boolean };

// Between two immediates all promises are settled; a turn of the event loop for each would take longer than the rest.
const batch = 32;

export function newVirtualClock(): VirtualClock {
  let nowMs = 0;
  // The next is the last.
  const timers: Timer[] = [];

  const after: Clock['after'] = (delayMs, callback) => {
    const timer: Timer = { atMs: nowMs + Math.max(0, delayMs), callback, isCancelled: false };
    let low = 0;
    for (let high = timers.length; low < high;) {
      const middle = (low + high) >>> 1;
      // Of one moment, those that were set first come first.
      if ((timers[middle]?.atMs ?? 0) <= timer.atMs) high = middle;
      else low = middle + 1;
    }
    timers.splice(low, 0, timer);
    return { cancel: () => (timer.isCancelled = true) };
  };

  const next = (): Timer | undefined => {
    while (timers.at(-1)?.isCancelled === true) timers.pop();
    return timers.at(-1);
  };

  /** Lets things happen until `isOver`, nothing is left, or the next is later than `endMs`. */
  const run = async (isOver: () => boolean, endMs: number): Promise<void> => {
    let failure: unknown;
    const step = (): void => {
      const timer = isOver() || failure !== undefined ? undefined : next();
      if (timer === undefined || timer.atMs > endMs) return;
      timers.pop();
      nowMs = timer.atMs;
      try {
        timer.callback();
      } catch (error) {
        failure = error ?? new Error('thrown');
      }
    };
    for (;;) {
      await new Promise((resolve) => setImmediate(resolve));
      const timer = next();
      if (failure !== undefined) throw failure;
      if (isOver() || timer === undefined || timer.atMs > endMs) return;
      await new Promise<void>((resolve) => {
        for (let steps = 0; steps < batch; steps += 1) setImmediate(step);
        setImmediate(resolve);
      });
    }
  };

  const until = async <T>(promise: Promise<T>, mostMs: number): Promise<T> => {
    let isOver = false;
    const over = (): boolean => (isOver = true);
    promise.then(over, over);
    await run(() => isOver, nowMs + mostMs);
    if (isOver) return promise;
    throw new Error(
      next() === undefined
        ? `at ${Math.round(nowMs)} ms nothing is left to happen`
        : `no end within ${Math.round(mostMs)} ms`,
    );
  };

  const drain = async (mostMs: number): Promise<number> => {
    await run(() => false, nowMs + mostMs);
    return timers.filter(({ isCancelled }) => !isCancelled).length;
  };

  return { nowMs: () => nowMs, after, until, drain };
}
