// One message from a socket, within bounds of size and time.
import type { Duplex } from 'node:stream';
import { messageLength, PairingMessageError } from './pairing-messages.ts';

export type MessageBounds = { readonly maxBytes: number; readonly patienceMs: number };

/**
 * The whole message, header included. The socket is left paused.
 * @throws PairingMessageError if the other end closes, fails, takes too long, or sends more than allowed.
 */
export function readMessage(socket: Duplex, { maxBytes, patienceMs }: MessageBounds): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let size = 0;
    let wanted: number | undefined;
    const settle = (end: () => void): void => {
      clearTimeout(timer);
      socket.off('data', onData);
      socket.off('close', onClose);
      socket.off('end', onClose);
      socket.off('error', onError);
      socket.pause();
      end();
    };
    const fail = (why: string, cause?: unknown): void => {
      settle(() => reject(cause instanceof PairingMessageError ? cause : new PairingMessageError(why, { cause })));
    };
    const onData = (chunk: Buffer): void => {
      chunks.push(chunk);
      size += chunk.length;
      try {
        if (wanted === undefined || size > wanted) {
          const bytes = Buffer.concat(chunks.splice(0));
          chunks.push(bytes);
          wanted = messageLength(bytes, maxBytes);
        }
      } catch (error) {
        fail('a message that cannot be read', error);
        return;
      }
      if (size === wanted) settle(() => resolve(Buffer.concat(chunks)));
    };
    const onClose = (): void => fail('the other box closed the connection');
    const onError = (error: Error): void => fail(error.message, error);
    const timer = setTimeout(() => fail(`no whole message within ${patienceMs / 1000} s`), patienceMs);
    socket.on('data', onData);
    socket.on('close', onClose);
    socket.on('end', onClose);
    socket.on('error', onError);
  });
}
