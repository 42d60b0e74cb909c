// Workers of a farm on this network, by mDNS. What the network says is a hint: whom a box talks to, TLS decides.
import type { Service } from 'bonjour-service';
import { isAddress } from '../trust/addresses.ts';
import { addressIn, openBonjours, ownAddresses, search } from './mdns.ts';

const type = 'shoal';
const mostFound = 1024;

export type FoundWorker = {
  /** SHA-256 of the farm's authority's public key, hexadecimal, as the network says. */
  readonly fingerprint: string;
  /** HOST:PORT */
  readonly address: string;
};

export function workerIn(service: Service): FoundWorker | undefined {
  const fingerprint = ((service.txt ?? {}) as Readonly<Record<string, unknown>>)['farm'];
  const address = addressIn(service, { loopback: true })?.text;
  if (typeof fingerprint !== 'string' || !/^[0-9a-f]{64}$/.test(fingerprint)) return undefined;
  return isAddress(address) ? { fingerprint, address } : undefined;
}

export type FindOptions = {
  /** The first digits of the farm's fingerprint. */
  readonly fingerprint: string;
  readonly timeoutMs: number;
  /** Ends the search when so many are found. */
  readonly enough?: number;
};

/** Who says to be of that farm. Never throws: a network without multicast has no answers. */
export async function findFarms({ fingerprint, timeoutMs, enough }: FindOptions): Promise<readonly FoundWorker[]> {
  const found = new Map<string, FoundWorker>();
  const bonjours = await openBonjours(ownAddresses()).catch(() => []);
  if (bonjours.length === 0) return [];
  await new Promise<void>((resolve) => {
    setTimeout(resolve, timeoutMs);
    const take = (service: Service): void => {
      const worker = workerIn(service);
      if (worker === undefined || !worker.fingerprint.startsWith(fingerprint.toLowerCase())) return;
      if (found.size < mostFound) found.set(worker.address, worker);
      if (found.size >= (enough ?? mostFound)) resolve();
    };
    search({ bonjours, type, take, flooded: resolve });
  });
  for (const bonjour of bonjours) bonjour.destroy();
  return [...found.values()];
}

export type Announced = {
  /** The member's: no two of a farm have one alike, as hosts may. */
  readonly name: string;
  readonly port: number;
  readonly fingerprint: string;
  readonly version: string;
};

// Networks come and go: a laptop's, or one that is not up yet when the worker starts.
const lookMs = 30_000;
const goodbyeMs = 500;

/** A DNS label of at most 63 bytes, which no other worker has. */
function labelOf(name: string, fingerprint: string, port: number): string {
  return `${name.replaceAll(/[^A-Za-z0-9-]/g, '-').slice(0, 40)}-${fingerprint.slice(0, 8)}-${port}`;
}

/** Tells the networks of a worker; the function that it returns says goodbye. Never throws. */
export function announce({ name, port, fingerprint, version }: Announced): () => Promise<void> {
  const label = labelOf(name, fingerprint, port);
  return announceService(
    { name: label, host: `${label}.local`, type, port, txt: { farm: fingerprint, version } },
    ownAddresses,
  );
}

export type AnnouncedService = {
  readonly name: string;
  /** As a name that nobody else answers for. */
  readonly host: string;
  readonly type: string;
  readonly port: number;
  readonly txt: Readonly<Record<string, string>>;
  readonly subtypes?: string[];
};

/** On the networks of these addresses, which are asked for again. The function that it returns says goodbye. Never throws. */
export function announceService(service: AnnouncedService, addressesNow: () => readonly string[]): () => Promise<void> {
  let addresses = '';
  let stop = async (): Promise<void> => Promise.resolve();
  let work = Promise.resolve();
  const renew = async (wanted: readonly string[]): Promise<void> => {
    await stop();
    const bonjours = await openBonjours(wanted).catch(() => []);
    for (const bonjour of bonjours) bonjour.publish({ ...service, probe: false });
    stop = async () => {
      await Promise.all(bonjours.map((bonjour) => goodbye((done) => bonjour.unpublishAll(done))));
      await Promise.all(bonjours.map((bonjour) => goodbye((done) => bonjour.destroy(done))));
    };
  };
  const look = (): void => {
    const wanted = addressesNow();
    if (wanted.join(' ') === addresses) return;
    addresses = wanted.join(' ');
    work = work.then(async () => renew(wanted));
  };
  look();
  const timer = setInterval(look, lookMs).unref();
  return async () => {
    clearInterval(timer);
    await work;
    await stop();
  };
}

/** Waits for a callback, but not for long. */
function goodbye(begin: (done: () => void) => void): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, goodbyeMs);
    begin(() => {
      clearTimeout(timer);
      resolve();
    });
  });
}
