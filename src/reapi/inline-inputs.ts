// What a job needs and its host may lack, in the call that executes it: a source compressed, and Directories as what
// changed in them since the host was sent the like. For shoal's own workers; see src/reapi/proto/shoal.proto. Pure.
import { digestOf, isDigest, sameDigest, type Digest } from './digest.ts';
import { GrpcError, grpcCode } from './errors.ts';
import { Compressor_Value } from './gen/remote_execution.ts';
import type { ExecuteRequest, InlineBlobs_Blob, SplicedBlob } from './gen/shoal.ts';
import { applySplice, spliceOf } from './splice.ts';
import { compress, decompress } from './zstd.ts';

export type InlineInput = {
  readonly digest: Digest;
  readonly bytes: Buffer;
  /** Another blob, which the host has, that this one is much like. */
  readonly base: { readonly digest: Digest; readonly bytes: Buffer } | undefined;
};

/** Of the inputs of one call together, as they are when unpacked; and of the bases that are read for them. */
export const maxInlineInputBytes = 1 << 20;
/** In one call; whoever has more asks first. */
export const maxInlineInputs = 64;

// Below this zstd saves less than its frame costs.
const compressFromBytes = 128;
// A splice with as much new in it as this is larger than the whole, compressed.
const mostNewShare = 0.4;

export type PackedInputs = Pick<ExecuteRequest, 'blobs' | 'spliced'>;

export function packInputs(inputs: readonly InlineInput[]): PackedInputs {
  const packed: PackedInputs = { blobs: [], spliced: [] };
  for (const input of inputs) {
    const spliced = packSplice(input);
    if (spliced === undefined) packed.blobs.push(packBlob(input));
    else packed.spliced.push(spliced);
  }
  return packed;
}

function packSplice({ bytes, base }: InlineInput): SplicedBlob | undefined {
  if (base === undefined) return undefined;
  const { head, middle, tail } = spliceOf(base.bytes, bytes);
  if (middle.length > mostNewShare * bytes.length) return undefined;
  const { hash, sizeBytes } = base.digest;
  return { baseHash: Buffer.from(hash, 'hex'), baseSize: sizeBytes, head, middle, tail };
}

export function packBlob({ digest, bytes }: Pick<InlineInput, 'digest' | 'bytes'>): InlineBlobs_Blob {
  if (bytes.length >= compressFromBytes) {
    const smaller = compress(bytes);
    if (smaller.length < bytes.length) return { digest, data: smaller, compressor: Compressor_Value.ZSTD };
  }
  return { digest, data: bytes, compressor: Compressor_Value.IDENTITY };
}

/** The digest of a splice's base; none if it is no digest. */
export function baseOf({ baseHash, baseSize }: Pick<SplicedBlob, 'baseHash' | 'baseSize'>): Digest[] {
  const digest = { hash: Buffer.from(baseHash).toString('hex'), sizeBytes: baseSize };
  return isDigest(digest) ? [digest] : [];
}

export type Unpacked = { readonly digest: Digest; readonly bytes: Buffer };

const invalid = (message: string): GrpcError => new GrpcError(grpcCode.INVALID_ARGUMENT, message);

/**
 * The blobs one by one, each checked against its digest if it says one. A base that `read` does not know is left out: what
 * rests on it will be found missing. @throws GrpcError INVALID_ARGUMENT, ZstdError.
 */
export function* unpackInputs(
  { blobs, spliced }: PackedInputs,
  read: (digest: Digest) => Buffer | undefined,
): Generator<Unpacked> {
  if (blobs.length + spliced.length > maxInlineInputs) throw invalid(`more than ${maxInlineInputs} inputs`);
  let room = maxInlineInputBytes;
  let baseRoom = maxInlineInputBytes;
  const take = (sizeBytes: number): void => {
    room -= sizeBytes;
    if (!(room >= 0)) throw invalid(`the inputs are more than ${maxInlineInputBytes} bytes`);
  };
  for (const { digest, data, compressor } of blobs) {
    if (digest === undefined) throw invalid('an input has no digest');
    take(digest.sizeBytes);
    const bytes = compressor === Compressor_Value.ZSTD ? decompress(data, digest.sizeBytes) : Buffer.from(data);
    if (!sameDigest(digestOf(bytes), digest)) throw invalid('an input is not what its digest says');
    yield { digest, bytes };
  }
  for (const splice of spliced) {
    const { baseSize, head, middle, tail } = splice;
    // A base is read whole, at once: nothing large, however little of it is asked for.
    baseRoom -= Math.max(1, baseSize);
    if (!(baseRoom >= 0)) throw invalid(`the bases of the inputs are more than ${maxInlineInputBytes} bytes`);
    const [digest] = baseOf(splice);
    const base = digest === undefined ? undefined : read(digest);
    if (base === undefined) continue;
    const bytes = applySplice(base, { head, middle: Buffer.from(middle), tail });
    if (bytes === undefined) throw invalid('a spliced input is longer than its base');
    take(bytes.length);
    yield { digest: digestOf(bytes), bytes };
  }
}
