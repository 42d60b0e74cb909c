// What the daemon's connections share.
import type { Intake } from './connection.ts';
import type { Farms } from './farms.ts';
import type { JobStates } from './job-state.ts';
import type { Sessions } from '../session/session.ts';
import type { ClientWorld } from '../world.ts';

export type Daemon = {
  readonly world: ClientWorld;
  readonly farms: Farms;
  readonly sessions: Sessions;
  /** Started by a build, for builds: ends with the last of them. */
  forSession: boolean;
  readonly log: (line: string) => void;
  readonly intake: Intake;
  readonly states: JobStates;
  readonly stop: () => void;
};
