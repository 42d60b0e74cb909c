// Time as an argument: whatever waits or measures takes a Clock, so that a test or a simulation can step it by hand.

export type Clock = {
  /** Milliseconds since some fixed moment; never goes backwards. */
  readonly nowMs: () => number;
  /** Calls back once after the delay. The timer does not keep a process alive. */
  readonly after: (delayMs: number, callback: () => void) => { readonly cancel: () => void };
};

export const realClock: Clock = {
  nowMs: () => performance.now(),
  after: (delayMs, callback) => {
    const timer = setTimeout(callback, delayMs).unref();
    return { cancel: () => clearTimeout(timer) };
  },
};
