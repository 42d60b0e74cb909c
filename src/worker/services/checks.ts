// What every service asks of a request before it looks further.
import { isDigest, type Digest } from '../../reapi/digest.ts';
import { GrpcError, grpcCode } from '../../reapi/errors.ts';
import { DigestFunction_Value } from '../../reapi/gen/remote_execution.ts';
import type { Status } from '../../reapi/gen/rpc.ts';
import { StoreError } from '../../store/blob-store.ts';
import { ZstdError } from '../../reapi/zstd.ts';

export const servicePrefix = '/build.bazel.remote.execution.v2';

/** Sum of the blobs of one batch. gRPC's usual bound on a message is 4 MiB; digests and framing need room beside. */
export const maxBatchBytes = 4 << 20;

export const okStatus: Status = { code: grpcCode.OK, message: '', details: [] };

export function invalid(message: string): GrpcError {
  return new GrpcError(grpcCode.INVALID_ARGUMENT, message);
}

/** Unset means SHA-256 too: no other function with digests of that length may be left unnamed, and served is only it. */
export function checkDigestFunction(value: DigestFunction_Value): void {
  if (value !== DigestFunction_Value.UNKNOWN && value !== DigestFunction_Value.SHA256) {
    throw invalid('only SHA256 is served');
  }
}

export function checkedDigest(digest: Digest | undefined, what: string): Digest {
  if (!isDigest(digest)) throw invalid(`${what} is no SHA-256 digest`);
  return digest;
}

/** The store's and the decoder's own failures as what a client is to be told; anything else as it is. */
export function grpcErrorFrom(error: unknown): unknown {
  if (error instanceof StoreError) return new GrpcError(grpcCode[error.code], error.message);
  if (error instanceof ZstdError) return invalid(error.message);
  return error;
}
