import type { ReasonId } from '../../observe/reasons.ts';

/** A job that stays here, and why. */
export type RunHere = {
  readonly kind: 'here';
  readonly reason: ReasonId;
  readonly detail: string;
  /** Memory that the compile is expected to need, where that is known. */
  readonly needKb?: number;
  /** To be told once the compile has ended here, with the seconds that it took. */
  readonly ended?: (seconds: number) => void;
};
