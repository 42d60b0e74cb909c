// A host that returned another object than this box makes from the same input: nothing more is sent there, in this build
// and in the next ones, for a day. By then somebody has looked at it, or the next proof shows it again.
//
// The day is kept as time left, not as a date: a clock that is set wrong, or mended, shall neither bring a lying host back
// nor keep it away for ever. While a process lives its own steady clock counts; between two processes the time of day does,
// half a day of it at most.
import { become, leave, type Host } from './host.ts';

const dayMs = 24 * 3600 * 1000;
const longestGapMs = dayMs / 2;

type Aside = {
  readonly why: string;
  readonly leftMs: number;
  /** When that was so, on this process's steady clock. */
  readonly atMs: number;
};

/** By the names of hosts. */
export type Asides = Map<string, Aside>;

export type SavedAside = readonly [name: string, why: string, leftMs: number];

export function setAside(asides: Asides, host: Host, why: string): void {
  leave(host);
  become(host, { kind: 'aside', why });
  asides.set(host.spec.name, { why, leftMs: dayMs, atMs: performance.now() });
}

/** The host of this name is used again, at once where it is one of these, which are open; false if it was not set aside. */
export function forgive(asides: Asides, hosts: readonly Host[], name: string): boolean {
  for (const host of hosts) if (host.spec.name === name && host.state.kind === 'aside') become(host, { kind: 'idle' });
  return asides.delete(name);
}

export function isAside(asides: Asides, name: string): string | undefined {
  const found = asides.get(name);
  return found === undefined || leftOf(found) <= 0 ? undefined : found.why;
}

const leftOf = ({ leftMs, atMs }: Aside): number => leftMs - (performance.now() - atMs);

export function savedAsides(asides: Asides): SavedAside[] {
  return [...asides].map(([name, aside]): SavedAside => [name, aside.why, Math.round(leftOf(aside))]).filter(isLeft);
}

/** @throws TypeError if it is no such thing. */
export function asideFrom([name, why, leftMs]: SavedAside): SavedAside {
  if (typeof name !== 'string' || typeof why !== 'string' || !Number.isFinite(leftMs)) throw new TypeError('no aside');
  return [name, why, leftMs];
}

/** `goneMs`: what the time of day says has passed since they were saved; NaN where it does not. */
export function asidesFrom(saved: readonly SavedAside[], goneMs: number): Asides {
  const passedMs = Number.isNaN(goneMs) ? 0 : Math.min(longestGapMs, Math.max(0, goneMs));
  const left = saved.map(([name, why, leftMs]): SavedAside => [name, why, Math.min(leftMs, dayMs) - passedMs]);
  return new Map(left.filter(isLeft).map(([name, why, leftMs]) => [name, { why, leftMs, atMs: performance.now() }]));
}

const isLeft = ([, , leftMs]: SavedAside): boolean => leftMs > 0;
