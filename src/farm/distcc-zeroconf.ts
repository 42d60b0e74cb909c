// distcc's own discovery: `distccd --zeroconf` tells the network of itself, `+zeroconf` in a list of hosts asks who did. What
// the network says is not proved by anybody; only who writes that word uses it.
import { hostname } from 'node:os';
import type { Service } from 'bonjour-service';
import type { DistccHost } from '../distcc/host-list.ts';
import { announceService } from './discovery.ts';
import { addressIn, openBonjours, ownAddresses, search } from './mdns.ts';

const type = 'distcc';
const mostFound = 256;
const mostLimit = 200;
// What a host has without a limit in a list.
const usualLimit = 4;

/** Stock distcc takes what the server says that it does at once. */
function limitIn(txt: Readonly<Record<string, unknown>>): number {
  const told = txt['jobs'];
  const number = typeof told === 'string' && /^\d{1,4}$/.test(told) ? Number(told) : 0;
  return number > 0 ? Math.min(number, mostLimit) : usualLimit;
}

/** Pure. Undefined for what cannot be reached from here. */
export function distccHostIn(service: Pick<Service, 'addresses' | 'port' | 'txt'>): DistccHost | undefined {
  // What is told of a loopback network is no news to others.
  const found = addressIn(service, { loopback: false });
  if (found === undefined) return undefined;
  const { host, port, text: name } = found;
  const limit = limitIn((service.txt ?? {}) as Readonly<Record<string, unknown>>);
  // As with stock: never compressed, never preprocessed there. Nobody told this box what the server can do.
  return { name, transport: { kind: 'tcp', host, port }, limit, protocol: 1, auth: undefined, down: false };
}

// Answers come within some 100 ms. A server does not repeat within a second what it has told somebody else: it is asked again.
const quietMs = 400;
const againMs = 700;
const mostLooks = 4;

/**
 * Who answers in that time, or before nobody has for a while after somebody; in an order that does not depend on who was
 * first. Never throws.
 */
export async function findDistccHosts(timeoutMs: number): Promise<readonly DistccHost[]> {
  const found = new Map<string, DistccHost>();
  const bonjours = await openBonjours(ownAddresses()).catch(() => []);
  if (bonjours.length === 0) return [];
  await new Promise<void>((resolve) => {
    let quiet: NodeJS.Timeout | undefined;
    let looks = 0;
    const look = (): void => {
      looks += 1;
      if (looks <= mostLooks) search({ bonjours, type, take, flooded: over });
    };
    const take = (service: Service): void => {
      const host = distccHostIn(service);
      // It may have told the loopback network first: a search keeps to what it was told.
      if (host === undefined) look();
      if (host === undefined || found.has(host.name) || found.size >= mostFound) return;
      found.set(host.name, host);
      clearTimeout(quiet);
      quiet = setTimeout(over, quietMs);
    };
    const again = setTimeout(look, againMs);
    const last = setTimeout(() => over(), timeoutMs);
    const over = (): void => {
      for (const timer of [quiet, again, last]) clearTimeout(timer);
      resolve();
    };
    look();
  });
  for (const bonjour of bonjours) bonjour.destroy();
  return [...found.values()].toSorted((a, b) => (a.name < b.name ? -1 : 1));
}

export type AnnouncedDistcc = {
  readonly host: string;
  readonly port: number;
  readonly jobs: number;
  readonly processors: number;
  /** Of the gcc that answers to that name. */
  readonly compiler: { readonly version: string; readonly machine: string } | undefined;
};

/** With a vendor, as configure has it: stock distcc does not use a server whose name for its system differs from its own. */
export function gnuHost(machine: string): string {
  const [processor = '', ...system] = machine.split('-');
  if (system.length !== 2) return machine;
  return [processor, /^(x86_64|i\d86)$/.test(processor) ? 'pc' : 'unknown', ...system].join('-');
}

const everywhere: ReadonlySet<string> = new Set(['0.0.0.0', '::', '']);

/** Says goodbye by the function that it returns. Never throws. */
export function announceDistcc({ host, port, jobs, processors, compiler }: AnnouncedDistcc): () => Promise<void> {
  const box = hostname()
    .replaceAll(/[^A-Za-z0-9-]/g, '-')
    .slice(0, 40);
  const txt = {
    txtvers: '1',
    cpus: String(processors),
    jobs: String(jobs),
    distcc: '3.4',
    ...(compiler && {
      gnuhost: gnuHost(compiler.machine),
      cc_version: compiler.version,
      cc_machine: compiler.machine,
    }),
  };
  const addresses = (): readonly string[] =>
    everywhere.has(host) ? ownAddresses() : ownAddresses().filter((address) => address === host);
  // Stock distcc asks for those of its own compiler alone.
  const subtypes = compiler && {
    subtypes: [`${compiler.machine}--${compiler.version}`.replaceAll(/[^A-Za-z0-9-]/g, '-')],
  };
  return announceService(
    { name: `distcc@${box}`, host: `${box}-distcc-${port}.local`, type, port, txt, ...subtypes },
    addresses,
  );
}
