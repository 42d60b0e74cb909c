// What the front says to the keeper, over a socket that only these two have. Pure: bytes in, values out. The front parses
// what strangers send and may be theirs, so this is small, and nothing in it is longer than a piece.
//
// Request: u32 length of what follows, u8 kind, then (little-endian)
//   1 open    u32 id, target      2 data   u32 id, bytes      3 commit   u32 id      4 abort   u32 id
//   5 remove  target              6 ready              7 note   JSON: a line of the audit log
// Target:   u8 0, hash (32 bytes), u64 size: a blob     u8 1, u8 file: append to it     u8 2, u8 file: replace it
//           u8 3: a question about the identity, JSON (identity-desk.ts)
// Answer, to each commit: u32 id, u8 0 done, 1 other bytes than the digest's, 2 no room, 3 failed; u32 size, and so many
// bytes: the answer to a question, JSON
import { isDigest, type Digest } from '../../reapi/digest.ts';
import { storeFiles, type StoreFile, type StoreTarget } from '../../store/store-writer.ts';

export type KeeperTarget = StoreTarget | { readonly kind: 'question' };

export type KeeperRequest =
  | { readonly kind: 'open'; readonly id: number; readonly target: KeeperTarget }
  | { readonly kind: 'data'; readonly id: number; readonly bytes: Buffer }
  | { readonly kind: 'commit' | 'abort'; readonly id: number }
  | { readonly kind: 'remove'; readonly what: Digest | StoreFile }
  | { readonly kind: 'ready' }
  | { readonly kind: 'note'; readonly bytes: Buffer };

export const outcomes = ['done', 'not-the-digest', 'no-room', 'failed'] as const;
export type Outcome = (typeof outcomes)[number];

export class KeeperWireError extends Error {
  readonly code = 'KEEPER_WIRE';
}

/** Of data, in one request. The keeper reads 64 KB at a time, and holds no more than a piece that is not whole. */
export const pieceBytes = 32 << 10;
export const answerHeadBytes = 9;
const headBytes = 4;
const longest = pieceBytes + 64;
const kinds = { open: 1, data: 2, commit: 3, abort: 4, remove: 5, ready: 6, note: 7 } as const;
const blobTargetBytes = 41;
const fileTargetBytes = 2;

function encodeTarget(target: KeeperTarget): Buffer {
  if (target.kind === 'question') return Buffer.from([3]);
  if (target.kind !== 'blob') return Buffer.from([target.kind === 'append' ? 1 : 2, storeFiles.indexOf(target.file)]);
  const bytes = Buffer.alloc(blobTargetBytes);
  bytes.write(target.digest.hash, 1, 32, 'hex');
  bytes.writeBigUInt64LE(BigInt(target.digest.sizeBytes), 33);
  return bytes;
}

function targetOf(what: Digest | StoreFile): StoreTarget {
  return typeof what === 'string' ? { kind: 'replace', file: what } : { kind: 'blob', digest: what };
}

/** Parts of a frame, so that the bytes of a piece are not copied. */
export function encodeRequest(request: KeeperRequest): readonly Uint8Array[] {
  const tail: Uint8Array[] = [];
  if (request.kind === 'open') tail.push(encodeTarget(request.target));
  else if (request.kind === 'data' || request.kind === 'note') tail.push(request.bytes);
  else if (request.kind === 'remove') tail.push(encodeTarget(targetOf(request.what)));
  const hasId = 'id' in request;
  const head = Buffer.alloc(headBytes + 1 + (hasId ? 4 : 0));
  const size = head.length - headBytes + tail.reduce((sum, part) => sum + part.length, 0);
  if (size > longest) throw new KeeperWireError(`a request of ${size} bytes`);
  head.writeUInt32LE(size, 0);
  head[headBytes] = kinds[request.kind];
  if (hasId) head.writeUInt32LE(request.id, headBytes + 1);
  return [head, ...tail];
}

function decodeTarget(bytes: Buffer): KeeperTarget {
  const kind = bytes[0];
  if (kind === 3 && bytes.length === 1) return { kind: 'question' };
  if (kind === 0 && bytes.length === blobTargetBytes) {
    const digest = { hash: bytes.toString('hex', 1, 33), sizeBytes: Number(bytes.readBigUInt64LE(33)) };
    if (isDigest(digest)) return { kind: 'blob', digest };
  }
  const file = storeFiles[bytes[1] ?? storeFiles.length];
  if ((kind === 1 || kind === 2) && bytes.length === fileTargetBytes && file !== undefined) {
    return { kind: kind === 1 ? 'append' : 'replace', file };
  }
  throw new KeeperWireError('a target that is none');
}

function decodeWhat(bytes: Buffer): Digest | StoreFile {
  const target = decodeTarget(bytes);
  if (target.kind === 'append' || target.kind === 'question') throw new KeeperWireError('a target that is none');
  return target.kind === 'blob' ? target.digest : target.file;
}

function decodeOne(bytes: Buffer): KeeperRequest {
  const kind = bytes[0];
  const rest = bytes.subarray(1);
  if (kind === kinds.remove) return { kind: 'remove', what: decodeWhat(rest) };
  if (kind === kinds.ready && rest.length === 0) return { kind: 'ready' };
  if (kind === kinds.note) return { kind: 'note', bytes: rest };
  if (rest.length < 4) throw new KeeperWireError('a request that is none');
  const id = rest.readUInt32LE(0);
  const body = rest.subarray(4);
  if (kind === kinds.data) return { kind: 'data', id, bytes: body };
  if (kind === kinds.open) return { kind: 'open', id, target: decodeTarget(body) };
  if (body.length === 0 && kind === kinds.commit) return { kind: 'commit', id };
  if (body.length === 0 && kind === kinds.abort) return { kind: 'abort', id };
  throw new KeeperWireError('a request that is none');
}

/** Takes bytes as they come. @throws KeeperWireError; nothing that follows can be understood then. */
export function newRequestReader(): (chunk: Buffer) => Generator<KeeperRequest> {
  let pending: Buffer = Buffer.alloc(0);
  return function* (chunk) {
    pending = pending.length === 0 ? chunk : Buffer.concat([pending, chunk]);
    while (pending.length >= headBytes) {
      const size = pending.readUInt32LE(0);
      if (size === 0 || size > longest) throw new KeeperWireError(`a request of ${size} bytes`);
      const end = headBytes + size;
      if (pending.length < end) return;
      const frame = pending.subarray(headBytes, end);
      pending = pending.subarray(end);
      yield decodeOne(frame);
    }
  };
}

export type Answer = { readonly id: number; readonly outcome: Outcome; readonly text: string };

export function encodeAnswer({ id, outcome, text }: Answer): Buffer {
  const tail = Buffer.from(text);
  const head = Buffer.alloc(answerHeadBytes);
  head.writeUInt32LE(id, 0);
  head[4] = outcomes.indexOf(outcome);
  head.writeUInt32LE(tail.length, 5);
  return Buffer.concat([head, tail]);
}

/** `readExactly` gives so many bytes of what the keeper says next. */
export function readAnswer(readExactly: (size: number) => Buffer): Answer {
  const head = readExactly(answerHeadBytes);
  const text = readExactly(head.readUInt32LE(5)).toString();
  return { id: head.readUInt32LE(0), outcome: outcomes[head[4] ?? 0] ?? 'failed', text };
}
