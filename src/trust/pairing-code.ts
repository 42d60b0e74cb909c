// What `shoal pair` prints and a person types: 28 characters of Crockford's base 32, in groups of four.
//
//   80 bits   of SHA-256 of the authority's public key: who answers must prove to be of that farm, before it is told
//   2 bits    the role
//   48 bits   the secret
//   10 bits   two check characters: a Reed-Solomon code over GF(32), whose words differ in at least three places, so one
//             wrong character, two wrong ones, and two that changed places are all noticed
//
// Read without regard to case, spaces and hyphens; O is 0, I and L are 1.
import type { Role } from './peer.ts';

export type PairingCode = {
  /** The first ten bytes of the authority's fingerprint. */
  readonly pin: Buffer;
  readonly role: Role;
  readonly secret: Buffer;
};

export const pinBytes = 10;
export const secretBytes = 6;

const alphabet = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';
const dataLength = 26;
const codeLength = 28;
const groupLength = 4;
const maxText = 200;
const roles: readonly (Role | undefined)[] = ['client', 'worker', 'admin'];

// GF(32) by x^5 + x^2 + 1: powers of its generator, twice so that sums of two logarithms need no remainder.
const powers: number[] = [];
for (let power = 0, value = 1; power < 62; power += 1) {
  powers.push(value);
  value = (value << 1) ^ (value & 0x10 ? 0x25 : 0);
}

function times(a: number, b: number): number {
  return a === 0 || b === 0 ? 0 : (powers[powers.indexOf(a) + powers.indexOf(b)] ?? 0);
}

/** The value of the word's polynomial at generator^power. */
function valueAt(word: readonly number[], power: number): number {
  return word.reduce((sum, digit) => times(sum, powers[power] ?? 0) ^ digit, 0);
}

/** The two digits that make the word vanish at generator^0 and generator^1. */
function checkOf(data: readonly number[]): readonly [number, number] {
  for (let first = 0; first < 32; first += 1) {
    const second = valueAt([...data, first, 0], 0);
    if (valueAt([...data, first, second], 1) === 0) return [first, second];
  }
  throw new Error('unreachable: one of 32 digits fits');
}

function digitsOf(code: PairingCode): number[] {
  const role = BigInt(roles.indexOf(code.role));
  let bits = BigInt(`0x${code.pin.toString('hex')}`);
  bits = (bits << 2n) | role;
  bits = (bits << 48n) | BigInt(`0x${code.secret.toString('hex')}`);
  const digits: number[] = [];
  for (let at = dataLength - 1; at >= 0; at -= 1) digits.push(Number((bits >> BigInt(5 * at)) & 31n));
  return digits;
}

export function encodePairingCode(code: PairingCode): string {
  const data = digitsOf(code);
  const text = [...data, ...checkOf(data)].map((digit) => alphabet[digit]).join('');
  return text.match(new RegExp(`.{${groupLength}}`, 'g'))?.join('-') ?? text;
}

export type DecodedCode =
  { readonly kind: 'code'; readonly code: PairingCode } | { readonly kind: 'mistyped'; readonly why: string };

const mistyped = (why: string): DecodedCode => ({ kind: 'mistyped', why });

function tidy(text: string): string {
  return text.toUpperCase().replaceAll(/[\s-]/g, '').replaceAll('O', '0').replaceAll(/[IL]/g, '1');
}

export function decodePairingCode(text: string): DecodedCode {
  const tidied = text.length > maxText ? text : tidy(text);
  const foreign = /[^0-9A-HJKMNP-TV-Z]/.exec(tidied);
  if (foreign !== null && tidied.length <= maxText) return mistyped(`no code has ${JSON.stringify(foreign[0])} in it`);
  if (tidied.length !== codeLength) {
    return mistyped(`it has ${tidied.length} characters, a code has ${codeLength}`);
  }
  const digits = Array.from(tidied, (character) => alphabet.indexOf(character));
  if (valueAt(digits, 0) !== 0 || valueAt(digits, 1) !== 0) return mistyped('a character is wrong or out of place');
  const bits = digits.slice(0, dataLength).reduce((sum, digit) => (sum << 5n) | BigInt(digit), 0n);
  const role = roles[Number((bits >> 48n) & 3n)];
  if (role === undefined) return mistyped('it is of a newer shoal');
  const bytes = (value: bigint, length: number): Buffer =>
    Buffer.from(value.toString(16).padStart(2 * length, '0'), 'hex');
  const pin = bytes(bits >> 50n, pinBytes);
  return { kind: 'code', code: { pin, role, secret: bytes(bits & ((1n << 48n) - 1n), secretBytes) } };
}
