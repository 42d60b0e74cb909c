import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { decodeState, encodeState, phases, stateLine } from './binstate.ts';

const short = fc.stringMatching(/^[a-z./_-]{0,127}$/);
const states = fc.record({
  pid: fc.integer({ min: 1, max: 4_194_304 }),
  file: short,
  host: short,
  slot: fc.integer({ min: 0, max: 1000 }),
  phase: fc.constantFrom(...phases),
});

test('what was written is read', () => {
  fc.assert(fc.property(states, (state) => assert.deepEqual(decodeState(encodeState(state)), { ...state })));
});

test('a name that is too long keeps its end', () => {
  const file = `${'d/'.repeat(100)}x.c`;
  const state = { pid: 1, file, host: 'h', slot: 0, phase: 'Send' } as const;
  assert.equal(decodeState(encodeState(state))?.file, file.slice(-127));
});

test('no bytes make the reader throw', () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 400 }), (bytes) => void decodeState(Buffer.from(bytes))));
  assert.equal(decodeState(Buffer.alloc(296)), undefined);
});

test('a line has the columns of the stock monitor', () => {
  const line = stateLine({
    pid: 7829,
    file: 'a_very_long_file_name_which_is_longer_than.cc',
    host: 'a.host.name.that.is.quite.long.example.org',
    slot: 123,
    phase: 'Compile',
  });
  assert.equal(line, '  7829  Compile     a_very_long_file_name_which_is a.host.name.that.is.quit[123]');
});
