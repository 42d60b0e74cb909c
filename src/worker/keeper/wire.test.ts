import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { storeFiles } from '../../store/store-writer.ts';
import {
  encodeAnswer,
  encodeRequest,
  KeeperWireError,
  newRequestReader,
  outcomes,
  pieceBytes,
  readAnswer,
  type KeeperRequest,
} from './wire.ts';

const plain = <T>(model: { [K in keyof T]: fc.Arbitrary<T[K]> }): fc.Arbitrary<T> =>
  fc.record<T>(model, { noNullPrototype: true });
const id = fc.nat({ max: 2 ** 32 - 1 });
const bytes = fc.uint8Array({ maxLength: 300 }).map((each) => Buffer.from(each));
const digest = plain({
  hash: fc.uint8Array({ minLength: 32, maxLength: 32 }).map((each) => Buffer.from(each).toString('hex')),
  sizeBytes: fc.nat({ max: Number.MAX_SAFE_INTEGER }),
});
const file = fc.constantFrom(...storeFiles);
const target = fc.oneof(
  plain({ kind: fc.constant('blob' as const), digest }),
  plain({ kind: fc.constantFrom('append' as const, 'replace' as const), file }),
  fc.constant({ kind: 'question' as const }),
);
const request: fc.Arbitrary<KeeperRequest> = fc.oneof(
  plain({ kind: fc.constant('open' as const), id, target }),
  plain({ kind: fc.constant('data' as const), id, bytes }),
  plain({ kind: fc.constantFrom('commit' as const, 'abort' as const), id }),
  plain({ kind: fc.constant('remove' as const), what: fc.oneof(digest, file) }),
  fc.constant<KeeperRequest>({ kind: 'ready' }),
  plain({ kind: fc.constant('note' as const), bytes }),
);

function cut(whole: Buffer, at: readonly number[]): Buffer[] {
  const places = [...new Set(at.map((each) => each % (whole.length + 1)))].toSorted((a, b) => a - b);
  return [0, ...places].map((from, index) => whole.subarray(from, places[index]));
}

test('requests come out as they went in, however they are cut on the way', () => {
  fc.assert(
    fc.property(fc.array(request, { maxLength: 8 }), fc.array(fc.nat(), { maxLength: 8 }), (requests, at) => {
      const whole = Buffer.concat(requests.flatMap((each) => [...encodeRequest(each)]));
      const read = newRequestReader();
      const got = cut(whole, at).flatMap((chunk) => [...read(chunk)]);
      assert.deepEqual(got, requests);
    }),
  );
});

test('whatever comes is understood, waited for in bounded memory, or refused', () => {
  const framed = bytes.map((body) => {
    const head = Buffer.alloc(4);
    head.writeUInt32LE(body.length, 0);
    return Buffer.concat([head, body]);
  });
  fc.assert(
    fc.property(fc.array(fc.oneof(bytes, framed), { maxLength: 10 }), (chunks) => {
      const read = newRequestReader();
      try {
        for (const chunk of chunks) for (const each of read(chunk)) assert.equal(typeof each.kind, 'string');
      } catch (error) {
        assert.ok(error instanceof KeeperWireError);
      }
    }),
    { numRuns: 2000 },
  );
});

test('a length beyond a piece is refused before its bytes are kept', () => {
  const head = Buffer.alloc(4);
  for (const size of [0, pieceBytes + 65, 2 ** 32 - 1]) {
    head.writeUInt32LE(size, 0);
    assert.throws(() => [...newRequestReader()(Buffer.from(head))], KeeperWireError);
  }
  assert.throws(() => encodeRequest({ kind: 'data', id: 1, bytes: Buffer.alloc(pieceBytes + 64) }), KeeperWireError);
});

test('a name outside the store cannot be said', () => {
  for (const body of [
    Buffer.from([5, 2, storeFiles.length]),
    Buffer.from([5, 1, 0]),
    Buffer.concat([Buffer.from([5, 0]), Buffer.alloc(32), Buffer.alloc(8, 0xff)]),
    Buffer.from('\u0005\u0002../../x'),
  ]) {
    const head = Buffer.alloc(4);
    head.writeUInt32LE(body.length, 0);
    assert.throws(() => [...newRequestReader()(Buffer.concat([head, body]))], KeeperWireError);
  }
});

test('answers come out as they went in', () => {
  fc.assert(
    fc.property(id, fc.constantFrom(...outcomes), fc.string({ unit: 'grapheme' }), (id, outcome, text) => {
      let rest = encodeAnswer({ id, outcome, text });
      const take = (size: number): Buffer => {
        const taken = rest.subarray(0, size);
        rest = rest.subarray(size);
        return taken;
      };
      assert.deepEqual(readAnswer(take), { id, outcome, text });
      assert.equal(rest.length, 0);
    }),
  );
});
