import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { decodePreamble, completedFrames, decodeRequest, encodeRunHere, encodeRunInSlot } from './launcher-wire.ts';

function record(tag: string, value: Buffer): Buffer {
  const head = Buffer.alloc(5);
  head.write(tag, 0, 'latin1');
  head.writeUInt32LE(value.length, 1);
  return Buffer.concat([head, value]);
}

const whole = [
  record('x', Buffer.from('/usr/bin/gcc')),
  record('a', Buffer.from('gcc')),
  record('a', Buffer.from('-c')),
  record('e', Buffer.from('PATH=/bin')),
  record('w', Buffer.from('/p')),
  record('u', Buffer.from([18, 0, 0, 0])),
  record('t', Buffer.from([4, 80, 0, 24, 0])),
  record('r', Buffer.alloc(16, 1)),
  record('c', Buffer.alloc(16, 2)),
  record('m', Buffer.alloc(16, 3)),
  record('p', Buffer.from([1, 0, 0, 0])),
];

test('a whole request is decoded', () => {
  const decoded = decodeRequest(Buffer.concat(whole));
  assert.equal(decoded.kind, 'request');
  if (decoded.kind !== 'request') return;
  assert.equal(decoded.request.compiler, '/usr/bin/gcc');
  assert.deepEqual(decoded.request.argv, ['gcc', '-c']);
  assert.deepEqual(decoded.request.terminal, { bits: 4, columns: 80, rows: 24 });
});

test('a request that lacks a record, or has one cut short, is refused', () => {
  for (let without = 0; without < whole.length; without += 1) {
    if (without === 2 || without === 3) continue; // arguments and variables may be few
    const decoded = decodeRequest(Buffer.concat(whole.filter((_, index) => index !== without)));
    assert.equal(decoded.kind, without === 1 ? 'request' : 'malformed');
  }
  const bytes = Buffer.concat(whole);
  for (let length = 1; length < bytes.length; length += 7) {
    assert.equal(decodeRequest(bytes.subarray(0, bytes.length - length)).kind, 'malformed');
  }
});

test('text that is no UTF-8 is told apart from a malformed request, and the rest is read', () => {
  const decoded = decodeRequest(Buffer.concat([...whole, record('a', Buffer.from([0x61, 0xff]))]));
  assert.equal(decoded.kind, 'request');
  if (decoded.kind !== 'request') return;
  assert.equal(decoded.request.notUtf8, 'a\ufffd');
  assert.deepEqual(decoded.request.env, ['PATH=/bin']);
});

test('no bytes make the decoder throw', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 400 }), (bytes) => {
      const kind = decodeRequest(Buffer.from(bytes)).kind;
      return ['request', 'malformed'].includes(kind);
    }),
  );
});

test('a preamble that announces more than a request may have is refused', () => {
  const preamble = Buffer.from('SHL1\u0000\u0000\u0000\u0000', 'latin1');
  assert.deepEqual(decodePreamble(preamble), { kind: 'job', bodyBytes: 0 });
  preamble.writeUInt32LE(16 * 1024 * 1024 + 1, 4);
  assert.equal(decodePreamble(preamble), undefined);
  assert.equal(decodePreamble(Buffer.from('GET / HT')), undefined);
});

test('an answer is a run of frames that ends with the status', () => {
  const output = { path: '/p/x.o', how: 'replace', content: Buffer.from('obj') } as const;
  const answer = Buffer.concat(
    completedFrames({
      outputs: [output],
      stdout: Buffer.alloc(0),
      stderr: Buffer.from('w'),
      waitStatus: 256,
    }),
  );
  const tags: string[] = [];
  for (let at = 0; at < answer.length; at += 5 + answer.readUInt32LE(at + 1))
    tags.push(String.fromCharCode(answer[at] ?? 0));
  assert.deepEqual(tags, ['O', 'D', '2', 'X']);
  assert.equal(answer.readUInt32LE(answer.length - 4), 256);
  assert.equal(encodeRunHere('link').toString('latin1'), 'R\u0004\u0000\u0000\u0000link');
  assert.equal(
    encodeRunInSlot('link', 0x1234).toString('latin1'),
    'W\u0008\u0000\u0000\u0000\u0034\u0012\u0000\u0000link',
  );
});
