// ContentAddressableStorage: what is missing, small blobs in batches, trees of Directories.
import { digestKey, type Digest, type DigestKey } from '../../reapi/digest.ts';
import { GrpcError, grpcCode, statusOf } from '../../reapi/errors.ts';
import {
  BatchReadBlobsRequest,
  BatchReadBlobsResponse,
  BatchUpdateBlobsRequest,
  BatchUpdateBlobsResponse,
  Compressor_Value,
  Directory,
  FindMissingBlobsRequest,
  FindMissingBlobsResponse,
  GetTreeRequest,
  GetTreeResponse,
  type BatchReadBlobsResponse_Response,
  type BatchUpdateBlobsRequest_Request,
} from '../../reapi/gen/remote_execution.ts';
import type { Status } from '../../reapi/gen/rpc.ts';
import { clientStream, serverStream, unary, type Handler, type Send } from '../../reapi/server.ts';
import { compress, decompress } from '../../reapi/zstd.ts';
import type { BlobStore } from '../../store/blob-store.ts';
import { clientOf } from '../../trust/peer.ts';
import type { Clients } from './clients.ts';
import { withoutIdling, type Uploads } from './uploads.ts';
import {
  checkDigestFunction,
  checkedDigest,
  grpcErrorFrom,
  invalid,
  maxBatchBytes,
  okStatus,
  servicePrefix,
} from './checks.ts';

export type CasWorld = { readonly clients: Clients; readonly uploads: Uploads };

// A batch as decoded: the message and its copies of the blobs.
const batchMemoryBytes = 2 * maxBatchBytes;
const compressFromBytes = 128;
const directoriesPerPage = 500;
const maxTreeDirectories = 300_000;

const path = (method: string): string => `${servicePrefix}.ContentAddressableStorage/${method}`;

export function casService({ clients, uploads }: CasWorld): readonly Handler[] {
  return [
    unary(
      { path: path('FindMissingBlobs'), request: FindMissingBlobsRequest, response: FindMissingBlobsResponse },
      (request, { peer }) => {
        checkDigestFunction(request.digestFunction);
        const digests = request.blobDigests.map((digest) => checkedDigest(digest, 'a digest'));
        return { missingBlobDigests: clients.of(peer).store.missing(digests) };
      },
    ),
    // A call with one request, taken as a stream: the handler then runs when the call begins, not when all of the
    // message is there, and an Execute that comes behind it knows that these blobs are on their way.
    clientStream(
      { path: path('BatchUpdateBlobs'), request: BatchUpdateBlobsRequest, response: BatchUpdateBlobsResponse },
      (requests, { peer }) =>
        uploads.run(clientOf(peer), batchMemoryBytes, async () => {
          for await (const request of withoutIdling(requests)) return updateBlobs(clients.of(peer).store, request);
          throw invalid('the request is empty');
        }),
    ),
    unary(
      { path: path('BatchReadBlobs'), request: BatchReadBlobsRequest, response: BatchReadBlobsResponse },
      (request, { peer }) => readBlobs(clients.of(peer).store, request),
    ),
    serverStream(
      { path: path('GetTree'), request: GetTreeRequest, response: GetTreeResponse },
      (request, { peer }, send) => sendTree(clients.of(peer).store, request, send),
    ),
  ];
}

function checkBatchSize(sizes: readonly number[]): void {
  const total = sizes.reduce((sum, size) => sum + size, 0);
  if (total > maxBatchBytes) throw invalid(`a batch of ${total} bytes is more than ${maxBatchBytes}`);
}

function updateBlobs(
  store: BlobStore,
  { requests, digestFunction }: BatchUpdateBlobsRequest,
): BatchUpdateBlobsResponse {
  checkDigestFunction(digestFunction);
  for (const { digest } of requests) checkedDigest(digest, 'a digest');
  checkBatchSize(requests.map(({ digest }) => digest?.sizeBytes ?? 0));
  return { responses: requests.map((request) => ({ digest: request.digest, status: updateBlob(store, request) })) };
}

function updateBlob(store: BlobStore, request: BatchUpdateBlobsRequest_Request): Status {
  try {
    const digest = checkedDigest(request.digest, 'a digest');
    store.write(digest, contentOf(request, digest));
    return okStatus;
  } catch (error) {
    return statusOf(grpcErrorFrom(error));
  }
}

function contentOf({ data, compressor }: BatchUpdateBlobsRequest_Request, digest: Digest): Uint8Array {
  switch (compressor) {
    case Compressor_Value.IDENTITY:
      return data;
    case Compressor_Value.ZSTD:
      return decompress(data, digest.sizeBytes);
    default:
      throw invalid('the compressor is not supported');
  }
}

function readBlobs(store: BlobStore, request: BatchReadBlobsRequest): BatchReadBlobsResponse {
  checkDigestFunction(request.digestFunction);
  const digests = request.digests.map((digest) => checkedDigest(digest, 'a digest'));
  checkBatchSize(digests.map(({ sizeBytes }) => sizeBytes));
  const zstd = request.acceptableCompressors.includes(Compressor_Value.ZSTD);
  return { responses: digests.map((digest) => readBlob(store, digest, zstd)) };
}

function readBlob(store: BlobStore, digest: Digest, zstd: boolean): BatchReadBlobsResponse_Response {
  const bytes = store.readNow(digest);
  if (bytes === undefined) {
    const status = { code: grpcCode.NOT_FOUND, message: 'not in the store', details: [] };
    return { digest, data: Buffer.alloc(0), status, compressor: Compressor_Value.IDENTITY };
  }
  const packed = zstd && bytes.length >= compressFromBytes ? compress(bytes) : bytes;
  return packed.length < bytes.length
    ? { digest, data: packed, status: okStatus, compressor: Compressor_Value.ZSTD }
    : { digest, data: bytes, status: okStatus, compressor: Compressor_Value.IDENTITY };
}

/** Directories by breadth first, each once; the token of a page is how many came before it. */
async function sendTree(store: BlobStore, request: GetTreeRequest, send: Send<GetTreeResponse>): Promise<void> {
  checkDigestFunction(request.digestFunction);
  const root = checkedDigest(request.rootDigest, 'the root');
  const skip = request.pageToken === '' ? 0 : Number(request.pageToken);
  if (!Number.isSafeInteger(skip) || skip < 0) throw invalid('the page token is not one of ours');
  if (request.pageSize < 0) throw invalid('the page size is negative');
  const pageSize = Math.min(request.pageSize === 0 ? directoriesPerPage : request.pageSize, directoriesPerPage);
  if (store.missing([root]).length > 0) throw new GrpcError(grpcCode.NOT_FOUND, 'the root is not in the store');
  let page: Directory[] = [];
  let seen = 0;
  for (const directory of directoriesBelow(store, root)) {
    seen += 1;
    if (seen <= skip) continue;
    if (page.length === pageSize) {
      await send({ directories: page, nextPageToken: String(seen - 1) });
      page = [];
    }
    page.push(directory);
  }
  await send({ directories: page, nextPageToken: '' });
}

function* directoriesBelow(store: BlobStore, root: Digest): Generator<Directory> {
  const queue = new Map<DigestKey, Digest>([[digestKey(root), root]]);
  for (const digest of queue.values()) {
    const bytes = digest.sizeBytes > maxBatchBytes ? undefined : store.readNow(digest);
    if (bytes === undefined) continue;
    const directory = decodeDirectory(bytes);
    for (const { digest: child } of directory.directories) {
      const checked = checkedDigest(child, 'a DirectoryNode');
      queue.set(digestKey(checked), checked);
    }
    if (queue.size > maxTreeDirectories) throw invalid('the tree is too large');
    yield directory;
  }
}

function decodeDirectory(bytes: Buffer): Directory {
  try {
    return Directory.decode(bytes);
  } catch (error) {
    throw invalid(`a blob of the tree is no Directory: ${(error as Error).message}`);
  }
}
