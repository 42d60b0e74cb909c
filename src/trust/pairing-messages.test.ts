import assert from 'node:assert/strict';
import { PassThrough } from 'node:stream';
import { test } from 'node:test';
import fc from 'fast-check';
import { readMessage } from './framed-socket.ts';
import { isMemberName, newSerial } from './member.ts';
import { decodeJoinAnswer, decodeJoinRequest, encodeJoinAnswer, encodeJoinRequest } from './pairing-messages.ts';
import { maxAnswerBytes, maxRequestBytes, messageLength, PairingMessageError } from './pairing-messages.ts';
import type { JoinAnswer, JoinRequest } from './pairing-messages.ts';
import { peerNetwork } from './tries.ts';

const names = fc.stringMatching(/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/).filter(isMemberName);
const ascii = (maxLength: number): fc.Arbitrary<string> =>
  fc.string({ unit: 'grapheme-ascii', maxLength }).map((text) => text.replaceAll(/[^\x20-\x7e]/g, '.'));
const requests: fc.Arbitrary<JoinRequest> = fc.record(
  {
    secret: fc.uint8Array({ minLength: 6, maxLength: 6 }).map((value) => Buffer.from(value)),
    name: names,
    exactName: fc.boolean(),
    csrPem: fc.string({ maxLength: 600 }),
    hostname: ascii(100),
  },
  { noNullPrototype: true },
);
const records = fc.record(
  {
    name: names,
    role: fc.constantFrom('client', 'worker', 'admin'),
    serial: fc.constant(0).map(() => newSerial()),
    notBefore: fc.nat(),
    notAfter: fc.nat(),
  },
  { noNullPrototype: true },
);
const answers: fc.Arbitrary<JoinAnswer> = fc.oneof(
  fc.record(
    {
      kind: fc.constant('welcome'),
      certificatePem: fc.string({ maxLength: 900 }),
      revocations: fc.string({ maxLength: 2000 }),
      addresses: fc.uniqueArray(fc.constantFrom('10.0.0.1:8475', 'box.lan:1', '[fe80::1%eth0]:8475')),
      caKeyPem: fc.string({ maxLength: 300 }),
      members: fc.array(records, { maxLength: 3 }),
    },
    { noNullPrototype: true, requiredKeys: ['kind', 'certificatePem', 'revocations', 'addresses', 'members'] },
  ),
  fc.record(
    {
      kind: fc.constant('refused'),
      reason: fc.constantFrom('wrong-code', 'name-taken', 'busy'),
      why: ascii(200),
      retryAfterMs: fc.nat(600_000),
    },
    { noNullPrototype: true },
  ),
) as fc.Arbitrary<JoinAnswer>;

test('messages come back as they were sent', () => {
  fc.assert(fc.property(requests, (value) => assert.deepEqual(decodeJoinRequest(encodeJoinRequest(value)), value)));
  fc.assert(fc.property(answers, (value) => assert.deepEqual(decodeJoinAnswer(encodeJoinAnswer(value)), value)));
});

test('any bytes, and any JSON in a frame, are a message or a PairingMessageError', () => {
  const framed = fc.json({ maxDepth: 3 }).map((text) => {
    const body = Buffer.from(text);
    const header = Buffer.alloc(4);
    header.writeUInt32BE(body.length);
    return Buffer.concat([header, body]);
  });
  const changed = fc.tuple(requests, fc.nat(), fc.nat(255)).map(([request, at, byte]) => {
    const bytes = encodeJoinRequest(request);
    bytes[at % bytes.length] = byte;
    return bytes;
  });
  const isExpected = (decode: () => unknown): void => {
    try {
      decode();
    } catch (error) {
      assert.ok(error instanceof PairingMessageError, String(error));
    }
  };
  fc.assert(
    fc.property(fc.oneof(fc.uint8Array({ maxLength: 64 }), framed, changed), (bytes) => {
      isExpected(() => decodeJoinRequest(bytes));
      isExpected(() => decodeJoinAnswer(bytes));
    }),
    { numRuns: 1000 },
  );
});

test('a length is refused before anything is kept for it', () => {
  const header = Buffer.alloc(4);
  header.writeUInt32BE(maxRequestBytes + 1);
  assert.throws(() => messageLength(header, maxRequestBytes), PairingMessageError);
  assert.doesNotThrow(() => messageLength(header, maxAnswerBytes));
  const request = { secret: Buffer.alloc(6), name: 'x', exactName: false, csrPem: 'x'.repeat(20_000), hostname: '' };
  assert.throws(() => encodeJoinRequest(request), PairingMessageError);
});

test('what others wrote is fit for a terminal', () => {
  const refused = { kind: 'refused', reason: 'failed', why: '\u001b[2Jgone\u0007ä', retryAfterMs: 1e12 } as const;
  const read = decodeJoinAnswer(encodeJoinAnswer(refused));
  assert.deepEqual(read, { kind: 'refused', reason: 'failed', why: '?[2Jgone??', retryAfterMs: 600_000 });
});

test('a message is read whole, in whatever pieces it comes, or not at all', async () => {
  const value = { secret: Buffer.alloc(6), name: 'eva', exactName: true, csrPem: 'pem', hostname: 'box' };
  const bytes = encodeJoinRequest(value);
  await fc.assert(
    fc.asyncProperty(fc.array(fc.nat(bytes.length)), fc.nat(bytes.length), async (cuts, length) => {
      const socket = new PassThrough();
      const reading = readMessage(socket, { maxBytes: maxRequestBytes, patienceMs: 5000 });
      const ends = [...new Set([...cuts.filter((cut) => cut < length), length])].toSorted((a, b) => a - b);
      let from = 0;
      for (const end of ends) {
        socket.write(bytes.subarray(from, end));
        from = end;
        await new Promise((resolve) => setImmediate(resolve));
      }
      if (length < bytes.length) {
        socket.end();
        await assert.rejects(reading, PairingMessageError);
      } else {
        assert.deepEqual(decodeJoinRequest(await reading), value);
      }
    }),
    { numRuns: 50 },
  );
});

test('an IPv6 network counts as one address, and an IPv4 address as itself', () => {
  const same = ['2001:db8::1', '2001:db8::ffff:1', '2001:db8:0:0:1:2:3:4', '2001:0db8::9'];
  assert.equal(new Set(same.map(peerNetwork)).size, 1);
  assert.notEqual(peerNetwork('2001:db8:0:1::1'), peerNetwork('2001:db8::1'));
  assert.equal(peerNetwork('fe80::1%eth0'), peerNetwork('fe80::2'));
  assert.equal(peerNetwork('::ffff:10.0.0.1'), '10.0.0.1');
  assert.notEqual(peerNetwork('10.0.0.1'), peerNetwork('10.0.0.2'));
  assert.equal(peerNetwork('::1'), '0:0:0:0::/64');
});
