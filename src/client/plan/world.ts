// What a job is planned with: views of the file system and of the compilers, and the clock.
import type { IncludeView } from '../../includes/types.ts';
import type { Clock } from '../../observe/clock.ts';
import type { Epochs } from './epochs.ts';
import type { ToolchainView } from './toolchains.ts';

export type PlanWorld = {
  readonly clock: Clock;
  readonly includes: IncludeView;
  readonly epochs: Epochs;
  readonly toolchains: ToolchainView;
};
