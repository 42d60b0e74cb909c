// Directory messages, written by hand: a build encodes some ten a job, and keeping each entry's bytes makes that a sort
// and a concatenation. The bytes are canonical: names sorted as UTF-8, defaults left out, fields by number.
import type { Digest } from './digest.ts';

// Wire types (protobuf encoding): field << 3 | type, type 2 = length-delimited, 0 = varint.
const delimited = (field: number): number => (field << 3) | 2;
const varint = (field: number): number => field << 3;

const largestExact = 0x7f_ff_ff_ff;

function varintLength(value: number): number {
  let length = 1;
  for (let rest = value >>> 7; rest > 0; rest >>>= 7) length += 1;
  return length;
}

/** Writes a number below 2^31 and gives the place behind it. */
function writeVarint(into: Buffer, at: number, value: number): number {
  let end = at;
  let rest = value;
  for (; rest > 0x7f; rest >>>= 7) into[end++] = (rest & 0x7f) | 0x80;
  into[end] = rest;
  return end + 1;
}

function largeVarint(value: bigint): Buffer {
  const bytes: number[] = [];
  let rest = BigInt.asUintN(64, value);
  for (; rest > 0x7fn; rest >>= 7n) bytes.push(Number(rest & 0x7fn) | 0x80);
  bytes.push(Number(rest));
  return Buffer.from(bytes);
}

function field(number: number, content: Buffer): Buffer {
  const start = 1 + varintLength(content.length);
  const bytes = Buffer.allocUnsafe(start + content.length);
  bytes[0] = delimited(number);
  writeVarint(bytes, 1, content.length);
  content.copy(bytes, start);
  return bytes;
}

function scalar(number: number, value: number | bigint): Buffer {
  if (value === 0 || value === 0n) return Buffer.alloc(0);
  if (typeof value === 'bigint' || value > largestExact || value < 0) {
    return Buffer.concat([Buffer.from([varint(number)]), largeVarint(BigInt(value))]);
  }
  const bytes = Buffer.allocUnsafe(1 + varintLength(value));
  bytes[0] = varint(number);
  writeVarint(bytes, 1, value);
  return bytes;
}

function digestMessage(digest: Digest): Buffer {
  return Buffer.concat([field(1, Buffer.from(digest.hash, 'latin1')), scalar(2, digest.sizeBytes)]);
}

/** google.protobuf.Timestamp: whole seconds (towards minus infinity) and nanoseconds. */
function timestampMessage(ns: bigint): Buffer {
  const nanos = ((ns % 1_000_000_000n) + 1_000_000_000n) % 1_000_000_000n;
  return Buffer.concat([scalar(1, (ns - nanos) / 1_000_000_000n), scalar(2, nanos)]);
}

export type FileNode = {
  readonly name: string;
  readonly digest: Digest;
  readonly executable: boolean;
  readonly mtimeNs?: bigint;
};

/** A FileNode as the field `files` of a Directory. */
export function encodeFileNode(file: FileNode): Buffer {
  const parts = [field(1, Buffer.from(file.name)), field(2, digestMessage(file.digest))];
  if (file.executable) parts.push(scalar(4, 1));
  if (file.mtimeNs !== undefined) parts.push(field(6, field(2, timestampMessage(file.mtimeNs))));
  return field(1, Buffer.concat(parts));
}

const hashBytes = 64;

/** A DirectoryNode as the field `directories` of a Directory: some seven a job, so in one piece. */
export function encodeDirectoryNode(name: string, digest: Digest): Buffer {
  const nameBytes = Buffer.byteLength(name);
  const sizeLength = digest.sizeBytes === 0 ? 0 : 1 + varintLength(digest.sizeBytes);
  const digestLength = 2 + hashBytes + sizeLength;
  const inner = 1 + varintLength(nameBytes) + nameBytes + 2 + digestLength;
  const bytes = Buffer.allocUnsafe(1 + varintLength(inner) + inner);
  bytes[0] = delimited(2);
  let at = writeVarint(bytes, 1, inner);
  bytes[at] = delimited(1);
  at = writeVarint(bytes, at + 1, nameBytes);
  at += bytes.write(name, at);
  bytes[at] = delimited(2);
  bytes[at + 1] = digestLength; // at most 2 + 64 + 6: one byte
  bytes[at + 2] = delimited(1);
  bytes[at + 3] = hashBytes;
  bytes.write(digest.hash, at + 4, 'latin1');
  at += 4 + hashBytes;
  if (sizeLength > 0) {
    bytes[at] = varint(2);
    writeVarint(bytes, at + 1, digest.sizeBytes);
  }
  return bytes;
}

/** A SymlinkNode as the field `symlinks` of a Directory. */
export function encodeSymlinkNode(name: string, target: string): Buffer {
  return field(3, Buffer.concat([field(1, Buffer.from(name)), field(2, Buffer.from(target))]));
}

export type EncodedEntry = { readonly name: string; readonly bytes: Buffer };

export type DirectoryEntries = {
  readonly files: readonly EncodedEntry[];
  readonly directories: readonly EncodedEntry[];
  readonly symlinks: readonly EncodedEntry[];
};

// By UTF-8 bytes. JavaScript compares UTF-16 units, which orders surrogate pairs below U+E000..U+FFFF; only a name with
// a surrogate in it needs the slower comparison.
const hasSurrogate = /[\ud800-\udfff]/;

export function compareNames(a: string, b: string): number {
  if (hasSurrogate.test(a) || hasSurrogate.test(b)) return Buffer.compare(Buffer.from(a), Buffer.from(b));
  return a < b ? -1 : Number(a > b);
}

const byName = (a: EncodedEntry, b: EncodedEntry): number => compareNames(a.name, b.name);

/** The bytes of a Directory whose entries are encoded and sorted already. */
export function joinEntries({ files, directories, symlinks }: DirectoryEntries): Buffer {
  return Buffer.concat([...files, ...directories, ...symlinks].map((entry) => entry.bytes));
}

/** The bytes of a Directory made of entries that are encoded already, in any order. */
export function encodeDirectory({ files, directories, symlinks }: DirectoryEntries): Buffer {
  return joinEntries({
    files: files.toSorted(byName),
    directories: directories.toSorted(byName),
    symlinks: symlinks.toSorted(byName),
  });
}
