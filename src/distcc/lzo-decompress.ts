// LZO1X streams back to bytes. Pure. A stream is a sequence of instructions; the first byte of each says which:
//
//   0..15     after a run of 4 or more: a match of 3 bytes, 2049 to 3072 back; after 1 to 3 bytes: one of 2, up to 1024
//             back; after a match with no bytes behind it: a run of literal bytes, 3 + n
//   16..31    a match of 2 + n bytes, 16385 to 49151 back; 16384 back is the end of the stream
//   32..63    a match of 2 + n bytes, up to 16384 back
//   64..255   a match of 3 to 8 bytes, up to 2048 back
//
// n is in the lowest bits, or, where those are 0, goes on in bytes: 255 for each zero and then what the next holds. The
// lowest two bits of each match's distance count literal bytes that follow it, 0 to 3. A first byte above 17 is a run of
// its own, of that less 17. The length of the whole is not written anywhere: the caller says how much it may be, and
// each instruction is held against that before it is carried out.
import { DistccError } from './errors.ts';

/** What precedes an instruction: it says what its lowest values mean. */
const afterMatch = 0;
const afterRun = 4;
const endDistance = 0x4000;
const noBytes = Buffer.alloc(0);

type Stream = {
  readonly from: Uint8Array;
  at: number;
  out: Buffer;
  used: number;
  readonly maxBytes: number;
};

function corrupt(why: string): DistccError {
  return new DistccError('PROTOCOL', `a compressed body is corrupt: ${why}`);
}

/** Makes room for `size` bytes more. */
function ensure(stream: Stream, size: number): void {
  const wanted = stream.used + size;
  if (wanted <= stream.out.length) return;
  if (wanted > stream.maxBytes) {
    throw new DistccError('TOO_LARGE', `a compressed body holds more than ${stream.maxBytes} bytes`);
  }
  const grown = Buffer.allocUnsafe(Math.min(stream.maxBytes, Math.max(wanted, stream.out.length * 2)));
  stream.out.copy(grown, 0, 0, stream.used);
  stream.out = grown;
}

function byte(stream: Stream): number {
  const value = stream.from[stream.at];
  if (value === undefined) throw corrupt('it ends too early');
  stream.at += 1;
  return value;
}

/** A length whose lowest bits were 0: `base` and what the bytes to come add. */
function longLength(stream: Stream, base: number): number {
  const { from } = stream;
  const start = stream.at;
  while (from[stream.at] === 0) stream.at += 1;
  return base + 255 * (stream.at - start) + byte(stream);
}

function copyRun(stream: Stream, length: number): void {
  const { from, at } = stream;
  if (at + length > from.length) throw corrupt('it ends in a run');
  ensure(stream, length);
  const { out } = stream;
  let to = stream.used;
  // A call of set() costs as much as some thirty bytes one by one.
  if (length > 32) out.set(from.subarray(at, at + length), to);
  else for (let i = at; i < at + length; i += 1) out[to++] = from[i] as number;
  stream.at = at + length;
  stream.used += length;
}

function copyMatch(stream: Stream, distance: number, length: number): void {
  if (distance > stream.used) throw corrupt('a match begins before the start');
  ensure(stream, length);
  const { out, used } = stream;
  if (distance >= length && length > 32) out.copyWithin(used, used - distance, used - distance + length);
  // Where they overlap, bytes just written are copied again.
  else for (let to = used; to < used + length; to += 1) out[to] = out[to - distance] as number;
  stream.used = used + length;
}

/** One instruction; gives what precedes the next, or undefined at the end of the stream. */
function step(stream: Stream, before: number): number | undefined {
  const first = byte(stream);
  let low: number;
  let distance: number;
  let length: number;
  if (first >= 64) {
    low = first;
    distance = ((first >> 2) & 7) + (byte(stream) << 3) + 1;
    length = (first >> 5) + 1;
  } else if (first >= 32) {
    length = 2 + ((first & 31) === 0 ? longLength(stream, 31) : first & 31);
    low = byte(stream);
    distance = (low >> 2) + (byte(stream) << 6) + 1;
  } else if (first >= 16) {
    length = 2 + ((first & 7) === 0 ? longLength(stream, 7) : first & 7);
    low = byte(stream);
    distance = endDistance + ((first & 8) << 11) + (low >> 2) + (byte(stream) << 6);
    // Whatever the length: liblzo2 does not look at it either.
    if (distance === endDistance) return undefined;
  } else if (before === afterMatch) {
    copyRun(stream, 3 + (first === 0 ? longLength(stream, 15) : first));
    return afterRun;
  } else {
    low = first;
    length = before === afterRun ? 3 : 2;
    distance = (before === afterRun ? 2049 : 1) + (first >> 2) + (byte(stream) << 2);
  }
  copyMatch(stream, distance, length);
  copyRun(stream, low & 3);
  return low & 3;
}

/**
 * The bytes of a whole stream; what has no bytes is no stream and is none.
 * @throws DistccError TOO_LARGE above `maxBytes`, PROTOCOL for a stream that is corrupt, cut short or followed by more.
 */
export function decompressLzo(bytes: Uint8Array, maxBytes: number): Buffer {
  if (bytes.length === 0) return noBytes;
  // Sources come down to a quarter.
  const guess = Math.min(maxBytes, Math.max(64, bytes.length * 5));
  const stream: Stream = { from: bytes, at: 0, out: Buffer.allocUnsafe(guess), used: 0, maxBytes };
  let before: number | undefined = afterMatch;
  const first = bytes[0] as number;
  if (first > 17) {
    stream.at = 1;
    copyRun(stream, first - 17);
    before = Math.min(first - 17, afterRun);
  }
  while (before !== undefined) before = step(stream, before);
  if (stream.at !== bytes.length) throw corrupt('more follows its end');
  return stream.out.subarray(0, stream.used);
}
