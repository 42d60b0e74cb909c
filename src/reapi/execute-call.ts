// Execute, and WaitExecution where the stream breaks off: one action's way to an outcome. Never throws for what is the
// host's or the network's trouble; the caller decides what that means for the host.
import { digestKey, digestOf, isDigest, sameDigest, type Digest, type DigestKey } from './digest.ts';
import { GrpcError, grpcCode, isBusy, missingBlobsOf } from './errors.ts';
import type { Any } from './gen/google/protobuf/any.ts';
import { Operation } from './gen/longrunning.ts';
import {
  Compressor_Value,
  DigestFunction_Value,
  ExecuteRequest,
  ExecuteResponse,
  WaitExecutionRequest,
  type ActionResult,
} from './gen/remote_execution.ts';
import { ExecuteRequest as ShoalExecuteRequest, InlineBlobs, JobUsage } from './gen/shoal.ts';
import type { CallOptions, Channel } from './grpc-client.ts';
import { packInputs, type InlineInput } from './inline-inputs.ts';
import { decompress, maxZstdBytes } from './zstd.ts';

export const inlineHeader = 'shoal-inline';
export const inlineBlobsUrl = 'type.googleapis.com/shoal.v1.InlineBlobs';
export const jobUsageUrl = 'type.googleapis.com/shoal.v1.JobUsage';

export type ExecuteRequestFields = {
  readonly actionDigest: Digest;
  readonly skipCacheLookup: boolean;
  /** Output paths that servers without shoal's extension are asked to inline. */
  readonly inlineOutputs: readonly string[];
  /** What the host may lack; only for one that takes inputs along. */
  readonly inputs?: readonly InlineInput[];
};

export type ExecuteOutcome =
  | {
      readonly kind: 'done';
      readonly result: ActionResult;
      readonly cached: boolean;
      /** Blobs that came along, checked against their digests. */
      readonly blobs: ReadonlyMap<DigestKey, Buffer>;
      readonly usage: JobUsage | undefined;
    }
  | { readonly kind: 'missing'; readonly digests: readonly Digest[] }
  | {
      readonly kind: 'failed';
      readonly code: number;
      readonly message: string;
      /** This client has as much under way there as it may. */
      readonly busy?: boolean;
    };

const mostWaits = 3;
// Of all inline blobs of one result together.
const maxInlineBytes = 64 * 1024 * 1024;

const executePath = '/build.bazel.remote.execution.v2.Execution/Execute';
const withInputsPath = '/shoal.v1.Execution/Execute';
const waitPath = '/build.bazel.remote.execution.v2.Execution/WaitExecution';

export async function executeCall(
  channel: Channel,
  request: ExecuteRequestFields,
  options: Pick<CallOptions, 'deadlineMs' | 'signal'>,
): Promise<ExecuteOutcome> {
  let [path, body] = openingOf(request);
  for (let waits = 0; ; waits += 1) {
    const seen: { last: Operation | undefined } = { last: undefined };
    const onMessage = (message: Buffer): void => {
      seen.last = Operation.decode(message);
    };
    let broken: GrpcError | undefined;
    try {
      await channel.serverStream(path, body, { ...options, headers: { [inlineHeader]: 'zstd' }, onMessage });
    } catch (error) {
      broken = error instanceof GrpcError ? error : new GrpcError(grpcCode.INTERNAL, (error as Error).message);
    }
    const operation = seen.last;
    if (operation?.done === true) return outcomeOf(operation);
    const again = broken === undefined || (broken.code === grpcCode.UNAVAILABLE && operation !== undefined);
    if (!again || waits === mostWaits || operation === undefined) {
      return failure(broken ?? new GrpcError(grpcCode.UNAVAILABLE, 'the host ended the stream without a result'));
    }
    path = waitPath;
    body = WaitExecutionRequest.encode({ name: operation.name }).finish();
  }
}

/** The method to call, and its request. */
function openingOf(request: ExecuteRequestFields): [path: string, body: Uint8Array] {
  const execute = messageOf(request);
  const { inputs = [] } = request;
  if (inputs.length === 0) return [executePath, ExecuteRequest.encode(execute).finish()];
  const packed = packInputs(inputs);
  return [withInputsPath, ShoalExecuteRequest.encode({ execute, ...packed }).finish()];
}

function messageOf(request: ExecuteRequestFields): ExecuteRequest {
  return {
    instanceName: '',
    skipCacheLookup: request.skipCacheLookup,
    actionDigest: request.actionDigest,
    executionPolicy: undefined,
    resultsCachePolicy: undefined,
    digestFunction: DigestFunction_Value.SHA256,
    inlineStdout: true,
    inlineStderr: true,
    inlineOutputFiles: [...request.inlineOutputs],
  };
}

function failure({ code, message, details }: GrpcError): ExecuteOutcome {
  const digests = missingBlobsOf(code, details);
  if (digests !== undefined) return { kind: 'missing', digests };
  return isBusy({ code, details }) ? { kind: 'failed', code, message, busy: true } : { kind: 'failed', code, message };
}

function outcomeOf(operation: Operation): ExecuteOutcome {
  if (operation.error !== undefined) {
    return failure(new GrpcError(operation.error.code, operation.error.message, operation.error.details));
  }
  try {
    const response = ExecuteResponse.decode(operation.response?.value ?? Buffer.alloc(0));
    const { status, result, cachedResult } = response;
    if (status !== undefined && status.code !== grpcCode.OK) {
      return failure(new GrpcError(status.code, status.message, status.details));
    }
    if (result === undefined)
      return { kind: 'failed', code: grpcCode.DATA_LOSS, message: 'the answer holds no result' };
    const extras = result.executionMetadata?.auxiliaryMetadata ?? [];
    return { kind: 'done', result, cached: cachedResult, blobs: inlineBlobs(result, extras), usage: usageIn(extras) };
  } catch (error) {
    return { kind: 'failed', code: grpcCode.DATA_LOSS, message: `malformed answer: ${(error as Error).message}` };
  }
}

function usageIn(extras: readonly Any[]): JobUsage | undefined {
  const found = extras.find((extra) => extra.typeUrl === jobUsageUrl);
  return found === undefined ? undefined : JobUsage.decode(found.value);
}

function inlineBlobs(result: ActionResult, extras: readonly Any[]): Map<DigestKey, Buffer> {
  const blobs = new Map<DigestKey, Buffer>();
  let roomBytes = maxInlineBytes;
  const keep = (digest: Digest | undefined, content: () => Buffer): void => {
    if (!isDigest(digest) || digest.sizeBytes > roomBytes || digest.sizeBytes > maxZstdBytes) return;
    roomBytes -= digest.sizeBytes;
    const bytes = content();
    if (sameDigest(digestOf(bytes), digest)) blobs.set(digestKey(digest), bytes);
  };
  for (const extra of extras) {
    if (extra.typeUrl !== inlineBlobsUrl) continue;
    for (const { digest, data, compressor } of InlineBlobs.decode(extra.value).blobs) {
      const zstd = compressor === Compressor_Value.ZSTD;
      keep(digest, () => (zstd ? decompress(data, digest?.sizeBytes ?? 0) : Buffer.from(data)));
    }
  }
  for (const { digest, contents } of result.outputFiles)
    if (contents.length > 0) keep(digest, () => Buffer.from(contents));
  return blobs;
}
