// How hosts are written: `name`, `name:port/slots`, `grpc://…`, `grpcs://…`, `ssh://user@name:port`, `unix:/path`,
// `distcc://` and a host as distcc writes it, or a word about its hosts (`+zeroconf`, `--randomize`), separated by white
// space. Pure. A word that does not parse is an error that
// names the word; no host is ever guessed.
import type { DistccHost } from '../distcc/host-list.ts';
import { parseDistccWord } from '../distcc/host-words.ts';

export type HostAddress =
  /** A worker of ours: mutual TLS where this box belongs to a farm, plain otherwise. */
  | { readonly kind: 'worker'; readonly host: string; readonly port: number }
  /** Always plain. */
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number }
  /** TLS, with a certificate for the host's name. */
  | { readonly kind: 'tls'; readonly host: string; readonly port: number }
  /** The worker that a user has there, by ssh. */
  | {
      readonly kind: 'ssh';
      readonly host: string;
      readonly port: number | undefined;
      readonly user: string | undefined;
    }
  | { readonly kind: 'unix'; readonly path: string }
  /** A server of distcc's protocol. */
  | { readonly kind: 'distcc'; readonly host: DistccHost };

/** What speaks the Remote Execution API. */
export type NativeAddress = Exclude<HostAddress, { readonly kind: 'distcc' }>;

export type HostSpec = {
  /** What the user wrote, less its slots: the host's name in every report. */
  readonly name: string;
  readonly address: HostAddress;
  /** Jobs at once, where the user set it; otherwise the worker's own number counts. */
  readonly slots: number | undefined;
};

export type ParsedHosts =
  | {
      readonly kind: 'hosts';
      readonly hosts: readonly HostSpec[];
      /** Those servers of distcc's as well that announce themselves. */
      readonly zeroconf: boolean;
      /** Of equal hosts none comes first. */
      readonly randomize: boolean;
    }
  | { readonly kind: 'invalid'; readonly word: string; readonly why: string };

export const nativePort = 8475;
const maxSlots = 4096;

type Word =
  | { readonly kind: 'host'; readonly host: HostSpec }
  | { readonly kind: 'zeroconf' | 'randomize' }
  | { readonly kind: 'bad'; readonly why: string };

const bad = (why: string): Word => ({ kind: 'bad', why });

function parsePort(text: string): number | undefined {
  if (!/^[0-9]{1,5}$/.test(text)) return undefined;
  const port = Number(text);
  return port >= 1 && port <= 65535 ? port : undefined;
}

function parseSlots(text: string): number | undefined {
  if (!/^[0-9]{1,4}$/.test(text)) return undefined;
  const slots = Number(text);
  return slots >= 1 && slots <= maxSlots ? slots : undefined;
}

/** `host`, `host:port`, `[v6]` or `[v6]:port`. */
function parseAuthority(text: string): { host: string; port: number | undefined } | undefined {
  const bracketed = /^\[([0-9a-fA-F:.]+)\](?::([0-9]+))?$/.exec(text);
  // Not with a dash in front: it may end up among a program's arguments.
  const plain = /^([A-Za-z0-9_][A-Za-z0-9_.-]*)(?::([0-9]+))?$/.exec(text);
  const found = bracketed ?? plain;
  if (found === null || found[1] === undefined) return undefined;
  if (found[2] === undefined) return { host: found[1], port: undefined };
  const port = parsePort(found[2]);
  return port === undefined ? undefined : { host: found[1], port };
}

function parseWord(word: string): Word {
  if (word.startsWith(distccScheme)) return parseDistcc(word.slice(distccScheme.length));
  const scheme = /^(grpcs?|ssh|unix):/.exec(word)?.[1];
  const rest = word.replace(/^((?:grpcs?|ssh):\/\/|unix:)/, '');
  if (scheme === 'unix') {
    if (!rest.startsWith('/')) return bad('a Unix socket needs an absolute path');
    return { kind: 'host', host: { name: word, address: { kind: 'unix', path: rest }, slots: undefined } };
  }
  const [whole, slotsText, ...more] = rest.split('/');
  const { user, authority } = scheme === 'ssh' ? splitUser(whole ?? '') : { user: undefined, authority: whole ?? '' };
  const where = parseAuthority(authority);
  if (where === undefined || more.length > 0) return bad('expected name[:port][/slots]');
  const slots = slotsText === undefined ? undefined : parseSlots(slotsText);
  if (slotsText !== undefined && slots === undefined) {
    return bad(`"${slotsText}" is no number of slots from 1 to ${maxSlots}`);
  }
  const { host, port } = where;
  const named = (name: string, address: HostAddress): Word => ({ kind: 'host', host: { name, address, slots } });
  switch (scheme) {
    case 'ssh':
      if (user !== undefined && !/^[A-Za-z0-9_][A-Za-z0-9_.-]*$/.test(user)) return bad(`"${user}" is no user's name`);
      return named(`ssh://${whole ?? ''}`, { kind: 'ssh', host, port, user });
    case 'grpcs':
      return named(authority, { kind: 'tls', host, port: port ?? 443 });
    case 'grpc':
      return named(authority, { kind: 'tcp', host, port: port ?? nativePort });
    default:
      return named(authority, { kind: 'worker', host, port: port ?? nativePort });
  }
}

const distccScheme = 'distcc://';

function parseDistcc(text: string): Word {
  const { meaning, mistakes } = parseDistccWord(text);
  const mistake = mistakes.find(({ weight }) => weight === 'error');
  if (mistake !== undefined) return bad(`${mistake.what}; ${mistake.remedy}`);
  if (meaning.kind === 'localhost') return bad('localhost is not a network host: 127.0.0.1 is');
  if (meaning.kind === 'zeroconf' || meaning.kind === 'randomize') return { kind: meaning.kind };
  if (meaning.kind !== 'host') return bad(`"${text}" is no host on the network`);
  const { host } = meaning;
  const { transport } = host;
  // Both end up among a program's arguments.
  const words = [transport.host, transport.kind === 'ssh' ? (transport.user ?? '') : ''];
  if (words.some((word) => word.startsWith('-'))) return bad('a name that begins with a dash');
  return { kind: 'host', host: distccSpec(host) };
}

export function distccSpec(host: DistccHost): HostSpec {
  return { name: distccScheme + host.name, address: { kind: 'distcc', host }, slots: host.limit };
}

function splitUser(text: string): { user: string | undefined; authority: string } {
  const at = text.lastIndexOf('@');
  return at < 0 ? { user: undefined, authority: text } : { user: text.slice(0, at), authority: text.slice(at + 1) };
}

/** Parses a hosts setting such as SHOAL_HOSTS. An empty one is a farm of no hosts. */
export function parseHosts(text: string): ParsedHosts {
  const hosts: HostSpec[] = [];
  const said = { zeroconf: false, randomize: false };
  for (const word of text.split(/\s+/).filter((part) => part !== '')) {
    const parsed = parseWord(word);
    if (parsed.kind === 'bad') return { kind: 'invalid', word, why: parsed.why };
    if (parsed.kind !== 'host') {
      said[parsed.kind] = true;
      continue;
    }
    const { address } = parsed.host;
    if (address.kind !== 'distcc' || !address.host.down) hosts.push(parsed.host);
  }
  return { kind: 'hosts', hosts, ...said };
}
