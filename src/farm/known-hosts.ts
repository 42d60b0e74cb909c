// The hosts of a build that names none: the worker of this box, and those of its farm that this box has met or hears of.
import { networkInterfaces } from 'node:os';
import { farmAddresses } from '../trust/addresses.ts';
import type { Trust } from '../trust/live-trust.ts';
import { parseHosts, type HostSpec } from './host-spec.ts';

function isOwn({ address }: HostSpec): boolean {
  if (address.kind !== 'worker') return false;
  const own = Object.values(networkInterfaces()).flatMap((list) => (list ?? []).map((one) => one.address));
  return own.includes(address.host);
}

/** Where boxes of the farm were met. Of an identity that cannot be used, too: each of them then says what is wrong with it. */
function metAt(trust: Trust): readonly string[] {
  if (trust.kind === 'none') return [];
  const { directory = '' } = trust.kind === 'farm' ? trust.identity : trust;
  return directory === '' ? [] : farmAddresses(directory);
}

/** `socket`: of this box's worker, if one runs. `heard`: addresses that the network told. */
export function knownHosts(socket: string | undefined, trust: Trust, heard: readonly string[]): readonly HostSpec[] {
  const thisBox: readonly HostSpec[] =
    socket === undefined ? [] : [{ name: 'this box', address: { kind: 'unix', path: socket }, slots: undefined }];
  if (trust.kind === 'farm' && trust.identity.directory === undefined) return thisBox;
  const addresses = new Set([...metAt(trust), ...(trust.kind === 'farm' ? heard : [])]);
  const others = [...addresses].toSorted().flatMap((text) => {
    const parsed = parseHosts(text);
    return parsed.kind === 'hosts' ? parsed.hosts : [];
  });
  // A worker of this box is reached by its socket, without TLS.
  return [...thisBox, ...others.filter((spec) => !isOwn(spec))];
}
