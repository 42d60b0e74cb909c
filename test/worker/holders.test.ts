// Two clients of one worker: this box's own user on the Unix socket, and a stranger on the port. Each sees of the store
// what it brought or was given, and nothing of the other's.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { digestKey, digestOf, type Digest } from '../../src/reapi/digest.ts';
import { connect, type ReapiClient } from '../../src/reapi/client.ts';
import { GrpcError, grpcCode } from '../../src/reapi/errors.ts';
import { baseOf } from '../../src/reapi/inline-inputs.ts';
import {
  ActionResult,
  BatchReadBlobsRequest,
  BatchReadBlobsResponse,
  DigestFunction_Value,
  Directory,
  ExecuteRequest,
  GetActionResultRequest,
  GetTreeRequest,
  GetTreeResponse,
} from '../../src/reapi/gen/remote_execution.ts';
import { ExecuteRequest as ShoalExecuteRequest, SplicedBlob } from '../../src/reapi/gen/shoal.ts';
import { openChannel, type Channel } from '../../src/reapi/grpc-client.ts';
import { startWorker } from '../../src/worker/worker.ts';
import { actionBlobs, blobOf, inDirectory, optionsIn, treeBlobs, type PreparedAction } from './rig.ts';

type Side = { readonly client: ReapiClient; readonly channel: Channel };
type Two = { readonly owner: Side; readonly other: Side };

const deadlineMs = 20_000;
const prefix = '/build.bazel.remote.execution.v2';
const digestFunction = DigestFunction_Value.SHA256;

async function withTwo(body: (two: Two) => Promise<void>, restarts: readonly ((two: Two) => Promise<void>)[] = []) {
  await inDirectory(async (directory) => {
    for (const each of [body, ...restarts]) {
      const options = await optionsIn(directory);
      const worker = await startWorker(options);
      if (worker.kind === 'refused') throw new Error(worker.why);
      const unix = { kind: 'unix', path: options.unixSocket ?? '' } as const;
      const [host = '', port = ''] = (worker.addresses[0] ?? '').split(':');
      const tcp = { kind: 'tcp', host, port: Number(port) } as const;
      const sideOf = (target: typeof unix | typeof tcp): Side => {
        const timeout = { connectTimeoutMs: 5000 };
        return { client: connect(target, timeout), channel: openChannel(target, timeout) };
      };
      const two = { owner: sideOf(unix), other: sideOf(tcp) };
      try {
        await two.owner.client.ready();
        await two.other.client.ready();
        await each(two);
      } finally {
        for (const { client, channel } of [two.owner, two.other]) {
          client.close();
          channel.close();
        }
        await worker.drain();
      }
    }
  });
}

const secret = blobOf('int secret = 42;\n');

const includesIt = (tree: Parameters<typeof treeBlobs>[0]): PreparedAction =>
  actionBlobs({ argv: ['/bin/cat', 'h.h'], tree, outputs: [] });

function without({ blobs }: PreparedAction, digest: Digest): PreparedAction['blobs'] {
  return blobs.filter((blob) => digestKey(blob.digest) !== digestKey(digest));
}

async function codeOf(call: Promise<unknown>): Promise<number> {
  return call.then(
    () => grpcCode.OK,
    (error: unknown) => (error instanceof GrpcError ? error.code : assert.fail(String(error))),
  );
}

async function batchRead({ channel }: Side, digests: readonly Digest[]): Promise<(number | undefined)[]> {
  const request = { instanceName: '', digests: [...digests], acceptableCompressors: [], digestFunction };
  const path = `${prefix}.ContentAddressableStorage/BatchReadBlobs`;
  const answer = await channel.unary(path, BatchReadBlobsRequest.encode(request).finish(), { deadlineMs });
  return BatchReadBlobsResponse.decode(answer).responses.map(({ status }) => status?.code);
}

async function treeOf({ channel }: Side, rootDigest: Digest): Promise<Directory[]> {
  const request = GetTreeRequest.encode({ instanceName: '', rootDigest, pageSize: 0, pageToken: '', digestFunction });
  const found: Directory[] = [];
  const onMessage = (message: Buffer): void => void found.push(...GetTreeResponse.decode(message).directories);
  const path = `${prefix}.ContentAddressableStorage/GetTree`;
  await channel.serverStream(path, request.finish(), { deadlineMs, onMessage });
  return found;
}

function resultOf({ channel }: Side, actionDigest: Digest): Promise<Buffer> {
  const request = {
    instanceName: '',
    actionDigest,
    inlineStdout: false,
    inlineStderr: false,
    inlineOutputFiles: [],
    digestFunction,
  };
  const body = GetActionResultRequest.encode(request).finish();
  return channel.unary(`${prefix}.ActionCache/GetActionResult`, body, { deadlineMs });
}

function execute({ client }: Side, { digest }: PreparedAction, skipCacheLookup = false) {
  return client.execute({ actionDigest: digest, skipCacheLookup, inlineOutputs: [] }, { deadlineMs });
}

test('a blob of another client is missing, cannot be read, and is there once its bytes were sent', () =>
  withTwo(async ({ owner, other }) => {
    await owner.client.upload([secret]);
    assert.deepEqual(await owner.client.findMissing([secret.digest]), []);
    assert.deepEqual(await other.client.findMissing([secret.digest]), [secret.digest]);
    assert.equal(await codeOf(other.client.read(secret.digest)), grpcCode.NOT_FOUND);
    assert.deepEqual(await batchRead(other, [secret.digest]), [grpcCode.NOT_FOUND]);
    assert.deepEqual(await batchRead(owner, [secret.digest]), [grpcCode.OK]);
    await other.client.upload([secret]);
    assert.deepEqual(await other.client.findMissing([secret.digest]), []);
    assert.deepEqual(await other.client.read(secret.digest), secret.bytes);
  }));

test('a tree of one’s own that names another’s blob does not run, and the blob is asked for', () =>
  withTwo(async ({ owner, other }) => {
    const action = includesIt({ 'h.h': secret.bytes });
    await owner.client.upload(action.blobs);
    assert.equal((await execute(owner, action)).kind, 'done');
    // With everything but the secret, and with the Directory that names it, nothing is run.
    await other.client.upload(without(action, secret.digest));
    for (const skip of [false, true]) {
      assert.deepEqual(await execute(other, action, skip), { kind: 'missing', digests: [secret.digest] });
    }
    const deeper = includesIt({ 'h.h': 'own', 'deep/er/h.h': secret.bytes });
    await other.client.upload(without(deeper, secret.digest));
    assert.deepEqual(await execute(other, deeper), { kind: 'missing', digests: [secret.digest] });
    // Who sends it gets what was compiled already.
    await other.client.upload([secret]);
    const outcome = await execute(other, action);
    assert.ok(outcome.kind === 'done' && outcome.cached);
  }));

test('another’s Directories are not listed, nor those below a Directory of one’s own', () =>
  withTwo(async ({ owner, other }) => {
    const { root, blobs } = treeBlobs({ 'src/secret.c': secret.bytes });
    await owner.client.upload(blobs);
    assert.equal((await treeOf(owner, root)).length, 2);
    assert.equal(await codeOf(treeOf(other, root)), grpcCode.NOT_FOUND);
    const top = blobs.filter(({ digest }) => digestKey(digest) === digestKey(root));
    await other.client.upload(top);
    assert.equal((await treeOf(other, root)).length, 1);
  }));

test('a result is for who has all that it was made of, and its outputs for who got it', () =>
  withTwo(async ({ owner, other }) => {
    const action = actionBlobs({
      argv: ['/bin/sh', '-c', 'cat h.h h.h >out'],
      tree: { 'h.h': secret.bytes },
      outputs: ['out'],
    });
    const output = digestOf(Buffer.concat([secret.bytes, secret.bytes]));
    await owner.client.upload(action.blobs);
    assert.equal(await codeOf(owner.client.read(output)), grpcCode.NOT_FOUND);
    assert.equal((await execute(owner, action)).kind, 'done');
    assert.equal((await owner.client.read(output)).length, output.sizeBytes);
    assert.equal(ActionResult.decode(await resultOf(owner, action.digest)).outputFiles.length, 1);

    assert.equal(await codeOf(resultOf(other, action.digest)), grpcCode.NOT_FOUND);
    await other.client.upload(without(action, secret.digest));
    assert.equal(await codeOf(resultOf(other, action.digest)), grpcCode.NOT_FOUND);
    assert.equal(await codeOf(other.client.read(output)), grpcCode.NOT_FOUND);
    await other.client.upload([secret]);
    assert.equal(ActionResult.decode(await resultOf(other, action.digest)).outputFiles.length, 1);
    assert.equal((await other.client.read(output)).length, output.sizeBytes);
  }));

test('a splice on another’s blob gives nothing: its copy is not held for having been named', () =>
  withTwo(async ({ owner, other }) => {
    await owner.client.upload([secret]);
    const action = includesIt({ 'h.h': secret.bytes });
    await other.client.upload(without(action, secret.digest));
    const { hash, sizeBytes } = secret.digest;
    const whole: SplicedBlob = {
      baseHash: Buffer.from(hash, 'hex'),
      baseSize: sizeBytes,
      head: sizeBytes,
      middle: Buffer.alloc(0),
      tail: 0,
    };
    assert.deepEqual(baseOf(whole), [secret.digest]);
    const request = { ...ExecuteRequest.decode(Buffer.alloc(0)), actionDigest: action.digest, digestFunction };
    const body = ShoalExecuteRequest.encode({ execute: request, blobs: [], spliced: [whole] }).finish();
    const call = other.channel.serverStream('/shoal.v1.Execution/Execute', body, {
      deadlineMs,
      onMessage: () => undefined,
    });
    assert.equal(await codeOf(call), grpcCode.FAILED_PRECONDITION);
    assert.deepEqual(await other.client.findMissing([secret.digest]), [secret.digest]);
  }));

test('who holds what is known again after an orderly end of the worker', () =>
  withTwo(
    async ({ owner }) => owner.client.upload([secret]),
    [
      async ({ owner, other }) => {
        assert.deepEqual(await owner.client.findMissing([secret.digest]), []);
        assert.deepEqual(await other.client.findMissing([secret.digest]), [secret.digest]);
      },
    ],
  ));
