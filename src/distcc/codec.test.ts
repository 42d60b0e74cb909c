import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { DistccError } from './errors.ts';
import { newReader, type Parsing } from './reader.ts';
import { encodeRequest, parseRequest, type Request } from './request.ts';
import { encodeResponse, parseResponse, type Response } from './response.ts';

const allowance = () => ({ leftBytes: 1 << 20 });
const noBytes = Buffer.alloc(0);

const text = fc.string({ unit: 'grapheme', maxLength: 30 }).filter((text) => !text.includes('\0'));
const content = fc.uint8Array({ maxLength: 400 }).map((bytes) => Buffer.from(bytes));
const plain = { noNullPrototype: true } as const;
const argv = fc.array(text, { minLength: 1, maxLength: 20 });
const sentFile = fc.oneof(
  fc.record({ kind: fc.constant('file' as const), path: text, content }, plain),
  fc.record({ kind: fc.constant('link' as const), path: text, target: text }, plain),
);
const request: fc.Arbitrary<Request> = fc.oneof(
  fc.record({ version: fc.constantFrom(1 as const, 2 as const), argv, source: content }, plain),
  fc.record({ version: fc.constant(3 as const), argv, cwd: text, files: fc.array(sentFile, { maxLength: 8 }) }, plain),
);
const response: fc.Arbitrary<Response> = fc
  .record({
    version: fc.constantFrom(1 as const, 2 as const, 3 as const),
    waitStatus: fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 0xffff })),
    stderr: content,
    stdout: content,
    output: content,
    dependencies: content,
  })
  .map((made) => ({
    ...made,
    output: made.waitStatus === 0 ? made.output : noBytes,
    dependencies: made.waitStatus === 0 && made.version === 3 ? made.dependencies : noBytes,
  }));

/** Feeds the bytes in pieces of these sizes, over and over; gives the message, or undefined if they end too early. */
function parse<T>(parsing: Parsing<T>, bytes: Buffer, sizes: readonly number[] = [1 << 20]): T | undefined {
  const reader = newReader(parsing);
  let message: T | undefined;
  for (let at = 0, turn = 0; at < bytes.length; turn += 1) {
    const size = sizes[turn % sizes.length] ?? 1;
    message = reader.feed(Buffer.from(bytes.subarray(at, at + size)));
    at += size;
  }
  return message;
}

const sizes = fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 5 });

test('a request comes out as it went in, in whatever pieces it arrives', () => {
  fc.assert(
    fc.property(request, sizes, (sent, sizes) => {
      assert.deepEqual(parse(parseRequest(allowance()), Buffer.concat(encodeRequest(sent)), sizes), sent);
    }),
  );
});

test('so does a response', () => {
  fc.assert(
    fc.property(response, sizes, (sent, sizes) => {
      assert.deepEqual(
        parse(parseResponse(sent.version, allowance()), Buffer.concat(encodeResponse(sent)), sizes),
        sent,
      );
    }),
  );
});

test('what the wire looks like', () => {
  const sent: Request = { version: 1, argv: ['cc', '-c', 'x.c'], source: Buffer.from('int i;\n') };
  const wire = 'DIST00000001ARGC00000003ARGV00000002ccARGV00000002-cARGV00000003x.cDOTI00000007int i;\n';
  assert.equal(Buffer.concat(encodeRequest(sent)).toString(), wire);
  const answer = { version: 1, waitStatus: 256, stderr: Buffer.from('no'), stdout: noBytes } as const;
  const bytes = Buffer.concat(encodeResponse({ ...answer, output: Buffer.from('left out'), dependencies: noBytes }));
  assert.equal(bytes.toString(), 'DONE00000001STAT00000100SERR00000002noSOUT00000000DOTO00000000');
});

test('a message that is cut anywhere is never taken for a whole one', () => {
  fc.assert(
    fc.property(request, fc.nat(), (sent, cut) => {
      const bytes = Buffer.concat(encodeRequest(sent));
      const reader = newReader(parseRequest(allowance()));
      assert.equal(reader.feed(bytes.subarray(0, cut % bytes.length)), undefined);
      assert.throws(reader.end, { code: 'TRUNCATED' });
    }),
  );
});

test('changed bytes are a request or an error of the protocol, nothing else', () => {
  const edits = fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 6 });
  fc.assert(
    fc.property(request, fc.uint8Array({ maxLength: 100 }), edits, sizes, (sent, random, edits, sizes) => {
      const changed = Buffer.concat(encodeRequest(sent));
      for (const [at, value] of edits) changed[at % changed.length] = value;
      for (const bytes of [changed, Buffer.from(random)]) {
        try {
          parse(parseRequest(allowance()), bytes, sizes);
        } catch (error) {
          assert.ok(error instanceof DistccError, String(error));
        }
      }
    }),
    { numRuns: 500 },
  );
});

const refused: Readonly<Record<string, { readonly wire: string; readonly code: string }>> = {
  'another protocol': { wire: 'DIST00000004', code: 'PROTOCOL' },
  'protocol 0': { wire: 'DIST00000000', code: 'PROTOCOL' },
  HTTP: { wire: 'GET / HTTP/1.1\r\n', code: 'PROTOCOL' },
  'upper-case digits': { wire: 'DIST0000000A', code: 'PROTOCOL' },
  'a sign in the number': { wire: 'DIST00000001ARGC0000-001', code: 'PROTOCOL' },
  'no words': { wire: 'DIST00000001ARGC00000000', code: 'PROTOCOL' },
  'four billion words': { wire: 'DIST00000001ARGCffffffff', code: 'TOO_LARGE' },
  'a word of four billion bytes': { wire: 'DIST00000001ARGC00000001ARGVffffffff', code: 'TOO_LARGE' },
  'a word out of order': { wire: 'DIST00000001ARGV00000001c', code: 'PROTOCOL' },
  'a NUL in a word': { wire: 'DIST00000001ARGC00000001ARGV00000003a\0b', code: 'PROTOCOL' },
  'a source of four billion bytes': { wire: 'DIST00000001ARGC00000001ARGV00000001cDOTIffffffff', code: 'TOO_LARGE' },
  'four billion files': { wire: 'DIST00000003CDIR00000001/ARGC00000001ARGV00000001cNFILffffffff', code: 'TOO_LARGE' },
  'more than was announced': { wire: 'DIST00000001ARGC00000001ARGV00000001cDOTI00000001xy', code: 'PROTOCOL' },
};

for (const [what, { wire, code }] of Object.entries(refused)) {
  test(`refused at once: ${what}`, () => {
    assert.throws(() => parse(parseRequest(allowance()), Buffer.from(wire, 'latin1')), { code });
  });
}

test('the bodies of a request are bounded together, and by what they hold', () => {
  const files = ['/a', '/b', '/c'].map((path) => ({ kind: 'file' as const, path, content: Buffer.alloc(400_000) }));
  const bytes = Buffer.concat(encodeRequest({ version: 3, argv: ['cc'], cwd: '/', files }));
  assert.ok(bytes.length < 20_000);
  assert.throws(() => parse(parseRequest(allowance()), bytes), { code: 'TOO_LARGE' });
});
