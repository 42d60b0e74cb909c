import assert from 'node:assert/strict';
import { createServer, type Server, type Socket } from 'node:net';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import grpc from '@grpc/grpc-js';
import { GrpcError, grpcCode, missingBlobsError, missingBlobsOf } from './errors.ts';
import { digestOf } from './digest.ts';
import { ReadRequest, ReadResponse, WriteRequest, WriteResponse } from './gen/bytestream.ts';
import { openChannel, type Channel } from './grpc-client.ts';
import { clientOf } from '../trust/peer.ts';
import { clientStream, serve, serverStream, unary, type Serving } from './server.ts';

// Any messages do; these have bytes, texts and numbers in them.
const askSpec = { path: '/test.Service/Ask', request: ReadRequest, response: ReadResponse };
const manySpec = { path: '/test.Service/Many', request: ReadRequest, response: ReadResponse };
const takeSpec = { path: '/test.Service/Take', request: WriteRequest, response: WriteResponse };

const directory = mkdtempSync(join(tmpdir(), 'shoal-grpc-'));
const socketPath = join(directory, 'test.sock');
const lacking = digestOf(Buffer.from('lacking'));
/** Resolvers of the calls that never answer, called when the server hears that they are over. */
const hearers: (() => void)[] = [];

const handlers = [
  unary(askSpec, async ({ resourceName, readLimit }, { header, peer, signal }) => {
    if (resourceName === 'peer') return { data: Buffer.from(clientOf(peer)) };
    if (resourceName === 'missing') throw missingBlobsError([lacking]);
    if (resourceName === 'odd') throw new GrpcError(grpcCode.NOT_FOUND, 'nicht da: „ü“ 100 %');
    if (resourceName === 'header') return { data: Buffer.from(header('x-test') ?? '') };
    if (resourceName === 'never') {
      await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()));
      hearers.shift()?.();
    }
    return { data: Buffer.alloc(readLimit, resourceName) };
  }),
  serverStream(manySpec, async ({ readLimit }, _context, send) => {
    for (let index = 0; index < readLimit; index += 1) await send({ data: Buffer.alloc(100_000, index) });
    if (readLimit === 3) throw new GrpcError(grpcCode.ABORTED, 'after three');
  }),
  clientStream(takeSpec, async (requests) => {
    let committedSize = 0;
    for await (const { data } of requests) committedSize += data.length;
    return { committedSize };
  }),
];

const serving: Serving = await serve(handlers, [
  { kind: 'tcp', host: '127.0.0.1', port: 0 },
  { kind: 'unix', path: socketPath },
]);
const port = serving.ports[0] ?? 0;
const channels: Channel[] = [];

function open(target: Parameters<typeof openChannel>[0]): Channel {
  const channel = openChannel(target, { connectTimeoutMs: 2000 });
  channels.push(channel);
  return channel;
}

after(() => {
  for (const channel of channels) channel.close();
  serving.stop();
  rmSync(directory, { recursive: true });
});

/** The error that a call ends with. */
async function errorOf(call: Promise<unknown>): Promise<GrpcError> {
  try {
    await call;
  } catch (error) {
    assert.ok(error instanceof GrpcError);
    return error;
  }
  return assert.fail('the call should have failed');
}

const ask = (channel: Channel, resourceName: string, readLimit = 0, options = {}): Promise<Buffer> =>
  channel.unary(askSpec.path, ReadRequest.encode({ resourceName, readLimit, readOffset: 0 }).finish(), {
    deadlineMs: 5000,
    ...options,
  });

for (const target of [{ kind: 'tcp', host: '127.0.0.1', port } as const, { kind: 'unix', path: socketPath } as const]) {
  test(`calls of every kind work over ${target.kind}`, async () => {
    const channel = open(target);
    await channel.ready();
    assert.equal(ReadResponse.decode(await ask(channel, 'x', 3_000_000)).data.length, 3_000_000);
    const received: number[] = [];
    const request = ReadRequest.encode({ resourceName: '', readLimit: 50, readOffset: 0 }).finish();
    await channel.serverStream(manySpec.path, request, {
      deadlineMs: 5000,
      onMessage: (message) => received.push(ReadResponse.decode(message).data[0] ?? -1),
    });
    assert.deepEqual(
      received,
      Array.from({ length: 50 }, (_, index) => index),
    );
    const message = { resourceName: 'n', writeOffset: 0, finishWrite: false, data: Buffer.alloc(300_000) };
    const chunk = WriteRequest.encode(message).finish();
    const answer = await channel.clientStream(
      takeSpec.path,
      Array.from({ length: 40 }, () => chunk),
      { deadlineMs: 5000 },
    );
    assert.equal(WriteResponse.decode(answer).committedSize, 12_000_000);
  });
}

test('an error arrives with its code, its text and its details', async () => {
  const channel = open({ kind: 'tcp', host: '127.0.0.1', port });
  await assert.rejects(ask(channel, 'odd'), { code: grpcCode.NOT_FOUND, message: 'nicht da: „ü“ 100 %' });
  const error = await errorOf(ask(channel, 'missing'));
  assert.deepEqual(missingBlobsOf(error.code, error.details), [lacking]);
  const request = ReadRequest.encode({ resourceName: '', readLimit: 3, readOffset: 0 }).finish();
  let count = 0;
  const stream = channel.serverStream(manySpec.path, request, { deadlineMs: 5000, onMessage: () => (count += 1) });
  await assert.rejects(stream, { code: grpcCode.ABORTED });
  assert.equal(count, 3);
});

test('headers reach the handler, and a method that nobody serves is unimplemented', async () => {
  const channel = open({ kind: 'tcp', host: '127.0.0.1', port });
  const answer = await ask(channel, 'header', 0, { headers: { 'x-test': 'yes' } });
  assert.equal(ReadResponse.decode(answer).data.toString(), 'yes');
  await assert.rejects(channel.unary('/test.Service/None', Buffer.alloc(0), { deadlineMs: 2000 }), {
    code: grpcCode.UNIMPLEMENTED,
  });
});

test('a handler is told who calls', async () => {
  const byNetwork = open({ kind: 'tcp', host: '127.0.0.1', port });
  const here = open({ kind: 'unix', path: socketPath });
  for (let round = 0; round < 3; round += 1) {
    assert.equal(ReadResponse.decode(await ask(byNetwork, 'peer')).data.toString(), 'address 127.0.0.1');
    assert.equal(ReadResponse.decode(await ask(here, 'peer')).data.toString(), 'local');
  }
});

test('a peer that is expelled loses its connection at once, others keep theirs', async () => {
  const byNetwork = open({ kind: 'tcp', host: '127.0.0.1', port });
  const here = open({ kind: 'unix', path: socketPath });
  await Promise.all([byNetwork.ready(), here.ready()]);
  const call = errorOf(ask(byNetwork, 'never'));
  await ask(byNetwork, 'x');
  serving.expel((peer) => peer.kind === 'stranger');
  assert.equal((await call).code, grpcCode.UNAVAILABLE);
  await ask(here, 'x');
});

test('a deadline and a signal end a call, and the server hears of it', async () => {
  const channel = open({ kind: 'tcp', host: '127.0.0.1', port });
  const heard = [1, 2].map(() => new Promise<void>((resolve) => hearers.push(resolve)));
  await assert.rejects(ask(channel, 'never', 0, { deadlineMs: 30 }), { code: grpcCode.DEADLINE_EXCEEDED });
  const abort = new AbortController();
  const call = ask(channel, 'never', 0, { signal: abort.signal });
  setImmediate(() => abort.abort());
  await assert.rejects(call, { code: grpcCode.CANCELLED });
  await Promise.all(heard);
});

async function listening(onConnection: (socket: Socket) => void): Promise<{ server: Server; port: number }> {
  const server = createServer(onConnection);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', () => resolve()));
  const address = server.address();
  return { server, port: typeof address === 'object' && address !== null ? address.port : 0 };
}

test('a host that refuses, is silent, or speaks something else is unavailable', async () => {
  await assert.rejects(open({ kind: 'tcp', host: '127.0.0.1', port: 1 }).ready(), { code: grpcCode.UNAVAILABLE });
  for (const greeting of [undefined, 'HTTP/1.1 400 Bad Request\r\n\r\n', '\0\0\0\0garbage']) {
    const sockets: Socket[] = [];
    const { server, port: other } = await listening((socket) => {
      sockets.push(socket);
      socket.on('error', () => undefined);
      if (greeting !== undefined) socket.write(greeting);
    });
    const channel = openChannel({ kind: 'tcp', host: '127.0.0.1', port: other }, { connectTimeoutMs: 200 });
    await assert.rejects(channel.ready(), { code: grpcCode.UNAVAILABLE });
    for (const socket of sockets) socket.destroy();
    server.close();
  }
});

test('every call in flight fails when the connection is lost, and the listener is told once', async () => {
  const { server, port: relay } = await listening((socket) => socket.on('error', () => undefined));
  const upstream: Socket[] = [];
  server.on('connection', (socket: Socket) => {
    import('node:net').then(({ connect }) => {
      const inner = connect(port, '127.0.0.1');
      upstream.push(inner, socket);
      inner.on('error', () => undefined);
      socket.pipe(inner).pipe(socket);
    }, assert.fail);
  });
  const channel = openChannel({ kind: 'tcp', host: '127.0.0.1', port: relay }, { connectTimeoutMs: 2000 });
  const closed: GrpcError[] = [];
  channel.onClose((error) => closed.push(error));
  await channel.ready();
  const calls = [errorOf(ask(channel, 'never')), errorOf(ask(channel, 'never'))];
  await ask(channel, 'x');
  for (const socket of upstream) socket.destroy();
  assert.deepEqual(
    (await Promise.all(calls)).map((error) => error.code),
    [grpcCode.UNAVAILABLE, grpcCode.UNAVAILABLE],
  );
  await assert.rejects(ask(channel, 'x'), { code: grpcCode.UNAVAILABLE });
  assert.equal(closed.length, 1);
  server.close();
});

test('a connection that is to be closed lets its calls end, and takes no new ones', async () => {
  const channel = openChannel({ kind: 'tcp', host: '127.0.0.1', port }, { connectTimeoutMs: 2000 });
  const ended = new Promise<GrpcError>((resolve) => channel.onClose(resolve));
  await channel.ready();
  const call = ask(channel, 'x', 3_000_000);
  channel.closeWhenIdle();
  await assert.rejects(ask(channel, 'x'), { code: grpcCode.UNAVAILABLE });
  assert.equal(ReadResponse.decode(await call).data.length, 3_000_000);
  await ended;
});

test('another gRPC client understands the server', async () => {
  const client = new grpc.Client(`127.0.0.1:${port}`, grpc.credentials.createInsecure());
  const answer = await new Promise<ReadResponse>((resolve, reject) => {
    client.makeUnaryRequest(
      askSpec.path,
      (message: ReadRequest) => Buffer.from(ReadRequest.encode(message).finish()),
      (bytes) => ReadResponse.decode(bytes),
      { resourceName: 'x', readLimit: 5, readOffset: 0 },
      (error, response) => (response === undefined ? reject(error ?? new Error('no response')) : resolve(response)),
    );
  });
  assert.equal(answer.data.toString(), 'xxxxx');
  client.close();
});

test('the server announces a receive window that fits a network with a delay', async () => {
  const http2 = await import('node:http2');
  const session = http2.connect(`http://127.0.0.1:${port}`);
  const settings = await new Promise<{ initialWindowSize?: number }>((resolve) =>
    session.once('remoteSettings', resolve),
  );
  assert.ok((settings.initialWindowSize ?? 0) >= 16 * 1024 * 1024);
  await new Promise<void>((resolve) => session.ping(() => resolve()));
  assert.ok((session.state.remoteWindowSize ?? 0) >= 16 * 1024 * 1024, 'the connection as a whole, too');
  session.destroy();
});
