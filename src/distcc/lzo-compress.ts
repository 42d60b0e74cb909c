// Bytes as an LZO1X stream (lzo-decompress.ts has the format). Pure. The bytes that come next, four of them, are looked
// up in a table of where the like of them stood last; what is found is a match as long as it goes on. Objects and sources
// come down to about what liblzo2's lzo1x_1 makes of them, whose decoders read it.

// 64 KB of table: of 32 and 128 neither is better by more than 2 %.
const hashBits = 14;
const table = new Int32Array(1 << hashBits);
const leastMatch = 4;
const nearest = { short: 0x0800, middle: 0x4000, far: 0xbfff } as const;
const longestShort = 8;
const endOfStream = [0x11, 0, 0] as const;
const noBytes = Buffer.alloc(0);

type Output = { readonly bytes: Buffer; used: number };

function word(from: Uint8Array, at: number): number {
  return (
    (from[at] as number) |
    ((from[at + 1] as number) << 8) |
    ((from[at + 2] as number) << 16) |
    ((from[at + 3] as number) << 24)
  );
}

function put(out: Output, value: number): void {
  out.bytes[out.used++] = value;
}

/** What does not fit into an instruction's own bits. */
function putLength(out: Output, rest: number): void {
  let left = rest;
  for (; left > 255; left -= 255) put(out, 0);
  put(out, left);
}

function putRun(out: Output, from: Uint8Array, [start, end]: readonly [number, number]): void {
  const length = end - start;
  if (length === 0) return;
  // The first run may be its own instruction; one of up to three bytes is counted in the match before it.
  if (out.used === 0 && length <= 238) put(out, 17 + length);
  else if (length <= 3) out.bytes[out.used - 2] = (out.bytes[out.used - 2] as number) | length;
  else if (length <= 18) put(out, length - 3);
  else {
    put(out, 0);
    putLength(out, length - 18);
  }
  out.bytes.set(from.subarray(start, end), out.used);
  out.used += length;
}

function putHead(out: Output, { head, bits }: { readonly head: number; readonly bits: number }, length: number): void {
  if (length - 2 <= bits) put(out, head | (length - 2));
  else {
    put(out, head);
    putLength(out, length - 2 - bits);
  }
}

function putMatch(out: Output, distance: number, length: number): void {
  if (distance <= nearest.short && length <= longestShort) {
    put(out, ((length - 1) << 5) | (((distance - 1) & 7) << 2));
    put(out, (distance - 1) >> 3);
    return;
  }
  const far = distance > nearest.middle;
  const back = far ? distance - nearest.middle : distance - 1;
  putHead(out, far ? { head: 16 | ((back & 0x4000) >> 11), bits: 7 } : { head: 32, bits: 31 }, length);
  put(out, (back & 63) << 2);
  put(out, (back >> 6) & 255);
}

function matchLength(from: Uint8Array, older: number, at: number): number {
  let end = at + leastMatch;
  for (let back = older + leastMatch; end < from.length && from[end] === from[back]; end += 1) back += 1;
  return end - at;
}

/** No bytes stay none: the protocol sends them without a stream. */
export function compressLzo(from: Uint8Array): Buffer {
  if (from.length === 0) return noBytes;
  // A run costs a byte in 255 at worst, a match never more than it replaces.
  const out: Output = { bytes: Buffer.allocUnsafe(from.length + (from.length >> 6) + 64), used: 0 };
  table.fill(-1);
  let pending = 0;
  const last = from.length - leastMatch;
  for (let at = 0; at <= last;) {
    const next = word(from, at);
    const slot = Math.imul(next, 0x9e3779b1) >>> (32 - hashBits);
    const older = table[slot] as number;
    table[slot] = at;
    if (older < 0 || at - older > nearest.far || word(from, older) !== next) {
      // Where nothing has matched for a while, nothing is likely to: longer steps.
      at += 1 + ((at - pending) >> 5);
      continue;
    }
    const length = matchLength(from, older, at);
    putRun(out, from, [pending, at]);
    putMatch(out, at - older, length);
    at += length;
    pending = at;
  }
  putRun(out, from, [pending, from.length]);
  for (const each of endOfStream) put(out, each);
  return out.bytes.subarray(0, out.used);
}
