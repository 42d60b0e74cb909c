// Refused connections, for the audit log: strangers decide how many there are, so not all of them are told.

import type { Refused } from '../../reapi/doors.ts';

export type ToldRefusal = Refused & {
  /** As many were refused before it, since the last that was told, and not told. */
  readonly untold: number;
};

const windowMs = 10_000;
const mostInWindow = 30;

/** Tells at most 30 in ten seconds, and with the next how many were left out. */
export function tellSome(tell: (refusal: ToldRefusal) => void, nowMs: () => number): (refused: Refused) => void {
  let windowEndMs = 0;
  let told = 0;
  let untold = 0;
  return (refused) => {
    const now = nowMs();
    if (now >= windowEndMs) {
      windowEndMs = now + windowMs;
      told = 0;
    }
    if (told >= mostInWindow) {
      untold += 1;
      return;
    }
    told += 1;
    tell({ ...refused, untold });
    untold = 0;
  };
}
