// How hosts are written: `name`, `name:port/slots`, `grpc://…`, `grpcs://…`, `unix:/path`, separated by white space.
// Pure. A word that does not parse is an error that names the word; no host is ever guessed.

export type HostSpec = {
  /** What the user wrote, less its slots: the host's name in every report. */
  readonly name: string;
  readonly address:
    | { readonly kind: 'tcp'; readonly host: string; readonly port: number }
    | { readonly kind: 'tls'; readonly host: string; readonly port: number }
    | { readonly kind: 'unix'; readonly path: string };
  /** Jobs at once, where the user set it; otherwise the worker's own number counts. */
  readonly slots: number | undefined;
};

export type ParsedHosts =
  | { readonly kind: 'hosts'; readonly hosts: readonly HostSpec[] }
  | { readonly kind: 'invalid'; readonly word: string; readonly why: string };

export const nativePort = 8475;
const maxSlots = 4096;

type Word = { readonly kind: 'host'; readonly host: HostSpec } | { readonly kind: 'bad'; readonly why: string };

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
  const plain = /^([A-Za-z0-9_.-]+)(?::([0-9]+))?$/.exec(text);
  const found = bracketed ?? plain;
  if (found === null || found[1] === undefined) return undefined;
  if (found[2] === undefined) return { host: found[1], port: undefined };
  const port = parsePort(found[2]);
  return port === undefined ? undefined : { host: found[1], port };
}

function parseWord(word: string): Word {
  if (word.startsWith('distcc://')) {
    return bad('hosts that speak the distcc protocol are not supported yet; start `shoal worker` there');
  }
  const scheme = /^(grpcs?|unix):/.exec(word)?.[1];
  const rest = word.replace(/^(grpcs?:\/\/|unix:)/, '');
  if (scheme === 'unix') {
    if (!rest.startsWith('/')) return bad('a Unix socket needs an absolute path');
    return { kind: 'host', host: { name: word, address: { kind: 'unix', path: rest }, slots: undefined } };
  }
  const [authority, slotsText, ...more] = rest.split('/');
  if (authority === undefined || more.length > 0) return bad('expected name[:port][/slots]');
  const where = parseAuthority(authority);
  if (where === undefined) return bad('expected name[:port][/slots]');
  const slots = slotsText === undefined ? undefined : parseSlots(slotsText);
  if (slotsText !== undefined && slots === undefined) {
    return bad(`"${slotsText}" is no number of slots from 1 to ${maxSlots}`);
  }
  const tls = scheme === 'grpcs';
  const port = where.port ?? (tls ? 443 : nativePort);
  return {
    kind: 'host',
    host: { name: authority, address: { kind: tls ? 'tls' : 'tcp', host: where.host, port }, slots },
  };
}

/** Parses a hosts setting such as SHOAL_HOSTS. An empty one is a farm of no hosts. */
export function parseHosts(text: string): ParsedHosts {
  const hosts: HostSpec[] = [];
  for (const word of text.split(/\s+/).filter((part) => part !== '')) {
    const parsed = parseWord(word);
    if (parsed.kind === 'bad') return { kind: 'invalid', word, why: parsed.why };
    hosts.push(parsed.host);
  }
  return { kind: 'hosts', hosts };
}
