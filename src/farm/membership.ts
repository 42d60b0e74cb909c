// What a member does from time to time, builds or not: it asks those whom it knows who was put out, and has its
// certificate renewed by the first admin among them.
import { openChannel, type Channel } from '../reapi/grpc-client.ts';
import { renewOver, syncOver } from '../reapi/members.ts';
import { farmAddresses, keepAddresses } from '../trust/addresses.ts';
import type { Identity } from '../trust/identity.ts';
import type { LiveTrust } from '../trust/live-trust.ts';
import type { Member } from '../trust/member.ts';
import { renewalDueMs, renewIfDue } from '../trust/renew.ts';
import { farmTrust } from './connect.ts';
import { parseHosts } from './host-spec.ts';

const minuteMs = 60_000;
const hourMs = 60 * minuteMs;
const syncMs = 10 * minuteMs;
const renewMs = 12 * hourMs;
const connectTimeoutMs = 5000;
// Of those that are known, so many are asked each time, in another order.
const mostAsked = 8;

export type MembershipEvent =
  { readonly kind: 'renewed'; readonly until: number } | { readonly kind: 'renewal-failed'; readonly why: string };

export type Membership = {
  readonly trust: LiveTrust;
  readonly log: (event: MembershipEvent) => void;
  readonly random: () => number;
  /** Of a worker: where others reach it, HOST:PORT. It says so to those whom it asks. */
  readonly own?: readonly string[];
};

/** One member of the farm, for as long as `visit` takes. @throws GrpcError if it cannot be reached, or is none. */
async function visiting<Result>(
  trust: LiveTrust,
  address: string,
  visit: (channel: Channel, member: Member) => Promise<Result>,
): Promise<Result> {
  const now = trust.current();
  const parsed = parseHosts(address);
  const place = parsed.kind === 'hosts' ? parsed.hosts[0]?.address : undefined;
  if (now.kind !== 'farm' || place?.kind !== 'worker') throw new Error(`${address} is no member's address`);
  let met: Member | undefined;
  const { host, port } = place;
  const target = { kind: 'tls', host, port, trust: farmTrust(now, trust, (member) => (met = member)) } as const;
  const channel = openChannel(target, { connectTimeoutMs });
  try {
    await channel.ready();
    if (met === undefined) throw new Error(`${address} showed no certificate`);
    return await visit(channel, met);
  } finally {
    channel.close();
  }
}

function someOf(addresses: readonly string[], random: () => number): readonly string[] {
  const drawn = addresses.map((address) => ({ address, lot: random() })).toSorted((a, b) => a.lot - b.lot);
  return drawn.slice(0, mostAsked).map(({ address }) => address);
}

function addressesOf({ directory, desk }: Identity): readonly string[] {
  if (desk !== undefined) return desk.addresses();
  return directory === undefined ? [] : farmAddresses(directory);
}

async function syncWithSome({ trust, random, own = [] }: Membership): Promise<void> {
  const now = trust.current();
  if (now.kind !== 'farm') return;
  const { directory } = now.identity;
  if (directory !== undefined && own.length > 0) keepAddresses(directory, own);
  const others = addressesOf(now.identity).filter((address) => !own.includes(address));
  for (const address of someOf(others, random)) {
    await visiting(trust, address, (channel, member) => syncOver(channel, now.identity, member)).catch(() => undefined);
  }
  trust.refresh();
}

async function renew({ trust, log, random }: Membership): Promise<void> {
  const now = trust.current();
  if (now.kind !== 'farm' || now.identity.notAfter - Date.now() > renewalDueMs) return;
  let last = 'no admin of the farm is known';
  const throughAny = async (csrPem: string) => {
    for (const address of someOf(addressesOf(now.identity), random)) {
      try {
        const answer = await visiting(trust, address, async (channel, { role }) =>
          role === 'admin' ? renewOver(channel, csrPem) : undefined,
        );
        if (answer?.kind === 'renewed') return answer;
        last = answer?.why ?? `${address} is no admin`;
      } catch (error) {
        last = `${address}: ${(error as Error).message}`;
      }
    }
    return { kind: 'refused', why: last } as const;
  };
  const renewal = await renewIfDue(now.identity, throughAny, Date.now());
  if (renewal.kind === 'failed') log({ kind: 'renewal-failed', why: renewal.why });
  if (renewal.kind !== 'renewed') return;
  log({ kind: 'renewed', until: renewal.identity.notAfter });
  trust.refresh();
}

/** Goes to those of whom the network told, so that the next build knows them. */
export async function meet(trust: LiveTrust, heard: readonly string[]): Promise<void> {
  const now = trust.current();
  if (now.kind !== 'farm') return;
  const { identity } = now;
  const { directory } = identity;
  if (directory === undefined) return;
  const known = new Set(addressesOf(identity));
  for (const address of heard.filter((one) => !known.has(one)).slice(0, mostAsked)) {
    await visiting(trust, address, async (channel, member) => {
      keepAddresses(directory, [address]);
      await syncOver(channel, identity, member);
    }).catch(() => undefined);
  }
  trust.refresh();
}

/** Keeps this box a member. The function that it returns ends that. */
export function startMembership(membership: Membership): () => void {
  let work = Promise.resolve();
  const queue = (task: (membership: Membership) => Promise<void>): void => {
    work = work.then(() => task(membership)).catch(() => undefined);
  };
  queue(renew);
  // A client does so with every connection.
  if (membership.own !== undefined) queue(syncWithSome);
  const timers = [setInterval(() => queue(syncWithSome), syncMs), setInterval(() => queue(renew), renewMs)];
  for (const timer of timers) timer.unref();
  return () => timers.forEach((timer) => clearInterval(timer));
}
