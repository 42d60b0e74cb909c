// Is the peer of a connection still there? While calls are open it is pinged, at most once a tick; no timer runs
// otherwise, and a call costs a comparison. A peer is dead when a ping has had no answer for the patience, plus the time
// that a slow line would need for what was under way before it.
//
// Ticks are counted, not milliseconds: where this process itself stood still (a laptop that slept, a SIGSTOP), one tick
// has passed when it goes on, and the answer that lies in the socket is read before the next.

export type Counters = { readonly sent: number; readonly received: number };

export type Watched = {
  /** True while calls are open. */
  readonly isBusy: () => boolean;
  /** Calls back when the answer has come; not at all otherwise. */
  readonly ping: (onAnswer: () => void) => void;
  readonly bytes: () => Counters;
  readonly onDead: (silentMs: number) => void;
};

export type Liveness = {
  /** A call began. */
  readonly busy: () => void;
  readonly stop: () => void;
};

// A worker with eight compiles on its one processor answered within 62 ms, mostly within one; one that is stopped for good
// costs its jobs 8 to 10 s.
const tickMs = 2000;
const patienceMs = 8000;
// 1 Mbit/s: what is under way may fill the buffers of the line and of both kernels, and an answer stands behind it.
const slowestBytesPerMs = 128;

export function newLiveness(watched: Watched): Liveness {
  let timer: NodeJS.Timeout | undefined;
  let isAsked = false;
  let silentTicks = 0;
  /** What had been transferred when the peer was last known to be there. */
  let before = watched.bytes();

  const hear = (): void => {
    isAsked = false;
    before = watched.bytes();
  };
  const ask = (): void => {
    isAsked = true;
    silentTicks = 0;
    watched.ping(hear);
  };
  const stop = (): void => {
    clearInterval(timer);
    timer = undefined;
  };
  const tick = (): void => {
    if (!watched.isBusy()) {
      stop();
      return;
    }
    if (!isAsked) {
      ask();
      return;
    }
    silentTicks += 1;
    const { sent, received } = watched.bytes();
    const underWay = sent - before.sent + received - before.received;
    const silentMs = silentTicks * tickMs;
    if (silentMs >= patienceMs + underWay / slowestBytesPerMs) watched.onDead(silentMs);
  };
  return {
    busy: () => {
      if (timer !== undefined) return;
      silentTicks = 0;
      before = watched.bytes();
      timer = setInterval(tick, tickMs).unref();
    },
    stop,
  };
}
