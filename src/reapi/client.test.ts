import assert from 'node:assert/strict';
import { createServer, type ServerHttp2Session } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { after, test } from 'node:test';
import { connect } from './client.ts';
import { digestOf } from './digest.ts';
import { ServerCapabilities } from './gen/remote_execution.ts';

/** A gRPC message as it travels: not compressed, its length, its bytes. */
function framed(message: Uint8Array): Buffer {
  const head = Buffer.alloc(5);
  head.writeUInt32BE(message.length, 1);
  return Buffer.concat([head, message]);
}

const sessions = new Set<ServerHttp2Session>();
// Says what it can, and hangs up when the first bytes of a large blob come.
const server = createServer();
server.on('session', (session) => {
  sessions.add(session);
  session.on('error', () => undefined);
});
server.on('stream', (stream, headers) => {
  stream.on('error', () => undefined);
  const path = String(headers[':path']);
  if (path.endsWith('/Write')) stream.once('data', () => sessions.forEach((session) => session.destroy()));
  if (!path.endsWith('/GetCapabilities')) return;
  stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
  stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
  stream.end(framed(ServerCapabilities.encode(ServerCapabilities.decode(Buffer.alloc(0))).finish()));
});
await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
after(() => server.close());

test('an upload of small and large blobs whose host hangs up fails once, for whoever waits for it', async (t) => {
  const unhandled: unknown[] = [];
  const note = (error: unknown): number => unhandled.push(error);
  process.on('unhandledRejection', note);
  t.after(() => process.off('unhandledRejection', note));
  const { port } = server.address() as AddressInfo;
  const client = connect({ kind: 'tcp', host: '127.0.0.1', port }, { connectTimeoutMs: 3000 });
  const blob = (size: number, fill: string) => {
    const bytes = Buffer.alloc(size, fill);
    return { digest: digestOf(bytes), bytes };
  };
  await assert.rejects(client.upload([blob(1000, 'a'), blob(9 << 20, 'b')]));
  await new Promise((resolve) => setTimeout(resolve, 50));
  client.close();
  assert.deepEqual(unhandled, []);
});
