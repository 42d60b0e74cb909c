// What the client daemon's jobs share: views of the file system and of the compilers, and the clock.
import type { IncludeView } from '../includes/types.ts';
import type { Clock } from '../observe/clock.ts';
import type { Epochs } from './epochs.ts';
import type { ResultMemory } from './result-key.ts';
import type { ToolchainView } from './toolchains.ts';

export type ClientWorld = {
  readonly clock: Clock;
  readonly includes: IncludeView;
  readonly epochs: Epochs;
  readonly toolchains: ToolchainView;
  readonly results: ResultMemory;
  /** A number from 0 to 1, by chance. */
  readonly chance: () => number;
  /** A directory of ours for short-lived files; what a daemon that was killed left there is swept by the next. */
  readonly scratch: string;
  /** What outlives the job that began it; the daemon's end waits for it. */
  readonly background: Set<Promise<void>>;
};
