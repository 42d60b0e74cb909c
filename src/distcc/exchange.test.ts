// The client's side against servers that keep to the protocol, and against some that do not.
import assert from 'node:assert/strict';
import { createServer, connect, type AddressInfo, type Socket } from 'node:net';
import test from 'node:test';
import fc from 'fast-check';
import { DistccError } from './errors.ts';
import { askServer, type Answered } from './exchange.ts';
import { compressLzo } from './lzo-compress.ts';
import { newReader } from './reader.ts';
import { encodeRequest, parseRequest, type Request } from './request.ts';
import { encodeResponse, type Response } from './response.ts';
import { serveDistcc } from './server.ts';

const noBytes = Buffer.alloc(0);
const request: Request = { version: 1, argv: ['gcc', '-c', 'x.c'], source: Buffer.from('int i;\n') };
const response: Response = {
  version: 1,
  waitStatus: 0,
  stderr: Buffer.from('warned'),
  stdout: noBytes,
  output: Buffer.from('object'),
  dependencies: noBytes,
};

type Limits = {
  readonly idleMs?: number;
  readonly answerMs?: number;
  readonly bodyBytes?: number;
  readonly signal?: AbortSignal;
};

function ask(port: number, sent: Request, limits: Limits = {}): Promise<Answered> {
  return askServer(connect({ port, host: '127.0.0.1' }), {
    version: sent.version,
    request: encodeRequest(sent),
    signal: new AbortController().signal,
    idleMs: 5000,
    answerMs: 5000,
    bodyBytes: 1 << 24,
    nowMs: () => performance.now(),
    ...limits,
  });
}

/** A server that does as it likes with each connection once the request is whole. */
async function withPeer(answer: (socket: Socket) => void, body: (port: number) => Promise<void>): Promise<void> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    const reader = newReader(parseRequest({ leftBytes: 1 << 24 }));
    socket.on('error', () => undefined);
    socket.on('data', (piece) => {
      if (reader.feed(piece) !== undefined) answer(socket);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  try {
    await body((server.address() as AddressInfo).port);
  } finally {
    for (const socket of sockets) socket.destroy();
    server.close();
  }
}

const bytes = fc.uint8Array({ maxLength: 3000 }).map((array) => Buffer.from(array));
const version = fc.constantFrom(1 as const, 2 as const, 3 as const);

test('a server gets the request as it was sent, and the client the answer as it was given', async () => {
  let got: Request | undefined;
  let given: Response = response;
  const server = await serveDistcc({
    listeners: [{ kind: 'tcp', host: '127.0.0.1', port: 0 }],
    allows: () => true,
    compile: async (whole) => {
      got = whole;
      return given;
    },
    on: () => undefined,
  });
  try {
    await fc.assert(
      fc.asyncProperty(version, bytes, bytes, bytes, async (version, source, output, text) => {
        const argv = ['gcc', '-c', 'x.c'];
        const sent: Request =
          version === 3
            ? { version, argv, cwd: '/w', files: [{ kind: 'file', path: '/w/x.c', content: source }] }
            : { version, argv, source };
        given = { version, waitStatus: 0, stderr: text, stdout: output, output, dependencies: noBytes };
        const answered = await ask(server.ports[0] ?? 0, sent);
        assert.deepEqual(got, sent);
        assert.deepEqual(answered.response, given);
        assert.equal(answered.sentBytes, Buffer.concat(encodeRequest(sent)).length);
        assert.equal(answered.receivedBytes, Buffer.concat(encodeResponse(given)).length);
      }),
      { numRuns: 60 },
    );
  } finally {
    await server.stop();
  }
});

test('an answer that is cut anywhere is an error', async () => {
  const whole = Buffer.concat(encodeResponse(response));
  let cut = 0;
  await withPeer(
    (socket) => socket.end(whole.subarray(0, cut)),
    async (port) => {
      for (; cut < whole.length; cut += 1)
        await assert.rejects(ask(port, request), { code: cut === 0 ? 'SILENT' : 'TRUNCATED' });
    },
  );
});

test('an answer of changed bytes is an answer or an error of the protocol, nothing else', async () => {
  let answer = noBytes;
  const changes = fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 6 });
  await withPeer(
    (socket) => socket.end(answer),
    async (port) => {
      await fc.assert(
        fc.asyncProperty(version, changes, async (version, changes) => {
          answer = Buffer.concat(encodeResponse({ ...response, version }));
          for (const [at, value] of changes) answer[at % answer.length] = value;
          const sent: Request =
            version === 3 ? { version, argv: ['cc'], cwd: '/', files: [] } : { ...request, version };
          try {
            await ask(port, sent, { bodyBytes: 1 << 16 });
          } catch (error) {
            assert.ok(error instanceof DistccError, String(error));
          }
        }),
        { numRuns: 150 },
      );
    },
  );
});

const bomb = compressLzo(Buffer.alloc(64 << 20));
const head = (token: string, number: number): string => token + number.toString(16).padStart(8, '0');
const wrong: Readonly<Record<string, readonly [wire: Uint8Array | string, code: string]>> = {
  'another protocol’s words': ['HTTP/1.1 400 Bad Request\r\n\r\n', 'PROTOCOL'],
  'the answer of another version': [head('DONE', 1) + head('STAT', 0), 'PROTOCOL'],
  'a status that is none': [head('DONE', 2) + head('STAT', 0xffffffff), 'TOO_LARGE'],
  'four billion bytes of words': [head('DONE', 2) + head('STAT', 0) + head('SERR', 0xffffffff), 'TOO_LARGE'],
  'tokens in another order': [head('DONE', 2) + head('STAT', 0) + head('DOTO', 0), 'PROTOCOL'],
  'a body that is not compressed': [`${head('DONE', 2)}${head('STAT', 0)}${head('SERR', 4)}text`, 'PROTOCOL'],
  'a bomb': [
    Buffer.concat([Buffer.from(head('DONE', 2) + head('STAT', 0) + head('SERR', bomb.length)), bomb]),
    'TOO_LARGE',
  ],
};

for (const [what, [wire, code]] of Object.entries(wrong)) {
  test(`${what}: refused as it comes`, () =>
    withPeer(
      (socket) => socket.write(wire),
      (port) => assert.rejects(ask(port, { ...request, version: 2 }), { code }),
    ));
}

test('silence ends after a while, before the answer and within it', () =>
  withPeer(
    (socket) => socket.write('DONE'),
    async (port) => {
      await assert.rejects(ask(port, request, { idleMs: 100 }), { code: 'TIMEOUT' });
    },
  ));

test('an answer that never ends, a byte at a time, ends after a while', () =>
  withPeer(
    (socket) => {
      socket.write('DONE00000001STAT00000000SERR00ffffff');
      const more = setInterval(() => socket.write('x'), 10);
      socket.on('close', () => clearInterval(more));
    },
    async (port) => {
      await assert.rejects(ask(port, request, { idleMs: 10_000, answerMs: 200 }), { code: 'TIMEOUT' });
    },
  ));

test('a server that resets the connection, or is none', async () => {
  await withPeer(
    (socket) => socket.resetAndDestroy(),
    (port) => assert.rejects(ask(port, request), { code: /TRUNCATED|SILENT/ }),
  );
  await assert.rejects(ask(1, request), { code: 'TRUNCATED' });
});

test('nobody waits any more: the connection ends', () =>
  withPeer(
    () => undefined,
    async (port) => {
      const abort = new AbortController();
      const asked = ask(port, request, { signal: abort.signal });
      abort.abort();
      await assert.rejects(asked, { code: 'GONE' });
      await assert.rejects(ask(port, request, { signal: abort.signal }), { code: 'GONE' });
    },
  ));
