// A packet of distcc's protocol: four letters, then eight lower-case hexadecimal digits. They are a number of its own, or
// how many bytes of body follow. There is no other framing, and the order of packets is fixed. Pure.
import { DistccError } from './errors.ts';
import { compressLzo } from './lzo-compress.ts';
import { decompressLzo } from './lzo-decompress.ts';
import type { Parsing } from './reader.ts';

export type NumberToken = 'DIST' | 'ARGC' | 'NFIL' | 'DONE' | 'STAT';
export type TextToken = 'ARGV' | 'CDIR' | 'NAME' | 'LINK';
export type BodyToken = 'DOTI' | 'FILE' | 'SERR' | 'SOUT' | 'DOTO' | 'DOTD';
export type Token = NumberToken | TextToken | BodyToken;

/** 1: preprocessed source. 2: the same, compressed. 3: source and headers, compressed. */
export type Version = 1 | 2 | 3;

const headBytes = 12;
const headForm = /^[A-Z]{4}[0-9a-f]{8}$/;
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

export function packet(token: Token, number: number): Buffer {
  return Buffer.from(token + number.toString(16).padStart(8, '0'), 'latin1');
}

export function textPacket(token: TextToken, text: string): Buffer {
  const bytes = Buffer.from(text);
  return Buffer.concat([packet(token, bytes.length), bytes]);
}

/** A body in its packet: compressed in versions 2 and 3, but an empty one is empty in all. */
export function bodyPacket(token: BodyToken, bytes: Uint8Array, version: Version): readonly Uint8Array[] {
  const body = version === 1 ? bytes : compressLzo(bytes);
  return [packet(token, body.length), body];
}

export type Head<T extends Token> = { readonly token: T; readonly number: number };

/** The next packet's head, which must be one of these. */
export function* anyHead<const T extends Token>(...expected: readonly T[]): Parsing<Head<T>> {
  const text = (yield headBytes).toString('latin1');
  const token = expected.find((each) => text.startsWith(each));
  if (token === undefined || !headForm.test(text)) {
    throw new DistccError('PROTOCOL', `${expected.join(' or ')} was to come, not ${JSON.stringify(text)}`);
  }
  return { token, number: parseInt(text.slice(4), 16) };
}

/** The number of a packet that is to be `token`, at most `most`. */
export function* numberOf(token: Token, most: number): Parsing<number> {
  const { number } = yield* anyHead(token);
  if (number > most) throw new DistccError('TOO_LARGE', `${token} of ${number}; the most is ${most}`);
  return number;
}

/** Text whose packet's head has been read. Bytes that are no UTF-8 would come out as others, and so are refused. */
export function* textOf({ token, number }: Head<TextToken>, mostBytes: number): Parsing<string> {
  if (number > mostBytes) throw new DistccError('TOO_LARGE', `${token} of ${number} bytes; the most is ${mostBytes}`);
  const bytes = yield number;
  let text: string;
  try {
    text = utf8.decode(bytes);
  } catch (error) {
    throw new DistccError('REFUSED', `${token} holds bytes that are no UTF-8`, { cause: error });
  }
  if (text.includes('\0')) throw new DistccError('PROTOCOL', `${token} holds a NUL`);
  return text;
}

/** What bodies may have left of a message's bytes. Each takes its own off. */
export type Allowance = { leftBytes: number };

/** A body whose packet's head has been read. */
export function* bodyOf({ token, number }: Head<BodyToken>, version: Version, allowance: Allowance): Parsing<Buffer> {
  const { leftBytes } = allowance;
  if (number > leftBytes)
    throw new DistccError('TOO_LARGE', `${token} of ${number} bytes, where ${leftBytes} are left`);
  const bytes = yield number;
  const body = version === 1 ? bytes : decompressLzo(bytes, leftBytes);
  allowance.leftBytes -= body.length;
  return body;
}

export function* body(token: BodyToken, version: Version, allowance: Allowance): Parsing<Buffer> {
  return yield* bodyOf(yield* anyHead(token), version, allowance);
}
