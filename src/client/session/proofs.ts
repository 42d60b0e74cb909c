// The proofs of a build (job/proof.ts): what is to be proved, the compile that does so now, and what was found.
import type { ChildProcess } from 'node:child_process';
import type { Host } from '../../farm/host.ts';
import type { JobClosure } from '../plan/closure.ts';
import type { UnderstoodJob } from '../plan/understand.ts';

/** An object that another box made, and all that it was made from. */
export type Claim = {
  readonly job: UnderstoodJob;
  readonly closure: JobClosure;
  readonly host: Host;
  readonly object: Buffer;
};

export type Difference = { readonly host: string; readonly source: string; readonly section: string };

export type Proofs = {
  readonly waiting: Claim[];
  /** The compile that runs, if any. */
  running: ChildProcess | undefined;
  busy: boolean;
  /** Objects that were found equal. */
  equal: number;
  readonly differences: Difference[];
};

export function newProofs(): Proofs {
  return { waiting: [], running: undefined, busy: false, equal: 0, differences: [] };
}

/** Ends the compile that runs, with the processes that it is made of. */
export function stopProof({ running }: Proofs): void {
  if (running?.pid === undefined) return;
  try {
    process.kill(-running.pid, 'SIGKILL');
  } catch {
    // It has ended already.
  }
}
