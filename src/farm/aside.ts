// A host that returned another object than this box makes from the same input: nothing more is sent there, in this build
// and in the next ones, for a day. By then somebody has looked at it, or the next proof shows it again.
import type { Farm } from './farm.ts';
import { become, leave, type Host } from './host.ts';

const asideMs = 24 * 3600 * 1000;

/** Names of hosts, why, and until when by the time of day, since it is kept beyond this process. */
export type Asides = Map<string, { readonly why: string; readonly until: number }>;

export function setAside(farm: Farm, host: Host, why: string): void {
  leave(host);
  become(host, { kind: 'aside', why });
  farm.memory.asides.set(host.spec.name, { why, until: Date.now() + asideMs });
}

export function isAside(asides: Asides, name: string): string | undefined {
  const found = asides.get(name);
  return found === undefined || found.until < Date.now() ? undefined : found.why;
}
