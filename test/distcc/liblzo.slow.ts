import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import test from 'node:test';
import fc from 'fast-check';
import { DistccError } from '../../src/distcc/errors.ts';
import { compressLzo } from '../../src/distcc/lzo-compress.ts';
import { decompressLzo } from '../../src/distcc/lzo-decompress.ts';
import { withLiblzo } from './liblzo.ts';

const most = 1 << 20;

const pieces = fc.array(fc.uint8Array({ minLength: 1, maxLength: 60 }), { minLength: 1, maxLength: 5 });
const plan = fc.array(fc.tuple(fc.nat(4), fc.oneof(fc.constant(1), fc.integer({ min: 1, max: 900 }))), {
  minLength: 1,
  maxLength: 50,
});
const repetitive = fc
  .tuple(pieces, plan)
  .map(([pieces, plan]) =>
    Buffer.concat(
      plan.flatMap(([which, times]) =>
        Array<Uint8Array>(times).fill(pieces[which % pieces.length] ?? new Uint8Array()),
      ),
    ),
  );
const bytes = fc.oneof(fc.uint8Array({ minLength: 1, maxLength: 5000 }), repetitive);

test('liblzo2 reads what was compressed here, and the other way round', () =>
  withLiblzo(async (liblzo) => {
    const program = readFileSync(process.execPath).subarray(0, most);
    const bothWays = async (plain: Uint8Array): Promise<void> => {
      assert.deepEqual(await liblzo.decompress(compressLzo(plain), plain.length), Buffer.from(plain));
      assert.deepEqual(decompressLzo(await liblzo.compress(plain), plain.length), Buffer.from(plain));
    };
    await bothWays(program);
    await fc.assert(fc.asyncProperty(bytes, bothWays), { numRuns: 1500 });
  }));

function decompressed(stream: Uint8Array): Buffer | undefined {
  try {
    return decompressLzo(stream, most);
  } catch (error) {
    assert.ok(error instanceof DistccError);
    return undefined;
  }
}

test('of streams that are not as they were, both refuse the same ones and read the others alike', () =>
  withLiblzo(async (liblzo) => {
    const edits = fc.array(fc.tuple(fc.nat(), fc.nat(255), fc.boolean()), { minLength: 1, maxLength: 4 });
    let read = 0;
    await fc.assert(
      fc.asyncProperty(bytes, fc.boolean(), edits, async (plain, theirs, edits) => {
        let stream = Buffer.from(theirs ? await liblzo.compress(plain) : compressLzo(plain));
        for (const [at, value, cut] of edits) {
          const place = at % stream.length;
          if (cut) stream = Buffer.concat([stream.subarray(0, place), stream.subarray(place + 1)]);
          else stream[place] = value;
          if (stream.length === 0) return;
        }
        const expected = await liblzo.decompress(stream, most);
        assert.deepEqual(decompressed(stream), expected);
        if (expected !== undefined) read += 1;
      }),
      { numRuns: 6000 },
    );
    console.log(`${read} of 6000 changed streams could still be read`);
    assert.ok(read > 100);
  }));
