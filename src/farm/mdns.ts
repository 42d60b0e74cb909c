// bonjour-service on every network that this box is on. It is loaded when needed (9 ms), and what it is sent must not end
// the process that asked: its own errors, and what a strange packet makes it throw, are dropped.
import { isIP } from 'node:net';
import { networkInterfaces } from 'node:os';
import type BonjourService from 'bonjour-service';
import type { Service } from 'bonjour-service';
import { addressText } from '../trust/addresses.ts';

export type Bonjour = BonjourService;

/** Of each network interface that others are on, one IPv4 address. */
export function ownAddresses(): readonly string[] {
  return Object.values(networkInterfaces()).flatMap((list) => {
    const usable = (list ?? []).find(({ family, internal }) => family === 'IPv4' && !internal);
    return usable === undefined ? [] : [usable.address];
  });
}

export type Found = {
  readonly host: string;
  readonly port: number;
  /** `HOST:PORT`, `[V6]:PORT` */
  readonly text: string;
};

/** Where a service can be reached from here, by IPv4 if it has a choice. */
export function addressIn(
  { addresses, port }: Pick<Service, 'addresses' | 'port'>,
  { loopback }: { readonly loopback: boolean },
): Found | undefined {
  // Addresses of one link need its name, which others do not have.
  const others = loopback ? /^fe80:/i : /^(fe80:|127\.|::1$)/i;
  const usable = (addresses ?? []).filter((address) => isIP(address) > 0 && !others.test(address));
  const host = usable.find((address) => isIP(address) === 4) ?? usable[0];
  if (host === undefined || !Number.isInteger(port) || port < 1 || port > 65_535) return undefined;
  return { host, port, text: addressText({ host, port }) };
}

type Emitter = { emit: (...args: readonly unknown[]) => boolean };

/** The same, with errors in what listens to it dropped. */
export function sheltered(bonjour: Bonjour): Bonjour {
  const { mdns } = (bonjour as unknown as { server: { mdns: Emitter } }).server;
  const emit = mdns.emit.bind(mdns);
  mdns.emit = (...args) => {
    try {
      return emit(...args);
    } catch {
      return false;
    }
  };
  return bonjour;
}

/** One for each of `addresses`: the kernel would pick one network for all that is sent, or none without a default route. */
export async function openBonjours(addresses: readonly string[]): Promise<readonly Bonjour[]> {
  if (addresses.length === 0) return [];
  const { default: Bonjour } = await import('bonjour-service');
  // Bound to the interface's own address a socket would hear no multicast.
  return addresses.map((address) => {
    const options = { interface: address, bind: '0.0.0.0' } as object;
    return sheltered(new Bonjour(options, () => undefined));
  });
}

// bonjour-service keeps all that it was ever told, and looks through it at each packet: some 3 KB and more each.
const mostHeard = 4096;

export type Search = {
  readonly bonjours: readonly Bonjour[];
  readonly type: string;
  readonly take: (service: Service) => void;
  /** The network has told more than a network has; nothing is listened to any more. */
  readonly flooded: () => void;
};

/** Looks for services of a type, until the bonjours are destroyed or somebody floods them. */
export function search({ bonjours, type, take, flooded }: Search): void {
  let heard = 0;
  const browsers = bonjours.map((bonjour) =>
    bonjour.find({ type }, (service) => {
      heard += 1;
      if (heard > mostHeard) {
        for (const browser of browsers) browser.stop();
        flooded();
      } else take(service);
    }),
  );
}
