import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { decodePairingCode, encodePairingCode, pinBytes, secretBytes, type PairingCode } from './pairing-code.ts';

const characters = Array.from('0123456789ABCDEFGHJKMNPQRSTVWXYZ');
const bytes = (length: number): fc.Arbitrary<Buffer> =>
  fc.uint8Array({ minLength: length, maxLength: length }).map((value) => Buffer.from(value));
const codes: fc.Arbitrary<PairingCode> = fc.record({
  pin: bytes(pinBytes),
  role: fc.constantFrom('client', 'worker', 'admin'),
  secret: bytes(secretBytes),
});
const texts = codes.map((code) => encodePairingCode(code).replaceAll('-', ''));

function replaced(text: string, at: number, by: string): string {
  return text.slice(0, at) + by + text.slice(at + by.length);
}

test('a code comes back as it was, however it is typed', () => {
  fc.assert(
    fc.property(codes, fc.func(fc.nat(3)), (code, style) => {
      const text = encodePairingCode(code);
      assert.match(text, /^([0-9A-Z]{4}-){6}[0-9A-Z]{4}$/);
      const typed = Array.from(text, (character, at) => {
        if (character === '-') return ['-', '', ' ', ' - '][style(at)];
        if (style(at) < 2) return character;
        return { 0: 'o', 1: 'l' }[character] ?? character.toLowerCase();
      });
      assert.deepEqual(decodePairingCode(`  ${typed.join('')}\n`), { kind: 'code', code: { ...code } });
    }),
  );
});

test('any single wrong character is noticed', () => {
  fc.assert(
    fc.property(texts, (text) => {
      for (let at = 0; at < text.length; at += 1) {
        for (const wrong of characters) {
          if (wrong !== text[at]) assert.equal(decodePairingCode(replaced(text, at, wrong)).kind, 'mistyped');
        }
      }
    }),
    { numRuns: 20 },
  );
});

test('two wrong characters, or two that changed places, are noticed', () => {
  const place = fc.nat(27);
  const character = fc.constantFrom(...characters);
  fc.assert(
    fc.property(texts, place, place, character, character, (text, one, two, first, second) => {
      const wrong = replaced(replaced(text, one, first), two, second);
      if (wrong !== text) assert.equal(decodePairingCode(wrong).kind, 'mistyped');
      const swapped = replaced(replaced(text, one, text[two] ?? ''), two, text[one] ?? '');
      if (swapped !== text) assert.equal(decodePairingCode(swapped).kind, 'mistyped');
    }),
    { numRuns: 2000 },
  );
});

test('a character too few or too many, or one that no code has, is told', () => {
  const text = encodePairingCode({ pin: Buffer.alloc(pinBytes), role: 'client', secret: Buffer.alloc(secretBytes) });
  const why = (typed: string): string => {
    const decoded = decodePairingCode(typed);
    return decoded.kind === 'mistyped' ? decoded.why : 'accepted';
  };
  assert.match(why(text.slice(0, -1)), /it has 27 characters, a code has 28/);
  assert.match(why(`${text}0`), /it has 29 characters/);
  assert.match(why(replaced(text, 0, 'U')), /no code has "U"/);
  assert.match(why('x'.repeat(100_000)), /100000 characters/);
});

test('any text is a code or mistyped', () => {
  fc.assert(
    fc.property(fc.string({ maxLength: 300 }), (text) => {
      assert.ok(['code', 'mistyped'].includes(decodePairingCode(text).kind));
    }),
  );
});
