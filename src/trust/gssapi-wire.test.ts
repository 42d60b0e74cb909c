import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { decodeGssFrame, encodeGssFrame, GssError, gssFrameBytes, gssHeadBytes } from './gssapi-wire.ts';

test('what is encoded is decoded', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 5000 }), (bytes) => {
      const frame = encodeGssFrame({ kind: 'token', token: Buffer.from(bytes) });
      assert.equal(gssFrameBytes(frame), frame.length - gssHeadBytes);
      assert.deepEqual(decodeGssFrame(frame.subarray(gssHeadBytes)), { kind: 'token', token: Buffer.from(bytes) });
    }),
  );
});

test('the end of an exchange has a token, the peer and the acceptor', () => {
  const body = Buffer.concat([Buffer.from('D\x02\0\0\0'), Buffer.from([7, 8]), Buffer.from('alice@R\0host/box@R')]);
  const expected = { kind: 'done', token: Buffer.from([7, 8]), peer: 'alice@R', own: 'host/box@R' };
  assert.deepEqual(decodeGssFrame(body), expected);
});

test('other bytes are its own error, whatever they are', () => {
  for (const body of ['', 'X', 'D', 'D\x09\0\0\0abc']) assert.throws(() => decodeGssFrame(Buffer.from(body)), GssError);
  assert.throws(() => gssFrameBytes(Buffer.from([255, 255, 255, 255])), GssError);
  assert.throws(() => gssFrameBytes(Buffer.alloc(4)), GssError);
  fc.assert(
    fc.property(fc.uint8Array(), (bytes) => {
      try {
        decodeGssFrame(Buffer.from(bytes));
      } catch (error) {
        assert.ok(error instanceof GssError);
      }
    }),
  );
});
