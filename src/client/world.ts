// What the client daemon's jobs share.
import type { PlanWorld } from './plan/world.ts';
import type { ResultMemory } from './kept/result-key.ts';

export type ClientWorld = PlanWorld & {
  readonly results: ResultMemory;
  /** A number from 0 to 1, by chance. */
  readonly chance: () => number;
  /** A directory of ours for short-lived files; what a daemon that was killed left there is swept by the next. */
  readonly scratch: string;
  /** What outlives the job that began it; the daemon's end waits for it. */
  readonly background: Set<Promise<void>>;
};
