// Which addresses may connect, where nothing else tells friend from stranger. Pure. An IPv4 address that comes over an
// IPv6 socket (::ffff:10.0.0.2) is that IPv4 address.
import { BlockList, isIP, isIPv4 } from 'node:net';

export type AccessList = {
  readonly allows: (address: string) => boolean;
  /** As they were written. */
  readonly entries: readonly string[];
};

export class AccessListError extends Error {
  readonly code = 'ACCESS_LIST';
}

/** What `--allow-private` stands for: addresses that the internet does not route (RFC 1918, 4193, 4291, 1122). */
export const privateNetworks: readonly string[] = [
  '10.0.0.0/8',
  '172.16.0.0/12',
  '192.168.0.0/16',
  '127.0.0.0/8',
  'fe80::/10',
  'fc00::/7',
  '::1/128',
];

export const loopbackNetworks: readonly string[] = ['127.0.0.0/8', '::1/128'];

type Network = { readonly address: string; readonly bits: number; readonly family: 'ipv4' | 'ipv6' };

function parseNetwork(text: string): Network {
  const match = /^([0-9a-fA-F:.]+)(?:\/(\d{1,3}))?$/.exec(text);
  const address = match?.[1] ?? '';
  const version = isIP(address);
  if (version === 0) throw new AccessListError(`${JSON.stringify(text)} is neither an address nor a network`);
  const most = version === 4 ? 32 : 128;
  const bits = match?.[2] === undefined ? most : Number(match[2]);
  if (bits > most) throw new AccessListError(`${JSON.stringify(text)}: a mask has at most ${most} bits`);
  return { address, bits, family: version === 4 ? 'ipv4' : 'ipv6' };
}

const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i;

/** Of addresses (`10.0.0.2`, `fd00::2`) and networks (`10.0.0.0/8`). @throws AccessListError for what is neither. */
export function accessList(entries: readonly string[]): AccessList {
  const list = new BlockList();
  for (const entry of entries) {
    const { address, bits, family } = parseNetwork(entry);
    // A list takes no mask of 0 bits, in Node 20.
    if (bits === 0) addHalves(list, family);
    else list.addSubnet(address, bits, family);
  }
  const allows = (address: string): boolean => {
    // An address of a link has the link's name behind it.
    const [bare = ''] = address.split('%');
    const plain = mapped.exec(bare)?.[1] ?? bare;
    if (isIP(plain) === 0) return false;
    return list.check(plain, isIPv4(plain) ? 'ipv4' : 'ipv6');
  };
  return { allows, entries };
}

function addHalves(list: BlockList, family: Network['family']): void {
  for (const half of family === 'ipv4' ? ['0.0.0.0', '128.0.0.0'] : ['::', '8000::']) list.addSubnet(half, 1, family);
}
