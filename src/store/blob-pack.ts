// Small blobs that have no file of their own, in one file: what lets a store full of them be closed in milliseconds and
// survive a crash but for the last seconds. Records, one after another:
//   0  SHA-256 (32 bytes)   32  size (u32 LE)   36  the bytes
// A record whose bytes do not hash to its name is where the file was torn: it and what follows is left out.
import { readFileSync } from 'node:fs';
import { digestKey, digestOf, type DigestKey } from '../reapi/digest.ts';
import { writeWhole, type StoreWriter } from './store-writer.ts';

export type BlobPack = {
  readonly append: (blobs: Iterable<readonly [DigestKey, Buffer]>) => void;
  /** Makes these blobs the whole content. */
  readonly rewrite: (blobs: Iterable<readonly [DigestKey, Buffer]>) => void;
  /** Infinite until it has been written by this process: what an earlier one left may end in the middle. */
  readonly sizeBytes: () => number;
};

export type OpenedPack = {
  readonly pack: BlobPack;
  /** What the last process left. */
  readonly found: ReadonlyMap<DigestKey, Buffer>;
};

const headBytes = 36;

function encode(blobs: Iterable<readonly [DigestKey, Buffer]>): Buffer {
  const parts: Buffer[] = [];
  for (const [key, bytes] of blobs) {
    const head = Buffer.alloc(headBytes);
    head.write(key.slice(0, 64), 'hex');
    head.writeUInt32LE(bytes.length, 32);
    parts.push(head, bytes);
  }
  return Buffer.concat(parts);
}

function decode(file: Buffer): Map<DigestKey, Buffer> {
  const blobs = new Map<DigestKey, Buffer>();
  for (let at = 0; at + headBytes <= file.length;) {
    const end = at + headBytes + file.readUInt32LE(at + 32);
    if (end > file.length) break;
    const bytes = file.subarray(at + headBytes, end);
    const digest = digestOf(bytes);
    if (digest.hash !== file.toString('hex', at, at + 32)) break;
    blobs.set(digestKey(digest), bytes);
    at = end;
  }
  return blobs;
}

function load(path: string): Map<DigestKey, Buffer> {
  try {
    return decode(readFileSync(path));
  } catch {
    // There is none yet.
    return new Map();
  }
}

export function openBlobPack(path: string, writer: StoreWriter): OpenedPack {
  let sizeBytes = Number.POSITIVE_INFINITY;
  const rewrite: BlobPack['rewrite'] = (blobs) => {
    const bytes = encode(blobs);
    writeWhole(writer, { kind: 'replace', file: 'pack' }, bytes);
    sizeBytes = bytes.length;
  };
  const append: BlobPack['append'] = (blobs) => {
    const bytes = encode(blobs);
    writeWhole(writer, { kind: 'append', file: 'pack' }, bytes);
    sizeBytes += bytes.length;
  };
  return { pack: { append, rewrite, sizeBytes: () => sizeBytes }, found: load(path) };
}
