import assert from 'node:assert/strict';
import test from 'node:test';
import { packet, textPacket } from './packet.ts';
import { newReader } from './reader.ts';
import { parseRequest } from './request.ts';
import { directoryPackets, filePackets, linkPackets, newPacketCache, ownDirectoryPackets } from './sent-files.ts';
import { sentTree } from './sent-tree.ts';

test('files, links and directories arrive as a tree; the server’s own directories are left to it', () => {
  const cache = newPacketCache();
  let reads = 0;
  const bytes = (): Buffer => {
    reads += 1;
    return Buffer.from('text'.repeat(100));
  };
  const parts = [
    filePackets(cache, { path: '/w/a.h', key: 'k', bytes }),
    filePackets(cache, { path: '/w/b.h', key: 'k', bytes }),
    linkPackets('/w/c.h', 'a.h'),
    directoryPackets('/w/empty'),
    ownDirectoryPackets('/usr/include'),
    ownDirectoryPackets('/usr/lib/gcc/x86_64-linux-gnu/12/include'),
  ];
  const head = [packet('DIST', 3), textPacket('CDIR', '/w'), packet('ARGC', 1), textPacket('ARGV', 'gcc')];
  const wire = Buffer.concat([...head, packet('NFIL', parts.length), ...parts.flat()]);
  const request = newReader(parseRequest({ leftBytes: 1 << 20 })).feed(wire);
  assert.ok(request?.version === 3);
  const { files, links, left } = sentTree(request.files);
  assert.deepEqual([...files.keys()], ['w/a.h', 'w/b.h', 'w/empty/forcing_technique_271828']);
  assert.equal(files.get('w/b.h')?.toString(), 'text'.repeat(100));
  assert.deepEqual([...links], [['w/c.h', 'a.h']]);
  assert.deepEqual([...left], ['usr/include', 'usr/lib/gcc/x86_64-linux-gnu/12/include']);
  assert.equal(reads, 1);
});

test('what is kept compressed stays within its bound', () => {
  const cache = newPacketCache();
  for (let at = 0; at < 40; at += 1) {
    const noise = Buffer.from(Array.from({ length: 1 << 20 }, (_, i) => (i * i * 31 + at * i) >> 3));
    filePackets(cache, { path: '/a', key: String(at), bytes: () => noise });
  }
  const sizes = [...cache.packets.values()].map(({ length }) => length);
  assert.ok(cache.bytes <= 16 << 20 && cache.packets.has('39'));
  assert.equal(
    cache.bytes,
    sizes.reduce((sum, size) => sum + size, 0),
  );
});
