// The least of an include server for stock distcc's protocol 3: it answers every question with the same files, which it has
// put into a mirror, compressed, three directories deep, as stock distcc's has it.
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { dirname, join } from 'node:path';
import { compressLzo } from '../../src/distcc/lzo-compress.ts';
import { anyHead, numberOf, packet, textOf, textPacket } from '../../src/distcc/packet.ts';
import { newReader, type Parsing } from '../../src/distcc/reader.ts';

function* question(): Parsing<true> {
  yield* textOf(yield* anyHead('CDIR'), 4096);
  for (let left = yield* numberOf('ARGC', 1000); left > 0; left -= 1) yield* textOf(yield* anyHead('ARGV'), 100_000);
  return true;
}

export type IncludeServer = { readonly socket: string; readonly close: () => void };

/** `paths` are absolute. /usr/include is left to the server, by a link. */
export function serveIncludes(paths: readonly string[]): Promise<IncludeServer> {
  const root = mkdtempSync('/tmp/shoal-includes-');
  const mirror = join(root, 'mirror');
  const mirrored = paths.map((path) => {
    const at = `${mirror}${path}.lzo`;
    mkdirSync(dirname(at), { recursive: true });
    writeFileSync(at, compressLzo(readFileSync(path)));
    return at;
  });
  const link = `${mirror}/usr/include`;
  mkdirSync(dirname(link), { recursive: true });
  symlinkSync('../../../../../../../../usr/include', link);
  const names = [...mirrored, link];
  const answer = Buffer.concat([packet('ARGC', names.length), ...names.map((name) => textPacket('ARGV', name))]);
  const server = createServer((socket) => {
    const reader = newReader(question());
    socket.on('error', () => undefined);
    socket.on('data', (piece) => {
      if (reader.feed(piece) === true) socket.end(answer);
    });
  });
  const close = (): void => {
    server.close();
    rmSync(root, { recursive: true, force: true });
  };
  const path = join(root, 'socket');
  return new Promise((resolve) => server.listen(path, () => resolve({ socket: path, close })));
}
