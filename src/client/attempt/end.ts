// How one job at one host ends, whichever protocol the host speaks.
import type { ReasonId } from '../../observe/reasons.ts';
import type { ExecuteOutcome, ReapiClient } from '../../reapi/client.ts';
import type { Digest } from '../../reapi/digest.ts';
import type { HostFault } from './faults.ts';

export type DoneOutcome = Extract<ExecuteOutcome, { readonly kind: 'done' }> & {
  /** What the host has more of; undefined where all of it came along. */
  readonly client: ReapiClient | undefined;
  /** The action that gave this result, if there was one. */
  readonly action: Digest | undefined;
  /** What was sent ahead of the call. */
  readonly transfer: Transfer;
  /** Outputs that a step here has written already. */
  readonly madeHere?: 'dependencies' | undefined;
};

export type Transfer = { readonly bytes: number; readonly ms: number };

export type ExecuteEnd =
  | DoneOutcome
  /** The host could not do it; another may. */
  | HostFault
  /** No host can do it now: a file changed under us. */
  | { readonly kind: 'job-fault'; readonly reason: ReasonId; readonly detail: string };
