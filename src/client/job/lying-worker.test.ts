// What a worker can answer that is not what it was asked for. Whatever it is, the files that the launcher is given are those
// that the job names, at its places, with the bytes of their digests; or the host is to blame, or the compile runs here.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Host } from '../../farm/host.ts';
import { digestOf, sameDigest, type Digest } from '../../reapi/digest.ts';
import { executeCall, inlineBlobsUrl, type ExecuteOutcome } from '../../reapi/execute-call.ts';
import { GrpcError, grpcCode } from '../../reapi/errors.ts';
import { Operation } from '../../reapi/gen/longrunning.ts';
import { ActionResult, Compressor_Value, ExecuteResponse, type OutputFile } from '../../reapi/gen/remote_execution.ts';
import { InlineBlobs, type InlineBlobs_Blob } from '../../reapi/gen/shoal.ts';
import type { Channel } from '../../reapi/grpc-client.ts';
import { compress, zstdReady } from '../../reapi/zstd.ts';
import type { DoneOutcome } from '../attempt/end.ts';
import { completedFrom } from './outputs.ts';
import type { UnderstoodJob } from '../plan/understand.ts';

const dependencies = Buffer.from('a.o: a.c\n');
const digest = digestOf(dependencies);
const responseUrl = 'type.googleapis.com/build.bazel.remote.execution.v2.ExecuteResponse';
const host = { spec: { name: 'liar' } } as Host;

/** A job of one output, whose content tells little enough to be made up here. */
const job = {
  unit: { preprocessed: false },
  toolchain: { family: 'gcc' },
  request: { argv: [], compiler: 'gcc' },
  outputs: [{ kind: 'dependencies', path: 'a.d', target: '/work/a.d', how: 'replace' }],
} as unknown as UnderstoodJob;

const named = (path: string, of: Digest | undefined = digest): OutputFile => {
  return { path, digest: of, isExecutable: false, contents: Buffer.alloc(0), nodeProperties: undefined };
};
const honest = named('work/a.d');
const inline = (
  data: Buffer,
  of = digest,
  compressor: Compressor_Value = Compressor_Value.IDENTITY,
): InlineBlobs_Blob => {
  return { digest: of, data, compressor };
};

type Lie = {
  readonly result?: Partial<ActionResult>;
  readonly blobs?: readonly InlineBlobs_Blob[];
  readonly read?: Buffer;
};

/** What the client makes of the answer, read from its bytes as from a connection. */
async function told({ result = {}, blobs = [inline(dependencies)], read = dependencies }: Lie) {
  await zstdReady();
  const value = Buffer.from(InlineBlobs.encode({ blobs: [...blobs] }).finish());
  const metadata = { auxiliaryMetadata: [{ typeUrl: inlineBlobsUrl, value }] };
  const whole = {
    ...ActionResult.decode(Buffer.alloc(0)),
    outputFiles: [honest],
    executionMetadata: metadata as unknown as ActionResult['executionMetadata'],
    ...result,
  };
  const response = { ...ExecuteResponse.decode(Buffer.alloc(0)), result: whole };
  const outcome = await answered({
    typeUrl: responseUrl,
    value: Buffer.from(ExecuteResponse.encode(response).finish()),
  });
  if (outcome.kind !== 'done') return outcome;
  const client = {
    read: async (wanted: Digest) => {
      if (!sameDigest(digestOf(read), wanted)) throw new GrpcError(grpcCode.DATA_LOSS, 'not that blob');
      return Promise.resolve(read);
    },
  };
  return completedFrom(job, host, { ...outcome, client } as unknown as DoneOutcome);
}

function answered(response: Operation['response']): Promise<ExecuteOutcome> {
  const operation = { ...Operation.decode(Buffer.alloc(0)), name: 'operations/1', done: true, response };
  const channel = {
    serverStream: async (_path: string, _body: Uint8Array, { onMessage }: { onMessage: (message: Buffer) => void }) => {
      onMessage(Buffer.from(Operation.encode(operation).finish()));
      return Promise.resolve();
    },
  } as unknown as Channel;
  const request = { actionDigest: digest, skipCacheLookup: false, inlineOutputs: [] };
  return executeCall(channel, request, { deadlineMs: 1000 });
}

type Told = Awaited<ReturnType<typeof told>>;

const placesOf = (answer: Told): string[] =>
  answer.kind === 'completed' ? answer.completed.outputs.map(({ path }) => path) : [];

function isRefused(answer: Told): void {
  const refused = answer.kind === 'failed' ? answer.code === grpcCode.DATA_LOSS : answer.kind === 'host-fault';
  assert.ok(refused, JSON.stringify(answer));
}

test('the honest answer is taken', async () => {
  const answer = await told({});
  assert.ok(answer.kind === 'completed');
  assert.deepEqual(answer.completed.outputs, [{ path: '/work/a.d', how: 'replace', content: dependencies }]);
});

test('files at places that were not asked for are not looked at: absolute, above, beside, hidden, endless', async () => {
  const elsewhere = [
    '/work/a.d',
    '/etc/passwd',
    '../work/a.d',
    'work/../work/a.d',
    'work//a.d',
    './work/a.d',
    '../../../../root/.ssh/authorized_keys',
    'work/b.d',
    'work/a.d\0',
    '',
    'x'.repeat(100_000),
  ];
  const files = elsewhere.map((path) => named(path));
  assert.deepEqual(placesOf(await told({ result: { outputFiles: [...files, honest] } })), ['/work/a.d']);
  const alone = await told({ result: { outputFiles: files } });
  assert.deepEqual(alone.kind === 'here' ? alone.reason : alone, 'remote-compile-failed');
});

test('an output that is named twice is refused', async () => {
  isRefused(await told({ result: { outputFiles: [honest, honest] } }));
  isRefused(await told({ result: { outputFiles: [honest, named('work/a.d', digestOf(Buffer.from('other')))] } }));
});

test('a symbolic link or a directory in the place of a file is no output', async () => {
  const link = { path: 'work/a.d', target: '/etc/passwd', nodeProperties: undefined };
  for (const field of ['outputSymlinks', 'outputFileSymlinks', 'outputDirectorySymlinks'] as const) {
    const answer = await told({ result: { outputFiles: [], [field]: [link] } });
    assert.equal(answer.kind, 'here', field);
    assert.deepEqual(placesOf(await told({ result: { [field]: [link] } })), ['/work/a.d']);
  }
  const directory = { path: 'work', treeDigest: digest, isTopologicallySorted: false, rootDirectoryDigest: undefined };
  assert.equal((await told({ result: { outputFiles: [], outputDirectories: [directory] } })).kind, 'here');
});

test('bytes that are not their digest’s are never taken, inlined or read', async () => {
  const other = Buffer.from('b.o: b.c\n');
  // Those of the digest are then read from the worker's store.
  assert.deepEqual(placesOf(await told({ blobs: [inline(other)] })), ['/work/a.d']);
  isRefused(await told({ blobs: [inline(other)], read: other }));
  isRefused(await told({ blobs: [], read: other }));
  isRefused(await told({ blobs: [inline(compress(other), digest, Compressor_Value.ZSTD)], read: other }));
});

test('dependencies that make would do more with than read are not taken', async () => {
  for (const text of ['a.o: a.c $(shell id)\n', 'a.o: a.c\n\tid\n', 'a.o: a.c\nSHELL = /bin/id\n', 'a.o: a.c ; id\n']) {
    const bytes = Buffer.from(text);
    const of = digestOf(bytes);
    const answer = await told({ result: { outputFiles: [named('work/a.d', of)] }, blobs: [inline(bytes, of)] });
    assert.deepEqual(answer.kind === 'here' ? answer.reason : answer, 'remote-compile-failed', text);
  }
});

test('a digest that is none, or of a size that nothing has, is refused before anything is read', async () => {
  const wrong = [
    undefined,
    { hash: digest.hash, sizeBytes: -1 },
    { hash: digest.hash, sizeBytes: 2 ** 40 },
    { hash: '../../etc/passwd', sizeBytes: 9 },
    { hash: digest.hash.toUpperCase(), sizeBytes: digest.sizeBytes },
  ];
  for (const of of wrong) {
    const file = { ...honest, digest: of };
    isRefused(await told({ result: { outputFiles: [file] } }).catch(refusal));
  }
  isRefused(await told({ result: { outputFiles: [named('work/a.d', { ...digest, sizeBytes: 8 })] } }));
});

/** A digest that cannot even be encoded is as good as refused. */
const refusal = (): Told => ({ kind: 'failed', code: grpcCode.DATA_LOSS, message: '' });

test('a frame that unpacks to more than its digest says is refused, without the memory for it', async () => {
  await zstdReady();
  const bomb = compress(Buffer.alloc(200 << 20));
  assert.ok(bomb.length < 100_000);
  const before = process.memoryUsage().rss;
  for (let n = 0; n < 5; n += 1) {
    const answer = await told({ blobs: Array.from({ length: 20 }, () => inline(bomb, digest, Compressor_Value.ZSTD)) });
    assert.notEqual(answer.kind, 'completed');
  }
  assert.ok(process.memoryUsage().rss - before < 100 << 20);
  // One whose digest says so much is not unpacked at all: it is more than comes inlined.
  const honestly = digestOf(Buffer.alloc(200 << 20));
  isRefused(
    await told({
      result: { outputFiles: [named('work/a.d', honestly)] },
      blobs: [inline(bomb, honestly, Compressor_Value.ZSTD)],
    }),
  );
});

test('whatever the result says, only what was asked for is written, with the bytes of its digest', async () => {
  const path = fc.oneof(fc.constantFrom('work/a.d', '/work/a.d', '../a.d', 'work', ''), fc.string());
  const someDigest = fc.constantFrom(digest, digestOf(Buffer.from('other')), undefined);
  const file = fc.tuple(path, someDigest).map(([at, of]) => ({ ...named(at), digest: of }));
  await fc.assert(
    fc.asyncProperty(
      fc.array(file, { maxLength: 6 }),
      fc.integer({ min: -400, max: 400 }),
      fc.uint8Array({ maxLength: 200 }),
      async (outputFiles, exitCode, stderr) => {
        const answer = await told({ result: { outputFiles, exitCode, stderrRaw: Buffer.from(stderr) } });
        if (answer.kind !== 'completed') return;
        for (const { path: at, how, content } of answer.completed.outputs) {
          assert.equal(at, '/work/a.d');
          assert.ok(how === 'remove' || content.equals(dependencies));
        }
      },
    ),
    { numRuns: 300 },
  );
});

test('an answer of any bytes ends in an outcome', async () => {
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ maxLength: 300 }), async (bytes) => {
      const outcome = await answered({ typeUrl: responseUrl, value: Buffer.from(bytes) });
      assert.match(outcome.kind, /^(?:done|missing|failed)$/);
    }),
    { numRuns: 500 },
  );
});
