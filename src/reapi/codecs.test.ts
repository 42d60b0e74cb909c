import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { digestOf } from './digest.ts';
import { frame, newDeframer } from './grpc-framing.ts';
import { parseResourceName, readName, writeName } from './resource-name.ts';
import { compress, decompress, zstdReady } from './zstd.ts';

test('frames come out whole, however they are cut on the way', () => {
  const messages = fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 8 });
  const cuts = fc.array(fc.nat(40), { minLength: 1, maxLength: 20 });
  fc.assert(
    fc.property(messages, cuts, (sent, sizes) => {
      const stream = Buffer.concat(sent.map(frame));
      const deframer = newDeframer();
      const received: Buffer[] = [];
      for (let at = 0, turn = 0; at < stream.length; turn += 1) {
        const size = 1 + (sizes[turn % sizes.length] ?? 0);
        received.push(...deframer.push(stream.subarray(at, at + size)));
        at += size;
      }
      assert.deepEqual(
        received,
        sent.map((message) => Buffer.from(message)),
      );
      assert.ok(deframer.isEmpty());
    }),
  );
});

test('a frame that is compressed or too large is refused before it is kept', () => {
  assert.throws(() => newDeframer().push(Buffer.from([1, 0, 0, 0, 0])), { code: 'GRPC_FRAMING' });
  assert.throws(() => newDeframer().push(Buffer.from([0, 255, 255, 255, 255])), { code: 'GRPC_FRAMING' });
});

test('resource names come back as they were written, with any instance and any trailing metadata', () => {
  const digest = fc.uint8Array({ maxLength: 50 }).map(digestOf);
  const instance = fc.constantFrom('', 'main', 'a/b');
  const compression = fc.constantFrom('identity' as const, 'zstd' as const);
  fc.assert(
    fc.property(digest, instance, compression, (blob, name, form) => {
      assert.deepEqual(parseResourceName(readName(blob, form, name)), {
        digest: blob,
        compression: form,
        upload: false,
      });
      const upload = writeName(blob, form, { uuid: 'u-1', instance: name });
      assert.deepEqual(parseResourceName(upload), { digest: blob, compression: form, upload: true });
      assert.deepEqual(parseResourceName(`${upload}/more/x`), { digest: blob, compression: form, upload: true });
    }),
  );
});

test('no text makes the resource name parser throw, and odd names name nothing', () => {
  fc.assert(fc.property(fc.string(), (text) => parseResourceName(text) === undefined || text.includes('blobs')));
  const { hash } = digestOf(Buffer.alloc(0));
  for (const name of [
    '',
    'blobs',
    `blobs/${hash}`,
    `blobs/${hash}/-1`,
    `blobs/${hash.slice(1)}/1`,
    `blobs/blake3/${hash}/1`,
  ]) {
    assert.equal(parseResourceName(name), undefined, name);
  }
  assert.equal(parseResourceName(`compressed-blobs/brotli/${hash}/0`), undefined);
});

test('zstd gives back what went in, and nothing else passes', async () => {
  await zstdReady();
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 5000 }), (bytes) => {
      assert.deepEqual(decompress(compress(bytes), bytes.length), Buffer.from(bytes));
    }),
  );
  const frameOfText = compress(Buffer.from('some text, some text, some text'));
  assert.throws(() => decompress(frameOfText, 30), { code: 'ZSTD' });
  assert.throws(() => decompress(frameOfText, 32), { code: 'ZSTD' });
  assert.throws(() => decompress(frameOfText.subarray(0, -3), 31), { code: 'ZSTD' });
  assert.throws(() => decompress(frameOfText, 2 ** 31), { code: 'ZSTD' });
});
