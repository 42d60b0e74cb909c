// Slows down who tries codes: after each wrong one, an address is not listened to for twice as long as before. Others are
// not held up, and no code is spent by it: a stranger cannot keep somebody else from joining.
import { isIPv6 } from 'node:net';

const firstWaitMs = 1000;
const longestWaitMs = 60_000;
const forgottenMs = 600_000;
const maxAddresses = 4096;

type Tries = { readonly until: number; readonly waitMs: number };

export type SlowDown = {
  /** How long this address must wait before it is listened to: 0 if it need not. */
  readonly waitMs: (address: string, nowMs: number) => number;
  /** Returns how long it has to wait now. */
  readonly wrong: (address: string, nowMs: number) => number;
};

/** Whoever has an IPv6 network has 2^64 addresses in it: they count as one. */
export function peerNetwork(address: string): string {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address);
  if (mapped !== null) return mapped[1] ?? '';
  const [bare = ''] = address.split('%');
  if (!isIPv6(bare)) return address;
  const [head = '', tail = ''] = bare.split('::');
  const before = head === '' ? [] : head.split(':');
  const after = tail === '' ? [] : tail.split(':');
  const filled = bare.includes('::') ? Array<string>(Math.max(0, 8 - before.length - after.length)).fill('0') : [];
  const groups = [...before, ...filled, ...after].slice(0, 4).map((group) => Number.parseInt(group, 16).toString(16));
  return `${groups.join(':')}::/64`;
}

export function slowDown(): SlowDown {
  // Those tried last are at the end.
  const tries = new Map<string, Tries>();
  return {
    waitMs: (address, nowMs) => Math.max(0, (tries.get(peerNetwork(address))?.until ?? 0) - nowMs),
    wrong: (address, nowMs) => {
      const network = peerNetwork(address);
      const before = tries.get(network);
      const fresh = before === undefined || before.until + forgottenMs < nowMs;
      const waitMs = fresh ? firstWaitMs : Math.min(2 * before.waitMs, longestWaitMs);
      tries.delete(network);
      tries.set(network, { until: nowMs + waitMs, waitMs });
      const [oldest] = tries.keys();
      if (tries.size > maxAddresses && oldest !== undefined) tries.delete(oldest);
      return waitMs;
    },
  };
}
