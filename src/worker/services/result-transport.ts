// How a result travels. Stored it holds digests only; a client gets the bytes that it asked for along with it. shoal's
// own clients get the outputs compressed, in an extra message that others would skip: an average object is 67 KB, and
// 11 KB so.
import { digestKey, type Digest } from '../../reapi/digest.ts';
import { inlineBlobsUrl } from '../../reapi/execute-call.ts';
import { Compressor_Value, type ActionResult, type OutputFile } from '../../reapi/gen/remote_execution.ts';
import { InlineBlobs, type InlineBlobs_Blob } from '../../reapi/gen/shoal.ts';
import { compress } from '../../reapi/zstd.ts';

export type Wanted = {
  readonly inlineStdout: boolean;
  readonly inlineStderr: boolean;
  readonly inlineOutputFiles: readonly string[];
  /** The client asked with `shoal-inline: zstd`. */
  readonly shoal: boolean;
};

export type ReadBlob = (digest: Digest) => Buffer | undefined;

// Of outputs together, uncompressed; larger ones are fetched by digest.
const maxShoalBytes = 8 << 20;
// Others may have gRPC's usual bound of 4 MiB on a message.
const maxPlainBytes = 3 << 20;
const compressFromBytes = 128;

function inlineBlob(digest: Digest, bytes: Buffer): InlineBlobs_Blob {
  const packed = bytes.length < compressFromBytes ? bytes : compress(bytes);
  return packed.length < bytes.length
    ? { digest, data: packed, compressor: Compressor_Value.ZSTD }
    : { digest, data: bytes, compressor: Compressor_Value.IDENTITY };
}

function inlineBlobs(files: readonly OutputFile[], read: ReadBlob): InlineBlobs_Blob[] {
  const blobs = new Map<string, InlineBlobs_Blob>();
  let room = maxShoalBytes;
  for (const { digest } of files) {
    if (digest === undefined || digest.sizeBytes > room || blobs.has(digestKey(digest))) continue;
    const bytes = read(digest);
    if (bytes === undefined) continue;
    room -= digest.sizeBytes;
    blobs.set(digestKey(digest), inlineBlob(digest, bytes));
  }
  return [...blobs.values()];
}

/** The result with the bytes that this client wants. `read` may know the blobs of a run that has just ended. */
export function packedFor(wanted: Wanted, result: ActionResult, read: ReadBlob): ActionResult {
  let room = wanted.shoal ? maxShoalBytes : maxPlainBytes;
  const take = (digest: Digest | undefined): Buffer => {
    const bytes = digest === undefined || digest.sizeBytes > room ? undefined : read(digest);
    if (bytes === undefined) return noBytes;
    room -= bytes.length;
    return bytes;
  };
  const packed = { ...result };
  if (wanted.inlineStdout) packed.stdoutRaw = take(result.stdoutDigest);
  if (wanted.inlineStderr) packed.stderrRaw = take(result.stderrDigest);
  if (wanted.shoal) {
    const metadata = result.executionMetadata;
    const value = Buffer.from(InlineBlobs.encode({ blobs: inlineBlobs(result.outputFiles, read) }).finish());
    if (metadata !== undefined) {
      const auxiliaryMetadata = [...metadata.auxiliaryMetadata, { typeUrl: inlineBlobsUrl, value }];
      packed.executionMetadata = { ...metadata, auxiliaryMetadata };
    }
    return packed;
  }
  const inline = new Set(wanted.inlineOutputFiles);
  if (inline.size === 0) return packed;
  packed.outputFiles = result.outputFiles.map((file) =>
    inline.has(file.path) ? { ...file, contents: take(file.digest) } : file,
  );
  return packed;
}

const noBytes = Buffer.alloc(0);
