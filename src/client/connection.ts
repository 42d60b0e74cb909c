// One connection to the daemon's socket: the preamble and body of its request, bounded in size and time, then the
// answer. What a connection says first decides whether it is a launcher's job or the command line's control line.
import type { Socket } from 'node:net';
import { decodePreamble, preambleBytes, type Preamble } from './launcher-wire.ts';

// A launcher writes its request in one go; whoever takes longer is no launcher.
export const requestPatienceMs = 10_000;

export type Opening = { readonly kind: Preamble['kind']; readonly body: Buffer; readonly rest: Buffer };

/** The opening frame, or undefined if the peer sent something else, too much, too slowly, or hung up. */
export function readOpening(socket: Socket): Promise<Opening | undefined> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    let receivedBytes = 0;
    let preamble: Preamble | undefined;
    const timer = setTimeout(() => finish(undefined), requestPatienceMs);
    const finish = (opening: Opening | undefined): void => {
      clearTimeout(timer);
      socket.off('data', onData);
      socket.off('close', onClose);
      socket.pause();
      resolve(opening);
    };
    const onClose = (): void => finish(undefined);
    const onData = (chunk: Buffer): void => {
      chunks.push(chunk);
      receivedBytes += chunk.length;
      if (preamble === undefined) {
        if (receivedBytes < preambleBytes) return;
        preamble = decodePreamble(Buffer.concat(chunks));
        if (preamble === undefined) {
          finish(undefined);
          return;
        }
      }
      const end = preambleBytes + preamble.bodyBytes;
      if (receivedBytes < end) return;
      const bytes = chunks.length === 1 ? chunk : Buffer.concat(chunks);
      finish({ kind: preamble.kind, body: bytes.subarray(preambleBytes, end), rest: bytes.subarray(end) });
    };
    socket.on('data', onData);
    socket.on('close', onClose);
  });
}
