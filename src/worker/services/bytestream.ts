// ByteStream: blobs in pieces, plain or zstd-compressed. A plain upload that breaks off can be taken up again where it
// stopped, for a while; a compressed one starts again, because its frame is decompressed in one piece.
import { digestKey, type Digest } from '../../reapi/digest.ts';
import { GrpcError, grpcCode } from '../../reapi/errors.ts';
import {
  QueryWriteStatusRequest,
  QueryWriteStatusResponse,
  ReadRequest,
  ReadResponse,
  WriteRequest,
  WriteResponse,
} from '../../reapi/gen/bytestream.ts';
import { parseResourceName, type ResourceName } from '../../reapi/resource-name.ts';
import { clientStream, serverStream, unary, type Handler, type Send } from '../../reapi/server.ts';
import { compress, decompress, maxZstdBytes } from '../../reapi/zstd.ts';
import type { BlobStore, BlobUpload } from '../../store/blob-store.ts';
import { clientOf } from '../../trust/peer.ts';
import { grpcErrorFrom, invalid } from './checks.ts';
import { withoutIdling } from './uploads.ts';
import type { CasWorld } from './cas.ts';
import { newBrokenUploads, type BrokenUploads } from './broken-uploads.ts';

const path = (method: string): string => `/google.bytestream.ByteStream/${method}`;

// A piece of a plain upload on its way to disk.
const pieceMemoryBytes = 1 << 20;
const messageBytes = 256 << 10;
// A frame larger than the content by more than this is no honest one (zstd adds some 0.4 % at worst).
const maxFrameOverheadBytes = 1 << 20;

export function byteStreamService({ clients, uploads }: CasWorld): readonly Handler[] {
  const broken = newBrokenUploads();
  return [
    serverStream({ path: path('Read'), request: ReadRequest, response: ReadResponse }, (request, { peer }, send) =>
      readBlob(clients.of(peer).store, request, send),
    ),
    clientStream(
      { path: path('Write'), request: WriteRequest, response: WriteResponse },
      async (requests, { peer }) => {
        try {
          return await writeBlob({ store: clients.of(peer).store, uploads, client: clientOf(peer) }, broken, requests);
        } catch (error) {
          throw grpcErrorFrom(error);
        }
      },
    ),
    unary(
      { path: path('QueryWriteStatus'), request: QueryWriteStatusRequest, response: QueryWriteStatusResponse },
      ({ resourceName }, { peer }) => {
        const { digest } = parsed(resourceName, true);
        if (clients.of(peer).store.missing([digest]).length === 0)
          return { committedSize: digest.sizeBytes, complete: true };
        const committedSize = broken.receivedBytes(keptName(clientOf(peer), resourceName));
        if (committedSize === undefined) throw new GrpcError(grpcCode.NOT_FOUND, 'no such upload is known');
        return { committedSize, complete: false };
      },
    ),
  ];
}

/** An upload goes on for the client that began it. */
const keptName = (client: string, resourceName: string): string => `${client} ${resourceName}`;

function parsed(resourceName: string, upload: boolean): ResourceName {
  const name = parseResourceName(resourceName);
  if (name === undefined || name.upload !== upload)
    throw invalid(`${JSON.stringify(resourceName)} is no name to ${upload ? 'write' : 'read'}`);
  return name;
}

async function readBlob(store: BlobStore, request: ReadRequest, send: Send<ReadResponse>): Promise<void> {
  const { digest, compression } = parsed(request.resourceName, false);
  const { readOffset: offset, readLimit } = request;
  const compressed = compression === 'zstd';
  if (readLimit < 0 || (compressed && readLimit !== 0)) throw invalid(`a read limit of ${readLimit}`);
  if (offset < 0 || offset > digest.sizeBytes) {
    throw new GrpcError(grpcCode.OUT_OF_RANGE, `offset ${offset} in a blob of ${digest.sizeBytes} bytes`);
  }
  const rest = digest.sizeBytes - offset;
  const pieces = await store.stream(digest, { offset, limit: readLimit === 0 ? rest : Math.min(readLimit, rest) });
  if (pieces === undefined) throw new GrpcError(grpcCode.NOT_FOUND, 'not in the store');
  for await (const piece of compressed ? framed(pieces) : pieces) {
    for (let at = 0; at < piece.length; at += messageBytes) await send({ data: piece.subarray(at, at + messageBytes) });
  }
}

/** zstd frames, one for each piece: a decoder takes frames that follow each other for one content. */
async function* framed(pieces: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  let some = false;
  for await (const piece of pieces) {
    some ||= piece.length > 0;
    if (piece.length > 0) yield compress(piece);
  }
  if (!some) yield compress(Buffer.alloc(0));
}

type Writing = { readonly store: BlobStore; readonly uploads: CasWorld['uploads']; readonly client: string };

async function writeBlob(
  world: Writing,
  broken: BrokenUploads,
  requests: AsyncIterable<WriteRequest>,
): Promise<WriteResponse> {
  const iterator = withoutIdling(requests, undefined, ({ data }) => data.length);
  const first = await iterator.next();
  if (first.done === true) throw invalid('the upload is empty');
  const { resourceName, writeOffset } = first.value;
  const { digest, compression } = parsed(resourceName, true);
  const compressed = compression === 'zstd';
  if (world.store.missing([digest]).length === 0) return { committedSize: compressed ? -1 : digest.sizeBytes };
  const name = keptName(world.client, resourceName);
  const all = continued(first.value, iterator);
  const checked = inOrder(all, { resourceName, offset: writeOffset });
  if (compressed) {
    if (writeOffset !== 0) throw invalid('a compressed upload starts at 0');
    if (digest.sizeBytes > maxZstdBytes) throw invalid(`blobs above ${maxZstdBytes} bytes are to be sent uncompressed`);
    broken.note(name);
    return world.uploads.run(world.client, 2 * digest.sizeBytes, () => writeCompressed(world.store, digest, checked));
  }
  const upload = broken.resume(name, writeOffset) ?? world.store.upload(digest);
  if (upload.receivedBytes() !== writeOffset) {
    broken.keep(name, upload);
    throw invalid(`the upload stands at ${upload.receivedBytes()}, not at ${writeOffset}`);
  }
  return world.uploads.run(world.client, pieceMemoryBytes, () =>
    writePlain(upload, checked, (left) => broken.keep(name, left)),
  );
}

async function* continued(first: WriteRequest, rest: AsyncGenerator<WriteRequest>): AsyncGenerator<WriteRequest> {
  yield first;
  for (let next = await rest.next(); next.done !== true; next = await rest.next()) yield next.value;
}

/** Checks what has to hold between the requests of one upload. */
async function* inOrder(
  requests: AsyncIterable<WriteRequest>,
  start: { readonly resourceName: string; readonly offset: number },
): AsyncGenerator<WriteRequest> {
  let { offset } = start;
  let finished = false;
  for await (const request of requests) {
    if (finished) throw invalid('a request after the last');
    if (request.resourceName !== '' && request.resourceName !== start.resourceName)
      throw invalid('another name in one upload');
    if (request.writeOffset !== offset) throw invalid(`offset ${request.writeOffset} where ${offset} was to come`);
    offset += request.data.length;
    finished = request.finishWrite;
    yield request;
  }
}

async function writePlain(
  upload: BlobUpload,
  requests: AsyncIterable<WriteRequest>,
  keep: (upload: BlobUpload) => void,
): Promise<WriteResponse> {
  try {
    for await (const { data, finishWrite } of requests) {
      await upload.write(data);
      if (!finishWrite) continue;
      await upload.commit();
      return { committedSize: upload.receivedBytes() };
    }
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ERR_STREAM_PREMATURE_CLOSE') keep(upload);
    else await upload.abort();
    throw error;
  }
  keep(upload);
  return { committedSize: upload.receivedBytes() };
}

async function writeCompressed(
  store: BlobStore,
  digest: Digest,
  requests: AsyncIterable<WriteRequest>,
): Promise<WriteResponse> {
  const chunks: Buffer[] = [];
  let received = 0;
  for await (const { data, finishWrite } of requests) {
    received += data.length;
    if (received > digest.sizeBytes + maxFrameOverheadBytes)
      throw invalid(`more bytes came than ${digestKey(digest)} can have`);
    chunks.push(data);
    if (!finishWrite) continue;
    store.write(digest, decompress(Buffer.concat(chunks), digest.sizeBytes));
    return { committedSize: received };
  }
  return { committedSize: 0 };
}
