// A blob as another one with one stretch of it replaced. A Directory on the way to a job's source differs so from the
// Directory that the host was sent for the job before: 110 bytes where the whole, compressed, has some 400. Pure.

export type Splice = {
  /** Bytes at the start that are the base's. */
  readonly head: number;
  readonly middle: Buffer;
  /** Bytes at the end that are the base's. */
  readonly tail: number;
};

type Stretch = { readonly bytes: Buffer; readonly from: number };

function sameBytes(a: Stretch, b: Stretch, length: number): boolean {
  return a.bytes.compare(b.bytes, b.from, b.from + length, a.from, a.from + length) === 0;
}

/** The largest n up to `most` for which `holds(n)`, where it holds up to some n and not beyond. */
function largest(most: number, holds: (n: number) => boolean): number {
  let low = 0;
  for (let high = most; low < high;) {
    const middle = Math.ceil((low + high) / 2);
    if (holds(middle)) low = middle;
    else high = middle - 1;
  }
  return low;
}

export function spliceOf(base: Buffer, bytes: Buffer): Splice {
  const shorter = Math.min(base.length, bytes.length);
  const head = largest(shorter, (n) => sameBytes({ bytes: base, from: 0 }, { bytes, from: 0 }, n));
  const tail = largest(shorter - head, (n) => {
    return sameBytes({ bytes: base, from: base.length - n }, { bytes, from: bytes.length - n }, n);
  });
  return { head, middle: bytes.subarray(head, bytes.length - tail), tail };
}

/** The bytes again; undefined if the base is too short for it. */
export function applySplice(base: Buffer, { head, middle, tail }: Splice): Buffer | undefined {
  if (head < 0 || tail < 0 || head + tail > base.length) return undefined;
  return Buffer.concat([base.subarray(0, head), middle, base.subarray(base.length - tail)]);
}
