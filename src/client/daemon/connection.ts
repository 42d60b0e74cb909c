// One connection to the daemon's socket: the preamble and body of its request, bounded in size and time, then the
// answer. What a connection says first decides whether it is a launcher's job or the command line's control line.
import type { Socket } from 'node:net';
import { decodePreamble, preambleBytes, type Preamble } from '../launcher-wire.ts';

// A launcher writes its request in one go; whoever takes longer is no launcher.
const requestPatienceMs = 10_000;
// Of all requests that are on their way in; one has some 10 KB. The launcher of one that is refused compiles by itself.
const mostPendingBytes = 32 << 20;

/** What the requests that have been announced, and are not here yet, will hold in memory. */
export type Intake = { pendingBytes: number };

export type Opening = { readonly kind: Preamble['kind']; readonly body: Buffer; readonly rest: Buffer };

/** The opening frame, or undefined if the peer sent something else, too much, too slowly, or hung up. */
export function readOpening(socket: Socket, intake: Intake): Promise<Opening | undefined> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    let receivedBytes = 0;
    let preamble: Preamble | undefined;
    let pendingBytes = 0;
    const timer = setTimeout(() => finish(undefined), requestPatienceMs);
    const finish = (opening: Opening | undefined): void => {
      clearTimeout(timer);
      intake.pendingBytes -= pendingBytes;
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
        if (preamble === undefined || intake.pendingBytes + preamble.bodyBytes > mostPendingBytes) {
          finish(undefined);
          return;
        }
        pendingBytes = preamble.bodyBytes;
        intake.pendingBytes += pendingBytes;
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
