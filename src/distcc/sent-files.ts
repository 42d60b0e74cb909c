// The files of a request in protocol 3, as packets that are made once: the same headers go to a server with every job, and
// to compress them takes most of what the client does. Pure but for the cache.
import { compressLzo } from './lzo-compress.ts';
import { packet, textPacket } from './packet.ts';

export type FileToSend = {
  readonly path: string;
  /** Names the content. */
  readonly key: string;
  readonly bytes: () => Buffer;
};

/** Compressed contents, the last used last. */
export type PacketCache = { readonly packets: Map<string, Buffer>; bytes: number };

// Headers come down to a quarter: those of 64 MB are kept.
const mostBytes = 16 << 20;

export function newPacketCache(): PacketCache {
  return { packets: new Map(), bytes: 0 };
}

export function filePackets(cache: PacketCache, { path, key, bytes }: FileToSend): Buffer[] {
  return [textPacket('NAME', path), contentPacket(cache, key, bytes)];
}

function contentPacket(cache: PacketCache, key: string, bytes: () => Buffer): Buffer {
  const { packets } = cache;
  let made = packets.get(key);
  if (made === undefined) {
    const body = compressLzo(bytes());
    made = Buffer.concat([packet('FILE', body.length), body]);
    cache.bytes += made.length;
  }
  packets.delete(key);
  packets.set(key, made);
  for (const [oldest, old] of packets) {
    if (cache.bytes <= mostBytes) break;
    packets.delete(oldest);
    cache.bytes -= old.length;
  }
  return made;
}

export function linkPackets(path: string, target: string): Buffer[] {
  return [textPacket('NAME', path), textPacket('LINK', target)];
}

/** A link to its own path, from within a root however deep: the server's own directory, as stock distcc's pump has it. */
export function ownDirectoryPackets(path: string): Buffer[] {
  const up = '../'.repeat(path.split('/').length - 2 + 8);
  return linkPackets(path, up + path.slice(1));
}

/** An empty file, of which stock distcc's pump has one in each directory that only has to be there. */
export function directoryPackets(path: string): Buffer[] {
  return [textPacket('NAME', `${path}/forcing_technique_271828`), packet('FILE', 0)];
}
