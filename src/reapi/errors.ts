// gRPC errors with a code, and the details that the Remote Execution API attaches to them.
import { Code, PreconditionFailure, RetryInfo, Status } from './gen/rpc.ts';
import type { Any } from './gen/google/protobuf/any.ts';
import { digestKey, parseDigestKey, type Digest } from './digest.ts';

export const grpcCode = Code;

/** A call's failure: `code` is the gRPC status code. */
export class GrpcError extends Error {
  readonly code: number;
  readonly details: readonly Any[];
  constructor(code: number, message: string, details: readonly Any[] = []) {
    super(message);
    this.code = code;
    this.details = details;
  }
}

const preconditionFailureUrl = 'type.googleapis.com/google.rpc.PreconditionFailure';

/** FAILED_PRECONDITION with one MISSING violation for each blob, as clients expect of a server that lacks inputs. */
export function missingBlobsError(digests: readonly Digest[]): GrpcError {
  const violations = digests.map((digest) => ({
    type: 'MISSING',
    subject: `blobs/${digestKey(digest)}`,
    description: 'not in the store',
  }));
  const value = Buffer.from(PreconditionFailure.encode({ violations }).finish());
  const message = `${digests.length} blobs are missing`;
  return new GrpcError(Code.FAILED_PRECONDITION, message, [{ typeUrl: preconditionFailureUrl, value }]);
}

const retryInfoUrl = 'type.googleapis.com/google.rpc.RetryInfo';

/** RESOURCE_EXHAUSTED that passes by itself: the client has as much under way here as it may. */
export function busyError(message: string, retryMs: number): GrpcError {
  const seconds = Math.floor(retryMs / 1000);
  const retryDelay = { seconds, nanos: (retryMs - 1000 * seconds) * 1e6 };
  const value = Buffer.from(RetryInfo.encode({ retryDelay }).finish());
  return new GrpcError(Code.RESOURCE_EXHAUSTED, message, [{ typeUrl: retryInfoUrl, value }]);
}

export function isBusy({ code, details }: Pick<GrpcError, 'code' | 'details'>): boolean {
  return code === Code.RESOURCE_EXHAUSTED && details.some(({ typeUrl }) => typeUrl === retryInfoUrl);
}

/**
 * The digests that a FAILED_PRECONDITION asks for, or undefined if anything beside missing blobs is wrong: then sending
 * them would not help.
 */
export function missingBlobsOf(code: number, details: readonly Any[]): Digest[] | undefined {
  if (code !== Code.FAILED_PRECONDITION || details.length === 0) return undefined;
  const digests: Digest[] = [];
  for (const { typeUrl, value } of details) {
    if (typeUrl !== preconditionFailureUrl) return undefined;
    let failure: PreconditionFailure;
    try {
      failure = PreconditionFailure.decode(value);
    } catch {
      return undefined;
    }
    for (const { type, subject } of failure.violations) {
      const digest = type === 'MISSING' ? parseDigestKey(subject.replace(/^.*blobs\//, '')) : undefined;
      if (digest === undefined) return undefined;
      digests.push(digest);
    }
  }
  return digests.length === 0 ? undefined : digests;
}

export function statusOf(error: unknown): Status {
  if (error instanceof GrpcError) return { code: error.code, message: error.message, details: [...error.details] };
  return { code: Code.INTERNAL, message: (error as Error).message, details: [] };
}
