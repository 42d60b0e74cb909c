// The Remote Execution API as shoal's client uses it: ask what is missing, send it, execute, fetch. Works against any
// server of the API; what shoal's own worker says beyond it is used where it is there.
import { randomUUID } from 'node:crypto';
import { digestKey, isDigest, type Digest, type DigestKey } from './digest.ts';
import { GrpcError, grpcCode } from './errors.ts';
import { executeCall, type ExecuteOutcome, type ExecuteRequestFields } from './execute-call.ts';
import { ReadRequest, ReadResponse, WriteRequest, WriteResponse } from './gen/bytestream.ts';
import {
  BatchUpdateBlobsRequest,
  BatchUpdateBlobsResponse,
  Compressor_Value,
  DigestFunction_Value,
  FindMissingBlobsRequest,
  FindMissingBlobsResponse,
  GetCapabilitiesRequest,
  ServerCapabilities,
  type BatchUpdateBlobsRequest_Request,
} from './gen/remote_execution.ts';
import { ListRequest, ListResponse } from './gen/shoal.ts';
import { meteredChannel, type Traffic } from './traffic.ts';
import { openChannel, type CallOptions, type Channel } from './grpc-client.ts';
import { packBlob } from './inline-inputs.ts';
import type { Target } from './wire.ts';
import { readName, writeName } from './resource-name.ts';
import { compress, decompress, maxZstdBytes, zstdReady } from './zstd.ts';
import { digestOf, sameDigest } from './digest.ts';

export type { Target } from './wire.ts';
export type { ExecuteOutcome } from './execute-call.ts';

export type Blob = { readonly digest: Digest; readonly bytes: Uint8Array };

export type HostToolchain = { readonly digest: Digest; readonly driver: string; readonly version: string };

export type HostToolchains = {
  readonly toolchains: readonly HostToolchain[];
  /** Jobs at once; 0 where the host does not say. */
  readonly slots: number;
  /** Memory of the box; 0 where the host does not say. */
  readonly memoryKb: number;
  /** A worker of shoal's own, which takes a job's inputs along with the call that executes it. */
  readonly isShoal: boolean;
};

export type ReapiClient = {
  /** Resolves once the host is connected and its capabilities are known. */
  readonly ready: () => Promise<void>;
  readonly toolchains: () => Promise<HostToolchains>;
  readonly findMissing: (digests: readonly Digest[]) => Promise<Digest[]>;
  /** Sends blobs; the first batch is on the wire when this returns its promise. @throws GrpcError if one is refused. */
  readonly upload: (blobs: readonly Blob[], signal?: AbortSignal) => Promise<void>;
  /** A blob's bytes, checked against its digest. */
  readonly read: (digest: Digest) => Promise<Buffer>;
  readonly execute: (
    request: ExecuteRequestFields,
    options: { readonly signal?: AbortSignal; readonly deadlineMs: number },
  ) => Promise<ExecuteOutcome>;
  /** The same host by the same connection; what goes over it by this one's calls is counted. */
  readonly metered: (traffic: Traffic) => ReapiClient;
  readonly onClose: (listener: (error: GrpcError) => void) => void;
  readonly bytes: () => { readonly sent: number; readonly received: number };
  readonly close: () => void;
  /** Takes no new calls, and closes when those under way have ended. */
  readonly closeWhenIdle: () => void;
};

// Before a host is known, nothing but this bounds its silence; a box under ten times its load may need seconds.
const greetDeadlineMs = 10_000;
// A call that only asks is answered within milliseconds; a minute allows for a transfer on a bad line.
const askDeadlineMs = 15_000;
const transferDeadlineMs = 120_000;
// 2 MiB of 72-byte digests are 29,000; gRPC's usual bound on a message is 4 MiB.
const digestsPerQuestion = 20_000;
const defaultBatchBytes = 4 * 1024 * 1024 - 64 * 1024;
// Room that a digest and its framing take in a batch.
const itemOverheadBytes = 128;
const streamChunkBytes = 512 * 1024;

const remoteExecution = '/build.bazel.remote.execution.v2';

type Limits = { readonly batchBytes: number; readonly zstdBatches: boolean; readonly zstdStreams: boolean };

function limitsOf(capabilities: ServerCapabilities): Limits {
  const cache = capabilities.cacheCapabilities;
  const announced = cache?.maxBatchTotalSizeBytes ?? 0;
  return {
    batchBytes: announced > 0 ? Math.min(announced, defaultBatchBytes) : defaultBatchBytes,
    zstdBatches: cache?.supportedBatchUpdateCompressors.includes(Compressor_Value.ZSTD) ?? false,
    zstdStreams: cache?.supportedCompressors.includes(Compressor_Value.ZSTD) ?? false,
  };
}

/** @throws GrpcError DATA_LOSS if the bytes are no such message: that is the host's fault, not ours. */
function decoded<T>(message: { readonly decode: (bytes: Uint8Array) => T }, bytes: Buffer): T {
  try {
    return message.decode(bytes);
  } catch (error) {
    throw new GrpcError(grpcCode.DATA_LOSS, `malformed answer: ${(error as Error).message}`);
  }
}

export type ConnectOptions = {
  readonly connectTimeoutMs: number;
  /** What else is to be said on a connection, once it is ready. */
  readonly greet?: (channel: Channel) => void;
};

export function connect(target: Target, { connectTimeoutMs, greet }: ConnectOptions): ReapiClient {
  const opened = openChannel(target, { connectTimeoutMs });
  const instanceName = '';
  let limits: Limits | undefined;

  const ready = async (): Promise<void> => {
    if (limits !== undefined) return;
    await Promise.all([opened.ready(), zstdReady()]);
    const request = GetCapabilitiesRequest.encode({ instanceName }).finish();
    const answer = await opened.unary(`${remoteExecution}.Capabilities/GetCapabilities`, request, {
      deadlineMs: greetDeadlineMs,
    });
    limits = limitsOf(decoded(ServerCapabilities, answer));
    greet?.(opened);
  };

  const uploadOver = async (channel: Channel, blobs: readonly Blob[], signal?: AbortSignal): Promise<void> => {
    if (limits === undefined) await ready();
    const options = { deadlineMs: transferDeadlineMs, ...(signal === undefined ? {} : { signal }) };
    const { small, large } = plan(blobs, limits ?? limitsOf(ServerCapabilities.decode(Buffer.alloc(0))));
    const oneByOne = async (): Promise<void> => {
      for (const blob of large) await uploadStream(channel, blob, { ...options, zstd: limits?.zstdStreams ?? false });
    };
    // Waited for together: one that fails while nobody waits for it would end the process.
    await Promise.all([...small.map((batch) => uploadBatch(channel, batch, options)), oneByOne()]);
  };

  const clientOver = (channel: Channel): ReapiClient => ({
    ready,
    toolchains: () => listToolchains(channel),
    findMissing: (digests) => findMissing(channel, digests),
    upload: (blobs, signal) => uploadOver(channel, blobs, signal),
    read: (digest) => readBlob(channel, digest, limits?.zstdStreams ?? false),
    execute: (request, execution) => executeCall(channel, request, execution),
    metered: (traffic) => clientOver(meteredChannel(opened, traffic)),
    onClose: channel.onClose,
    bytes: channel.bytes,
    close: channel.close,
    closeWhenIdle: channel.closeWhenIdle,
  });
  return clientOver(opened);
}

async function listToolchains(channel: Channel): Promise<HostToolchains> {
  try {
    const request = ListRequest.encode({}).finish();
    const answer = await channel.unary('/shoal.v1.Toolchains/List', request, { deadlineMs: greetDeadlineMs });
    const { toolchains, slots, memoryKb } = decoded(ListResponse, answer);
    channel.watchClosely();
    const known = toolchains.flatMap(({ digest, driver, version }) =>
      isDigest(digest) ? [{ digest, driver, version }] : [],
    );
    return { toolchains: known, slots, memoryKb, isShoal: true };
  } catch (error) {
    if (error instanceof GrpcError && error.code === grpcCode.UNIMPLEMENTED)
      return { toolchains: [], slots: 0, memoryKb: 0, isShoal: false };
    throw error;
  }
}

async function findMissing(channel: Channel, digests: readonly Digest[]): Promise<Digest[]> {
  const missing: Digest[] = [];
  for (let at = 0; at < digests.length; at += digestsPerQuestion) {
    const request = FindMissingBlobsRequest.encode({
      instanceName: '',
      blobDigests: digests.slice(at, at + digestsPerQuestion),
      digestFunction: DigestFunction_Value.SHA256,
    }).finish();
    const path = `${remoteExecution}.ContentAddressableStorage/FindMissingBlobs`;
    const answer = await channel.unary(path, request, { deadlineMs: askDeadlineMs });
    missing.push(...decoded(FindMissingBlobsResponse, answer).missingBlobDigests);
  }
  return missing;
}

type BatchItem = BatchUpdateBlobsRequest_Request;

type Plan = { readonly small: readonly (readonly BatchItem[])[]; readonly large: readonly Blob[] };

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function batchItem({ digest, bytes }: Blob, zstd: boolean): BatchItem {
  const data = asBuffer(bytes);
  return zstd ? packBlob({ digest, bytes: data }) : { digest, data, compressor: Compressor_Value.IDENTITY };
}

// The protocol bounds the sum of the sizes before compression.
function plan(blobs: readonly Blob[], limits: Limits): Plan {
  const small: BatchItem[][] = [];
  const large: Blob[] = [];
  let open: BatchItem[] = [];
  let openBytes = 0;
  for (const blob of blobs) {
    const sizeBytes = blob.digest.sizeBytes + itemOverheadBytes;
    if (sizeBytes > limits.batchBytes) {
      large.push(blob);
      continue;
    }
    if (open.length === 0 || openBytes + sizeBytes > limits.batchBytes) {
      open = [];
      openBytes = 0;
      small.push(open);
    }
    open.push(batchItem(blob, limits.zstdBatches));
    openBytes += sizeBytes;
  }
  return { small, large };
}

async function uploadBatch(channel: Channel, batch: readonly BatchItem[], options: CallOptions): Promise<void> {
  const request = BatchUpdateBlobsRequest.encode({
    instanceName: '',
    requests: [...batch],
    digestFunction: DigestFunction_Value.SHA256,
  }).finish();
  const path = `${remoteExecution}.ContentAddressableStorage/BatchUpdateBlobs`;
  const answer = await channel.unary(path, request, options);
  const refused = new Map<DigestKey, GrpcError>();
  for (const { digest, status } of decoded(BatchUpdateBlobsResponse, answer).responses) {
    const { code = 0, message = '' } = status ?? {};
    if (code !== 0 && digest !== undefined) refused.set(digestKey(digest), new GrpcError(code, message));
  }
  for (const { digest } of batch) {
    const error = digest === undefined ? undefined : refused.get(digestKey(digest));
    if (error !== undefined) throw error;
  }
}

function* writeRequests(resourceName: string, data: Buffer): Generator<Uint8Array> {
  for (let at = 0; at === 0 || at < data.length; at += streamChunkBytes) {
    const finishWrite = at + streamChunkBytes >= data.length;
    const chunk = data.subarray(at, at + streamChunkBytes);
    yield WriteRequest.encode({
      resourceName: at === 0 ? resourceName : '',
      writeOffset: at,
      finishWrite,
      data: chunk,
    }).finish();
  }
}

async function uploadStream(
  channel: Channel,
  { digest, bytes }: Blob,
  { zstd, ...options }: CallOptions & { readonly zstd: boolean },
): Promise<void> {
  const compressed = zstd && bytes.length <= maxZstdBytes;
  const data = compressed ? compress(bytes) : asBuffer(bytes);
  const name = writeName(digest, compressed ? 'zstd' : 'identity', { uuid: randomUUID() });
  const answer = await channel.clientStream('/google.bytestream.ByteStream/Write', writeRequests(name, data), options);
  const { committedSize } = decoded(WriteResponse, answer);
  // -1, or the blob's whole size, says that the host had it already.
  if (committedSize !== data.length && committedSize !== -1 && committedSize !== digest.sizeBytes) {
    throw new GrpcError(grpcCode.DATA_LOSS, `${committedSize} of ${data.length} bytes were taken`);
  }
}

async function readBlob(channel: Channel, digest: Digest, zstd: boolean): Promise<Buffer> {
  const compressed = zstd && digest.sizeBytes <= maxZstdBytes;
  const resourceName = readName(digest, compressed ? 'zstd' : 'identity');
  const chunks: Buffer[] = [];
  let receivedBytes = 0;
  const request = ReadRequest.encode({ resourceName, readOffset: 0, readLimit: 0 }).finish();
  await channel.serverStream('/google.bytestream.ByteStream/Read', request, {
    deadlineMs: transferDeadlineMs,
    onMessage: (message) => {
      const { data } = ReadResponse.decode(message);
      receivedBytes += data.length;
      if (receivedBytes > digest.sizeBytes + 1024 * 1024)
        throw new GrpcError(grpcCode.DATA_LOSS, 'too many bytes came');
      chunks.push(asBuffer(data));
    },
  });
  const received = Buffer.concat(chunks);
  const content = compressed ? decompress(received, digest.sizeBytes) : received;
  if (!sameDigest(digestOf(content), digest))
    throw new GrpcError(grpcCode.DATA_LOSS, 'the bytes do not have their digest');
  return content;
}
