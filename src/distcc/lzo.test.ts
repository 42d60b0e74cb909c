import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import test from 'node:test';
import fc from 'fast-check';
import { DistccError } from './errors.ts';
import { compressLzo } from './lzo-compress.ts';
import { decompressLzo } from './lzo-decompress.ts';

const most = 1 << 22;

/** Bytes with repetitions near and far, which is what makes matches of every kind. */
const repetitive = fc
  .tuple(
    fc.array(fc.uint8Array({ minLength: 1, maxLength: 80 }), { minLength: 1, maxLength: 6 }),
    fc.array(fc.tuple(fc.nat(5), fc.oneof(fc.constant(1), fc.integer({ min: 1, max: 400 }))), { maxLength: 60 }),
  )
  .map(([pieces, plan]) =>
    Buffer.concat(
      plan.flatMap(([which, times]) =>
        Array<Uint8Array>(times).fill(pieces[which % pieces.length] ?? new Uint8Array()),
      ),
    ),
  );

test('what was compressed comes back', () => {
  fc.assert(
    fc.property(fc.oneof(fc.uint8Array({ maxLength: 3000 }), repetitive), (bytes) => {
      assert.deepEqual(decompressLzo(compressLzo(bytes), most), Buffer.from(bytes));
    }),
  );
});

test('real files come back, smaller', () => {
  const source = readFileSync(new URL(import.meta.url));
  const program = readFileSync(process.execPath).subarray(0, 3_000_000);
  for (const bytes of [source, program]) {
    const compressed = compressLzo(bytes);
    assert.ok(compressed.length < bytes.length * 0.8, `${compressed.length} of ${bytes.length}`);
    assert.deepEqual(decompressLzo(compressed, bytes.length), bytes);
  }
});

test('no bytes are no stream', () => {
  assert.equal(compressLzo(Buffer.alloc(0)).length, 0);
  assert.equal(decompressLzo(Buffer.alloc(0), 0).length, 0);
});

test('a bomb ends at the bound, whatever its size would be', () => {
  const bomb = compressLzo(Buffer.alloc(1 << 24));
  assert.ok(bomb.length < 70_000);
  assert.throws(() => decompressLzo(bomb, 1 << 20), { code: 'TOO_LARGE' });
  assert.equal(decompressLzo(bomb, 1 << 24).length, 1 << 24);
});

test('a stream that is cut anywhere, or followed by anything, is refused', () => {
  fc.assert(
    fc.property(repetitive, fc.nat(), fc.uint8Array({ minLength: 1, maxLength: 4 }), (bytes, cut, more) => {
      const whole = compressLzo(bytes);
      fc.pre(whole.length > 0);
      assert.throws(() => decompressLzo(Buffer.concat([whole, more]), most), { code: 'PROTOCOL' });
      const short = cut % whole.length;
      if (short > 0) assert.throws(() => decompressLzo(whole.subarray(0, short), most), { code: 'PROTOCOL' });
    }),
  );
});

test('whatever the bytes, they are decompressed within the bound or refused', () => {
  const bound = 10_000;
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 300 }),
      repetitive,
      fc.array(fc.tuple(fc.nat(), fc.nat(255))),
      (random, bytes, edits) => {
        const changed = Buffer.from(compressLzo(bytes));
        for (const [at, value] of edits) if (changed.length > 0) changed[at % changed.length] = value;
        for (const input of [random, changed]) {
          try {
            assert.ok(decompressLzo(input, bound).length <= bound);
          } catch (error) {
            assert.ok(error instanceof DistccError, String(error));
          }
        }
      },
    ),
    { numRuns: 500 },
  );
});
