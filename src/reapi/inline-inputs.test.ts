import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import fc from 'fast-check';
import { digestKey, digestOf, type Digest } from './digest.ts';
import { ExecuteRequest } from './gen/shoal.ts';
import { maxInlineInputBytes, maxInlineInputs, packInputs, unpackInputs, type InlineInput } from './inline-inputs.ts';
import { applySplice, spliceOf } from './splice.ts';
import { zstdReady } from './zstd.ts';

before(() => zstdReady());

const bytes = fc.uint8Array({ maxLength: 400 }).map((array) => Buffer.from(array));
/** One buffer, and another that has one stretch of it replaced. */
const edited = fc.tuple(bytes, fc.nat(400), fc.nat(50), bytes).map(([base, at, gone, middle]) => {
  const from = Math.min(at, base.length);
  return { base, bytes: Buffer.concat([base.subarray(0, from), middle, base.subarray(from + gone)]) };
});

test('a splice gives back the bytes, and takes no more of them than was replaced', () => {
  fc.assert(
    fc.property(edited, (pair) => {
      const splice = spliceOf(pair.base, pair.bytes);
      assert.deepEqual(applySplice(pair.base, splice), pair.bytes);
      assert.equal(splice.head + splice.middle.length + splice.tail, pair.bytes.length);
      assert.ok(splice.head + splice.tail <= pair.base.length);
    }),
  );
  const text = Buffer.from('abcdefgh'.repeat(40));
  assert.equal(
    spliceOf(text, Buffer.concat([text.subarray(0, 100), Buffer.from('X'), text.subarray(101)])).middle.length,
    1,
  );
});

test('a splice that does not fit its base is none', () => {
  const base = Buffer.from('abc');
  for (const [head, tail] of [
    [4, 0],
    [2, 2],
    [-1, 0],
    [0, -1],
  ] as const) {
    assert.equal(applySplice(base, { head, middle: Buffer.alloc(0), tail }), undefined);
  }
});

function overTheWire(inputs: readonly InlineInput[]): ExecuteRequest {
  return ExecuteRequest.decode(ExecuteRequest.encode({ execute: undefined, ...packInputs(inputs) }).finish());
}

test('inputs come out as they went in, whether whole or spliced', () => {
  fc.assert(
    fc.property(fc.array(edited, { maxLength: 5 }), (pairs) => {
      const known = new Map(pairs.map(({ base }) => [digestKey(digestOf(base)), base]));
      const inputs = pairs.map((pair, at) => ({
        digest: digestOf(pair.bytes),
        bytes: pair.bytes,
        base: at % 2 === 0 ? { digest: digestOf(pair.base), bytes: pair.base } : undefined,
      }));
      const unpacked = [...unpackInputs(overTheWire(inputs), (digest) => known.get(digestKey(digest)))];
      const keys = (digests: readonly { readonly digest: Digest }[]) =>
        digests.map((each) => digestKey(each.digest)).toSorted();
      assert.deepEqual(keys(unpacked), keys(inputs));
      for (const { digest, bytes: content } of unpacked) assert.equal(digestKey(digestOf(content)), digestKey(digest));
    }),
  );
});

test('inputs that lie about their content or are too many are refused, and one whose base is unknown is left out', () => {
  const content = Buffer.from('x'.repeat(1000));
  const packed = packInputs([{ digest: digestOf(Buffer.from('other')), bytes: content, base: undefined }]);
  assert.throws(() => [...unpackInputs(packed, () => undefined)]);
  const large = Buffer.alloc(maxInlineInputBytes / 2 + 1);
  const whole = { digest: digestOf(large), bytes: large, base: undefined };
  assert.throws(() => [...unpackInputs(packInputs([whole, whole]), () => undefined)], /more than/);
  const based = { digest: digestOf(content), bytes: content, base: { digest: digestOf(content), bytes: content } };
  assert.deepEqual([...unpackInputs(packInputs([based]), () => undefined)], []);
});

test('bases are not read beyond a bound, nor endlessly many', () => {
  const spliced = (baseSize: number) => ({
    baseHash: Buffer.alloc(32),
    baseSize,
    head: 0,
    middle: Buffer.alloc(0),
    tail: 0,
  });
  let reads = 0;
  const read = (): Buffer => {
    reads += 1;
    return Buffer.from('base');
  };
  const unpack = (count: number, baseSize: number) => [
    ...unpackInputs({ blobs: [], spliced: Array.from({ length: count }, () => spliced(baseSize)) }, read),
  ];
  assert.throws(() => unpack(1, maxInlineInputBytes + 1), /bases/);
  assert.throws(() => unpack(maxInlineInputs + 1, 1), /more than/);
  assert.equal(reads, 0);
  assert.throws(() => unpack(3, maxInlineInputBytes / 2), /bases/);
  assert.equal(reads, 2);
});

test('whatever a message says, it is unpacked or refused', () => {
  const spliced = fc.record({
    baseHash: fc.uint8Array({ maxLength: 40 }).map((array) => Buffer.from(array)),
    baseSize: fc.integer(),
    head: fc.integer(),
    middle: bytes,
    tail: fc.integer(),
  });
  const digest = fc.record({ hash: fc.string(), sizeBytes: fc.integer() });
  const blobs = fc.array(fc.record({ digest, data: bytes, compressor: fc.constantFrom<0 | 1>(0, 1) }));
  fc.assert(
    fc.property(blobs, fc.array(spliced), (whole, parts) => {
      try {
        for (const each of unpackInputs({ blobs: whole, spliced: parts }, () => Buffer.from('base')))
          assert.equal(digestKey(each.digest), digestKey(digestOf(each.bytes)));
      } catch (error) {
        assert.match(String((error as { code?: unknown }).code), /^(3|ZSTD)$/);
      }
    }),
  );
});
