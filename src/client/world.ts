// What the client daemon's jobs share: views of the file system and of the compilers, and the clock.
import type { IncludeView } from '../includes/types.ts';
import type { Clock } from '../observe/clock.ts';
import type { ResultMemory } from './result-key.ts';
import type { ToolchainView } from './toolchains.ts';

export type ClientWorld = {
  readonly clock: Clock;
  readonly includes: IncludeView;
  /** A new number for each job: what was checked for an earlier one is checked again. */
  readonly nextEpoch: () => number;
  readonly toolchains: ToolchainView;
  readonly results: ResultMemory;
};
