// How a job ends: what the daemon tells its launcher.
import type { ReasonId } from '../../observe/reasons.ts';
import type { JobEnd } from '../../observe/tally.ts';
import type { Completed } from '../launcher-wire.ts';
import type { RunHere } from '../plan/run-here.ts';

export type JobAnswer =
  | RunHere
  | {
      readonly kind: 'completed';
      readonly completed: Completed;
      readonly end: Extract<JobEnd, { readonly kind: 'remote' }>;
      /** To be told if the outputs could not be written, and the compiler runs here all the same. */
      readonly unwritten?: () => RunHere;
    }
  | { readonly kind: 'refused'; readonly reason: ReasonId; readonly detail: string };
