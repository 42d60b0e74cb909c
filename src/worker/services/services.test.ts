// The storage services over a real connection, as any client of the API meets them. Execution has worker.test.ts.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import test from 'node:test';
import grpc from '@grpc/grpc-js';
import fc from 'fast-check';
import { blobOf, inDirectory, treeBlobs } from '../../../test/worker/rig.ts';
import { realClock } from '../../observe/clock.ts';
import { connect, type ReapiClient } from '../../reapi/client.ts';
import { digestKey, emptyDigest, type Digest } from '../../reapi/digest.ts';
import { GrpcError, grpcCode } from '../../reapi/errors.ts';
import {
  QueryWriteStatusRequest,
  QueryWriteStatusResponse,
  ReadRequest,
  ReadResponse,
  WriteRequest,
  WriteResponse,
} from '../../reapi/gen/bytestream.ts';
import {
  BatchReadBlobsRequest,
  BatchReadBlobsResponse,
  BatchUpdateBlobsRequest,
  BatchUpdateBlobsResponse,
  Compressor_Value,
  DigestFunction_Value,
  FindMissingBlobsRequest,
  FindMissingBlobsResponse,
  GetActionResultRequest,
  GetCapabilitiesRequest,
  GetTreeRequest,
  GetTreeResponse,
  ServerCapabilities,
  UpdateActionResultRequest,
} from '../../reapi/gen/remote_execution.ts';
import { openChannel, type Channel } from '../../reapi/grpc-client.ts';
import { readName, writeName } from '../../reapi/resource-name.ts';
import { serve } from '../../reapi/server.ts';
import { compress, decompress, zstdReady } from '../../reapi/zstd.ts';
import { openActionCache } from '../../store/action-cache.ts';
import type { AuditEvent } from '../../observe/audit-log.ts';
import type { BlobStore } from '../../store/blob-store.ts';
import { openDiskStore } from '../../store/disk.ts';
import { openClients } from './clients.ts';
import { newDirectories } from '../trees/directories.ts';
import { openStoreWriter } from '../../store/store-writer.ts';
import { newUploads, withoutIdling, type Uploads } from './uploads.ts';
import { actionCacheService } from './action-cache.ts';
import { byteStreamService } from './bytestream.ts';
import { capabilitiesService } from './capabilities.ts';
import { casService } from './cas.ts';

type World = {
  readonly channel: Channel;
  readonly client: ReapiClient;
  readonly store: BlobStore;
  readonly storedBytes: () => number;
  readonly audited: readonly AuditEvent[];
  readonly uploads: Uploads;
  readonly path: string;
};

const deadlineMs = 20_000;
const prefix = '/build.bazel.remote.execution.v2';
const digestFunction = DigestFunction_Value.SHA256;
const cas = (method: string): string => `${prefix}.ContentAddressableStorage/${method}`;
const byteStream = (method: string): string => `/google.bytestream.ByteStream/${method}`;

async function withServices(body: (world: World) => Promise<void>): Promise<void> {
  await zstdReady();
  await inDirectory(async (directory) => {
    const writer = openStoreWriter(directory);
    const store = await openDiskStore({ directory, writer, maxBytes: 1 << 28, clock: realClock });
    const results = openActionCache({ path: join(directory, 'results'), writer, store, clock: realClock });
    const uploads = newUploads();
    const audited: AuditEvent[] = [];
    const clients = openClients({
      store,
      directories: newDirectories(store),
      path: join(directory, 'holders'),
      writer,
    });
    const handlers = [
      ...capabilitiesService({ name: 'test', slots: 3, toolchains: () => [] }),
      ...casService({ clients, uploads }),
      ...byteStreamService({ clients, uploads }),
      ...actionCacheService({ store, results, clients, audit: (event) => void audited.push(event) }),
    ];
    const path = join(directory, 'test.sock');
    const serving = await serve(handlers, [{ kind: 'unix', path }]);
    const channel = openChannel({ kind: 'unix', path }, { connectTimeoutMs: 5000 });
    const client = connect({ kind: 'unix', path }, { connectTimeoutMs: 5000 });
    try {
      await client.ready();
      // As this box's own user sees it, who is at the other end of the socket.
      const { store: own } = clients.of({ kind: 'local' });
      await body({ channel, client, store: own, storedBytes: store.sizeBytes, audited, uploads, path });
    } finally {
      client.close();
      channel.close();
      serving.stop();
    }
  });
}

async function codeOf(call: Promise<unknown>): Promise<number> {
  return call.then(
    () => grpcCode.OK,
    (error: unknown) => (error instanceof GrpcError ? error.code : assert.fail(String(error))),
  );
}

async function batchUpdate({ channel }: World, requests: BatchUpdateBlobsRequest['requests']) {
  const body = BatchUpdateBlobsRequest.encode({ instanceName: '', requests, digestFunction }).finish();
  return BatchUpdateBlobsResponse.decode(await channel.unary(cas('BatchUpdateBlobs'), body, { deadlineMs })).responses;
}

async function batchRead({ channel }: World, digests: Digest[], acceptableCompressors: Compressor_Value[] = []) {
  const body = BatchReadBlobsRequest.encode({
    instanceName: '',
    digests,
    acceptableCompressors,
    digestFunction,
  }).finish();
  return BatchReadBlobsResponse.decode(await channel.unary(cas('BatchReadBlobs'), body, { deadlineMs })).responses;
}

async function read(
  { channel }: World,
  resourceName: string,
  range: { offset?: number; limit?: number } = {},
): Promise<Buffer> {
  const chunks: Buffer[] = [];
  const onMessage = (message: Buffer): void => void chunks.push(ReadResponse.decode(message).data);
  const { offset = 0, limit = 0 } = range;
  const body = ReadRequest.encode({ resourceName, readOffset: offset, readLimit: limit }).finish();
  await channel.serverStream(byteStream('Read'), body, { deadlineMs, onMessage });
  return Buffer.concat(chunks);
}

type WritePart = Partial<WriteRequest>;

async function write({ channel }: World, parts: readonly WritePart[]): Promise<number> {
  const base = { resourceName: '', writeOffset: 0, finishWrite: false, data: Buffer.alloc(0) };
  const requests = parts.map((part) => WriteRequest.encode({ ...base, ...part }).finish());
  return WriteResponse.decode(await channel.clientStream(byteStream('Write'), requests, { deadlineMs })).committedSize;
}

async function writeStatus({ channel }: World, resourceName: string): Promise<QueryWriteStatusResponse> {
  const body = QueryWriteStatusRequest.encode({ resourceName }).finish();
  return QueryWriteStatusResponse.decode(await channel.unary(byteStream('QueryWriteStatus'), body, { deadlineMs }));
}

const uploadName = (digest: Digest, compression: 'identity' | 'zstd' = 'identity'): string =>
  writeName(digest, compression, { uuid: randomUUID() });

const { IDENTITY, ZSTD, DEFLATE } = Compressor_Value;

test('capabilities name what there is', () =>
  withServices(async ({ channel, client }) => {
    const body = GetCapabilitiesRequest.encode({ instanceName: 'any/name' }).finish();
    const answer = await channel.unary(`${prefix}.Capabilities/GetCapabilities`, body, { deadlineMs });
    const { cacheCapabilities: cache, executionCapabilities: execution } = ServerCapabilities.decode(answer);
    assert.deepEqual(cache?.digestFunctions, [digestFunction]);
    assert.equal(execution?.digestFunction, digestFunction);
    assert.equal(cache.actionCacheUpdateCapabilities?.updateEnabled, false);
    assert.deepEqual([cache.splitBlobSupport, cache.spliceBlobSupport], [false, false]);
    assert.equal(
      await codeOf(channel.unary(cas('SplitBlob'), Buffer.alloc(0), { deadlineMs })),
      grpcCode.UNIMPLEMENTED,
    );
    assert.equal((await client.toolchains()).slots, 3);
  }));

test('a batch succeeds and fails blob by blob', () =>
  withServices(async (world) => {
    const [good, packed, wrong] = [blobOf('good'), blobOf('packed '.repeat(100)), blobOf('wrong')];
    const data = (bytes: Uint8Array): Buffer => Buffer.from(bytes);
    const responses = await batchUpdate(world, [
      { digest: good.digest, data: data(good.bytes), compressor: IDENTITY },
      { digest: packed.digest, data: compress(packed.bytes), compressor: ZSTD },
      { digest: wrong.digest, data: Buffer.from('other'), compressor: IDENTITY },
      { digest: { ...good.digest, sizeBytes: 3 }, data: data(good.bytes), compressor: IDENTITY },
      { digest: wrong.digest, data: Buffer.from('no frame'), compressor: ZSTD },
      { digest: wrong.digest, data: Buffer.from('x'), compressor: DEFLATE },
    ]);
    const { OK, INVALID_ARGUMENT: bad, NOT_FOUND } = grpcCode;
    assert.deepEqual(
      responses.map(({ status }) => status?.code ?? OK),
      [OK, OK, bad, bad, bad, bad],
    );
    const digests = [good.digest, packed.digest, wrong.digest, emptyDigest];
    const plain = await batchRead(world, digests);
    assert.deepEqual(
      plain.map(({ status }) => status?.code ?? OK),
      [OK, OK, NOT_FOUND, OK],
    );
    assert.deepEqual(plain[1]?.data, packed.bytes);
    const [small, large] = await batchRead(world, digests, [ZSTD]);
    assert.equal(small?.compressor, IDENTITY);
    assert.ok(large?.compressor === ZSTD && large.data.length < packed.bytes.length);
    assert.deepEqual(decompress(large.data, packed.bytes.length), packed.bytes);
  }));

test('a batch above the limit is refused whole', () =>
  withServices(async (world) => {
    const large = [1, 2].map((seed) => blobOf(Buffer.alloc(2_500_000, seed)));
    const requests = large.map(({ digest, bytes }) => ({ digest, data: Buffer.from(bytes), compressor: IDENTITY }));
    assert.equal(await codeOf(batchUpdate(world, requests)), grpcCode.INVALID_ARGUMENT);
    assert.equal(
      await codeOf(
        batchRead(
          world,
          large.map(({ digest }) => digest),
        ),
      ),
      grpcCode.INVALID_ARGUMENT,
    );
  }));

test('what is missing is told, and requests in other digest functions are refused', () =>
  withServices(async ({ channel, store }) => {
    const [here, gone] = [blobOf('here'), blobOf('gone')];
    store.write(here.digest, here.bytes);
    const ask = async (request: Partial<FindMissingBlobsRequest>): Promise<Digest[]> => {
      const whole = { instanceName: '', blobDigests: [], digestFunction, ...request };
      const body = FindMissingBlobsRequest.encode(whole).finish();
      return FindMissingBlobsResponse.decode(await channel.unary(cas('FindMissingBlobs'), body, { deadlineMs }))
        .missingBlobDigests;
    };
    const blobDigests = [here.digest, gone.digest, emptyDigest, { ...here.digest, sizeBytes: 5 }];
    assert.deepEqual(await ask({ blobDigests }), [gone.digest, { ...here.digest, sizeBytes: 5 }]);
    assert.deepEqual(
      await ask({ blobDigests, digestFunction: DigestFunction_Value.UNKNOWN }),
      await ask({ blobDigests }),
    );
    assert.equal(await codeOf(ask({ digestFunction: DigestFunction_Value.BLAKE3 })), grpcCode.INVALID_ARGUMENT);
    const bad = [{ hash: '../../etc/passwd', sizeBytes: 1 }];
    assert.equal(await codeOf(ask({ blobDigests: bad })), grpcCode.INVALID_ARGUMENT);
  }));

test('blobs of every size go up and come down, plain and compressed', () =>
  withServices(async (world) => {
    for (const sizeBytes of [0, 1, 65_536, 65_537, 3_000_000]) {
      for (const compression of ['identity', 'zstd'] as const) {
        const { digest, bytes } = blobOf(Buffer.alloc(sizeBytes, `${compression} content `));
        const data = compression === 'zstd' ? compress(bytes) : Buffer.from(bytes);
        const resourceName = uploadName(digest, compression);
        const half = data.length >> 1;
        const sent = await write(world, [
          { resourceName, data: data.subarray(0, half) },
          { writeOffset: half, data: data.subarray(half), finishWrite: true },
        ]);
        if (sizeBytes > 0) assert.equal(sent, data.length);
        assert.deepEqual(await read(world, readName(digest, 'identity')), bytes);
        assert.deepEqual(decompress(await read(world, readName(digest, 'zstd', 'some/instance')), sizeBytes), bytes);
        assert.deepEqual(await writeStatus(world, resourceName), { committedSize: sizeBytes, complete: true });
      }
    }
  }));

test('an upload of what is there ends early', () =>
  withServices(async (world) => {
    const { digest, bytes } = blobOf(Buffer.alloc(300_000, 'x'));
    world.store.write(digest, bytes);
    assert.equal(await write(world, [{ resourceName: uploadName(digest), data: Buffer.alloc(10) }]), digest.sizeBytes);
    assert.equal(await write(world, [{ resourceName: uploadName(digest, 'zstd'), data: Buffer.alloc(10) }]), -1);
  }));

test('an upload that broke off goes on from where it stopped', () =>
  withServices(async (world) => {
    const { digest, bytes } = blobOf(Buffer.alloc(300_000, 'resumed '));
    const data = Buffer.from(bytes);
    const resourceName = uploadName(digest);
    assert.equal(await codeOf(writeStatus(world, resourceName)), grpcCode.NOT_FOUND);
    assert.equal(await write(world, [{ resourceName, data: data.subarray(0, 100_000) }]), 100_000);
    assert.deepEqual(await writeStatus(world, resourceName), { committedSize: 100_000, complete: false });
    const gap = [{ resourceName, writeOffset: 100_001, data: data.subarray(100_001), finishWrite: true }];
    assert.equal(await codeOf(write(world, gap)), grpcCode.INVALID_ARGUMENT);
    const rest = [{ resourceName, writeOffset: 100_000, data: data.subarray(100_000), finishWrite: true }];
    assert.equal(await write(world, rest), data.length);
    assert.deepEqual(await read(world, readName(digest, 'identity')), data);
  }));

test('an upload whose client vanished gives its memory back, and what came is kept', () =>
  withServices(async (world) => {
    const { digest, bytes } = blobOf(Buffer.alloc(300_000, 'cut '));
    const resourceName = uploadName(digest);
    const grpcClient = new grpc.Client(`unix:${world.path}`, grpc.credentials.createInsecure());
    const serialize = (message: WriteRequest): Buffer => Buffer.from(WriteRequest.encode(message).finish());
    const begin = (data: Buffer): Promise<unknown> =>
      new Promise((resolve) => {
        const call = grpcClient.makeClientStreamRequest(
          byteStream('Write'),
          serialize,
          (answer) => WriteResponse.decode(answer),
          resolve,
        );
        call.write({ resourceName, writeOffset: 0, finishWrite: false, data }, () =>
          setTimeout(() => call.cancel(), 50),
        );
      });
    await begin(Buffer.from(bytes.subarray(0, 100_000)));
    const came = async (): Promise<number> => (await writeStatus(world, resourceName)).committedSize;
    while ((await came().catch(() => 0)) !== 100_000 || world.uploads.begun('local') !== undefined)
      await new Promise(setImmediate);
    grpcClient.close();
  }));

test('a client that begins an upload and sends nothing does not hold it for ever', async () => {
  async function* silent(): AsyncGenerator<number> {
    yield 1;
    await new Promise(() => undefined);
  }
  const got: number[] = [];
  await assert.rejects(
    async () => {
      for await (const each of withoutIdling(silent(), { idleMs: 20, leastBytesPerMs: 0 })) got.push(each);
    },
    { code: grpcCode.DEADLINE_EXCEEDED },
  );
  assert.deepEqual(got, [1]);
});

test('an upload that is not what it says leaves nothing', () =>
  withServices(async (world) => {
    const { digest, bytes } = blobOf(Buffer.alloc(100_000, 'y'));
    const data = Buffer.from(bytes);
    const resourceName = uploadName(digest);
    const wrong: readonly (readonly WritePart[])[] = [
      [{ resourceName, data: data.subarray(1), finishWrite: true }],
      [{ resourceName, data: Buffer.alloc(100_000), finishWrite: true }],
      [{ resourceName, data: Buffer.alloc(100_001), finishWrite: true }],
      [
        { resourceName, data: data.subarray(0, 10) },
        { writeOffset: 9, data: data.subarray(10), finishWrite: true },
      ],
      [
        { resourceName, data: data.subarray(0, 10) },
        { resourceName: uploadName(digest), writeOffset: 10 },
      ],
      [{ resourceName: uploadName(digest, 'zstd'), data: Buffer.from('no frame'), finishWrite: true }],
      [{ resourceName: readName(digest, 'identity'), data, finishWrite: true }],
      [{ resourceName: 'uploads/x/blobs/../../1', data, finishWrite: true }],
      [],
    ];
    for (const parts of wrong) assert.equal(await codeOf(write(world, parts)), grpcCode.INVALID_ARGUMENT);
    assert.deepEqual(world.store.missing([digest]), [digest]);
    assert.equal(world.storedBytes(), 0);
  }));

test('a range is read as asked for, and refused where there is none', () =>
  withServices(async (world) => {
    for (const sizeBytes of [1000, 200_000]) {
      const { digest, bytes } = blobOf(Buffer.alloc(sizeBytes, '0123456789'));
      world.store.write(digest, bytes);
      const name = readName(digest, 'identity');
      assert.deepEqual(await read(world, name, { offset: 7, limit: 5 }), Buffer.from('78901'));
      assert.deepEqual(await read(world, name, { offset: sizeBytes - 3, limit: 100 }), Buffer.from('789'));
      assert.equal((await read(world, name, { offset: sizeBytes })).length, 0);
      const tail = await read(world, readName(digest, 'zstd'), { offset: 500 });
      assert.deepEqual(decompress(tail, sizeBytes - 500), Buffer.from(bytes.subarray(500)));
      const { OUT_OF_RANGE, INVALID_ARGUMENT } = grpcCode;
      assert.equal(await codeOf(read(world, name, { offset: sizeBytes + 1 })), OUT_OF_RANGE);
      assert.equal(await codeOf(read(world, name, { offset: -1 })), OUT_OF_RANGE);
      assert.equal(await codeOf(read(world, name, { limit: -1 })), INVALID_ARGUMENT);
      assert.equal(await codeOf(read(world, readName(digest, 'zstd'), { limit: 1 })), INVALID_ARGUMENT);
    }
    assert.equal(await codeOf(read(world, readName(blobOf('absent').digest, 'identity'))), grpcCode.NOT_FOUND);
    assert.equal(await codeOf(read(world, 'nonsense')), grpcCode.INVALID_ARGUMENT);
  }));

test('a tree comes in pages, without what is missing', () =>
  withServices(async ({ channel, store }) => {
    const { root, blobs } = treeBlobs({ 'a/x': '1', 'b/y': '2', 'c/d/z': '3', 'gone/q': '4' });
    const gone = treeBlobs({ q: '4' }).root;
    for (const { digest, bytes } of blobs) if (digestKey(digest) !== digestKey(gone)) store.write(digest, bytes);
    const pages = async (request: Partial<GetTreeRequest>): Promise<GetTreeResponse[]> => {
      const got: GetTreeResponse[] = [];
      const whole = { instanceName: '', rootDigest: root, pageSize: 0, pageToken: '', digestFunction, ...request };
      const onMessage = (message: Buffer): void => void got.push(GetTreeResponse.decode(message));
      await channel.serverStream(cas('GetTree'), GetTreeRequest.encode(whole).finish(), { deadlineMs, onMessage });
      return got;
    };
    const [whole] = await pages({});
    assert.equal(whole?.directories.length, 5);
    assert.equal(whole.nextPageToken, '');
    const small = await pages({ pageSize: 2 });
    assert.deepEqual(
      small.flatMap(({ directories }) => directories),
      whole.directories,
    );
    assert.deepEqual(
      small.map(({ directories }) => directories.length),
      [2, 2, 1],
    );
    const rest = await pages({ pageSize: 2, pageToken: small[0]?.nextPageToken ?? '' });
    assert.deepEqual(
      rest.flatMap(({ directories }) => directories),
      whole.directories.slice(2),
    );
    assert.equal(await codeOf(pages({ rootDigest: gone })), grpcCode.NOT_FOUND);
    assert.equal(await codeOf(pages({ pageToken: 'x' })), grpcCode.INVALID_ARGUMENT);
  }));

test('nobody puts results into the cache from outside', () =>
  withServices(async ({ channel, audited }) => {
    const rest = { instanceName: '', actionDigest: blobOf('action').digest, digestFunction };
    const update = UpdateActionResultRequest.encode({
      ...rest,
      actionResult: undefined,
      resultsCachePolicy: undefined,
    });
    const put = channel.unary(`${prefix}.ActionCache/UpdateActionResult`, update.finish(), { deadlineMs });
    assert.equal(await codeOf(put), grpcCode.PERMISSION_DENIED);
    const why = 'results come from own runs only';
    assert.deepEqual(audited, [{ event: 'refused', peer: { kind: 'local' }, call: 'UpdateActionResult', why }]);
    const lookUp = GetActionResultRequest.encode({
      ...rest,
      inlineStdout: true,
      inlineStderr: true,
      inlineOutputFiles: [],
    });
    const got = channel.unary(`${prefix}.ActionCache/GetActionResult`, lookUp.finish(), { deadlineMs });
    assert.equal(await codeOf(got), grpcCode.NOT_FOUND);
  }));

test('many uploads at once are taken, each in its turn', () =>
  withServices(async ({ client, store }) => {
    const blobs = Array.from({ length: 24 }, (_, at) => blobOf(Buffer.alloc(2_000_000, `${at} `)));
    await Promise.all(blobs.map((blob) => client.upload([blob])));
    assert.deepEqual(store.missing(blobs.map(({ digest }) => digest)), []);
  }));

test('whatever bytes come, the answer is an error or a result, and the next call is served', () =>
  withServices(async ({ channel, client, store }) => {
    const sample = blobOf('sample');
    store.write(sample.digest, sample.bytes);
    const unaryCalls = [
      `${prefix}.Capabilities/GetCapabilities`,
      cas('FindMissingBlobs'),
      cas('BatchUpdateBlobs'),
      cas('BatchReadBlobs'),
      `${prefix}.ActionCache/GetActionResult`,
      `${prefix}.ActionCache/UpdateActionResult`,
      byteStream('QueryWriteStatus'),
      '/shoal.v1.Toolchains/List',
    ];
    const streamCalls = [cas('GetTree'), byteStream('Read')];
    const seeds = [
      FindMissingBlobsRequest.encode({ instanceName: 'i', blobDigests: [sample.digest], digestFunction }).finish(),
      BatchUpdateBlobsRequest.encode({
        instanceName: '',
        requests: [{ digest: sample.digest, data: Buffer.from(sample.bytes), compressor: ZSTD }],
        digestFunction,
      }).finish(),
      ReadRequest.encode({ resourceName: readName(sample.digest, 'zstd'), readOffset: 1, readLimit: 0 }).finish(),
      WriteRequest.encode({
        resourceName: uploadName(sample.digest),
        writeOffset: 0,
        finishWrite: true,
        data: Buffer.from('x'),
      }).finish(),
    ];
    const mutated = fc
      .tuple(fc.constantFrom(...seeds), fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 4 }), fc.nat())
      .map(([seed, changes, cut]) => {
        const bytes = Buffer.from(seed);
        for (const [at, value] of changes) bytes[at % bytes.length] = value;
        return bytes.subarray(0, cut % 4 === 0 ? cut % bytes.length : bytes.length);
      });
    const body = fc.oneof(
      fc.uint8Array({ maxLength: 60 }).map((bytes) => Buffer.from(bytes)),
      mutated,
    );
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...unaryCalls, ...streamCalls, byteStream('Write')),
        body,
        async (path, bytes) => {
          const options = { deadlineMs: 5000 };
          const call = streamCalls.includes(path)
            ? channel.serverStream(path, bytes, { ...options, onMessage: () => undefined })
            : path.endsWith('/Write')
              ? channel.clientStream(path, [bytes, bytes], options)
              : channel.unary(path, bytes, options);
          assert.notEqual(await codeOf(call), grpcCode.DEADLINE_EXCEEDED);
        },
      ),
      { numRuns: 400 },
    );
    assert.deepEqual(await client.findMissing([sample.digest]), []);
  }));
