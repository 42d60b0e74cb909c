// A small client of distcc's protocol, for tests: it sends what it is told, well formed or not.
import { createConnection, type Socket } from 'node:net';
import { newReader } from '../../src/distcc/reader.ts';
import { encodeRequest, type Request } from '../../src/distcc/request.ts';
import { parseResponse, type Response } from '../../src/distcc/response.ts';

const bodyBytes = 1 << 28;

export type Answer = Response | 'closed';

/** Connects and sends these bytes; resolves when the server has ended the connection. */
export function exchange(port: number, bytes: Uint8Array, host = '127.0.0.1'): Promise<Buffer> {
  return new Promise((resolve) => {
    const pieces: Buffer[] = [];
    const socket = createConnection({ port, host, allowHalfOpen: true });
    socket.on('data', (piece) => pieces.push(piece));
    socket.on('error', () => undefined);
    socket.on('end', () => socket.end());
    socket.on('close', () => resolve(Buffer.concat(pieces)));
    socket.write(bytes);
  });
}

export async function ask(port: number, request: Request): Promise<Answer> {
  const bytes = await exchange(port, Buffer.concat(encodeRequest(request)));
  if (bytes.length === 0) return 'closed';
  return newReader(parseResponse(request.version, { leftBytes: bodyBytes })).feed(bytes) ?? 'closed';
}

/** A connection that has sent these bytes and goes on when its user likes. */
export function begin(port: number, bytes: Uint8Array): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = createConnection({ port, host: '127.0.0.1' });
    socket.once('error', reject);
    socket.write(bytes, () => {
      socket.on('error', () => undefined);
      resolve(socket);
    });
  });
}
