// What goes wrong with a simulated host, and when. A host without faults is one that a farm has to use well; one that has
// some may cost a job time, never its outcome.

/** A wrong answer; each can be seen to be wrong. */
export type Lie = 'no-outputs' | 'no-digest' | 'other-bytes' | 'no-object' | 'odd-status' | 'silent-failure';

export const lies: readonly Lie[] = [
  'no-outputs',
  'no-digest',
  'other-bytes',
  'no-object',
  'odd-status',
  'silent-failure',
];

export type Fault =
  /** Nobody listens. */
  | { readonly kind: 'refuses'; readonly fromMs: number; readonly untilMs: number }
  /** Nothing comes through: a cable, or a process that is stopped. */
  | { readonly kind: 'silent'; readonly fromMs: number; readonly untilMs: number }
  /** The connection is reset. */
  | { readonly kind: 'drops'; readonly atMs: number }
  /** It ends, begins anew after a while, and has forgotten all. */
  | { readonly kind: 'restarts'; readonly atMs: number; readonly awayMs: number }
  /** Its store is emptied under it. */
  | { readonly kind: 'forgets'; readonly atMs: number }
  /** Each compile takes so many times as long. */
  | { readonly kind: 'slows'; readonly atMs: number; readonly times: number }
  /** It takes jobs, and never answers. */
  | { readonly kind: 'mute'; readonly fromMs: number; readonly untilMs: number }
  /** It has no room for jobs, and says so. */
  | { readonly kind: 'full'; readonly fromMs: number; readonly untilMs: number }
  /** So many of a hundred answers are wrong. */
  | { readonly kind: 'lies'; readonly how: Lie; readonly percent: number };

export type FaultKind = Fault['kind'];

type Lasting = Extract<Fault, { readonly fromMs: number }>;

/** The end of the fault of that kind that holds now, if one does. */
export function lastsUntil(faults: readonly Fault[], kind: Lasting['kind'], nowMs: number): number | undefined {
  let end: number | undefined;
  for (const fault of faults) {
    if (fault.kind === kind && fault.fromMs <= nowMs && nowMs < fault.untilMs) end = Math.max(end ?? 0, fault.untilMs);
  }
  return end;
}

/** The host may be said to have failed at a job for it: what is slow is not. */
export function isFailure({ kind }: Fault): boolean {
  return kind !== 'slows';
}

/** How many times as long a compile takes now. */
export function slowness(faults: readonly Fault[], nowMs: number): number {
  return faults.reduce((times, fault) => {
    return fault.kind === 'slows' && fault.atMs <= nowMs ? times * fault.times : times;
  }, 1);
}
