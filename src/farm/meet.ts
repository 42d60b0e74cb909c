// Finds the box that a pairing code leads to, where nobody has named it: of those that say on this network that they are
// of its farm, the first that proves to be an admin of it. What the network says is only where to ask.
import { meetFarm, type FarmAddress, type FarmMet, type JoinBounds, type NotMet } from '../trust/join.ts';
import type { PairingCode } from '../trust/pairing-code.ts';
import { findFarms } from './discovery.ts';

const searchMs = 3000;
const mostAsked = 32;
const atOnce = 8;

export type MetSomewhere = { readonly kind: 'somewhere'; readonly met: FarmMet; readonly address: FarmAddress };

function splitAddress(text: string): FarmAddress {
  const colon = text.lastIndexOf(':');
  return { host: text.slice(0, colon).replaceAll(/[[\]]/g, ''), port: Number(text.slice(colon + 1)) };
}

export async function meetAnywhere(code: PairingCode, bounds: JoinBounds): Promise<MetSomewhere | NotMet> {
  const found = await findFarms({ fingerprint: code.pin.toString('hex'), timeoutMs: searchMs });
  const addresses = found.slice(0, mostAsked).map(({ address }) => splitAddress(address));
  let last: NotMet = { kind: 'not-met', reason: 'unreachable', why: 'no box of that farm is seen on this network' };
  for (let from = 0; from < addresses.length; from += atOnce) {
    const some = addresses.slice(from, from + atOnce);
    const answers = await Promise.all(
      some.map(async (address) => ({ address, met: await meetFarm(address, code, bounds) })),
    );
    for (const { address, met } of answers) {
      if (met.kind === 'met') return { kind: 'somewhere', met, address };
      last = met;
    }
  }
  return last;
}
