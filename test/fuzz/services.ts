// A whole worker, and a client that sends it anything: the first byte says to which method, the others are the message.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { GrpcError, grpcCode } from '../../src/reapi/errors.ts';
import { QueryWriteStatusRequest, ReadRequest, WriteRequest } from '../../src/reapi/gen/bytestream.ts';
import {
  BatchReadBlobsRequest,
  BatchUpdateBlobsRequest,
  DigestFunction_Value,
  ExecuteRequest,
  FindMissingBlobsRequest,
  GetActionResultRequest,
  GetCapabilitiesRequest,
  GetTreeRequest,
} from '../../src/reapi/gen/remote_execution.ts';
import { ExecuteRequest as ShoalExecuteRequest } from '../../src/reapi/gen/shoal.ts';
import { openChannel } from '../../src/reapi/grpc-client.ts';
import { readName, writeName } from '../../src/reapi/resource-name.ts';
import { startWorker } from '../../src/worker/worker.ts';
import { actionBlobs, optionsIn } from '../worker/rig.ts';

export type Services = {
  readonly seeds: readonly Buffer[];
  readonly call: (input: Buffer) => Promise<void>;
  readonly close: () => Promise<void>;
};

const prefix = '/build.bazel.remote.execution.v2';
const deadlineMs = 20_000;
const digestFunction = DigestFunction_Value.SHA256;

type Method = { readonly path: string; readonly stream: boolean; readonly seed: Uint8Array };

function methods(): Method[] {
  const { digest, blobs } = actionBlobs({ argv: ['/bin/true'], tree: { a: 'b' } });
  const digests = blobs.map((blob) => blob.digest);
  const [blob] = blobs;
  assert.ok(blob !== undefined);
  const data = Buffer.from(blob.bytes);
  const instanceName = '';
  const execute = { ...ExecuteRequest.decode(Buffer.alloc(0)), actionDigest: digest, digestFunction };
  const inline = blobs.map((one) => ({ digest: one.digest, data: Buffer.from(one.bytes), compressor: 0 as const }));
  const name = writeName(blob.digest, 'identity', { uuid: 'u' });
  const of = (path: string, seed: { readonly finish: () => Uint8Array }, stream = false): Method => {
    return { path, stream, seed: seed.finish() };
  };
  const cas = `${prefix}.ContentAddressableStorage`;
  const rest = { instanceName, actionDigest: digest, inlineStdout: true, inlineStderr: true, inlineOutputFiles: ['a'] };
  return [
    of(`${prefix}.Capabilities/GetCapabilities`, GetCapabilitiesRequest.encode({ instanceName })),
    of(
      `${cas}/FindMissingBlobs`,
      FindMissingBlobsRequest.encode({ instanceName, blobDigests: digests, digestFunction }),
    ),
    of(`${cas}/BatchUpdateBlobs`, BatchUpdateBlobsRequest.encode({ instanceName, requests: inline, digestFunction })),
    of(
      `${cas}/BatchReadBlobs`,
      BatchReadBlobsRequest.encode({ instanceName, digests, acceptableCompressors: [1], digestFunction }),
    ),
    of(
      `${cas}/GetTree`,
      GetTreeRequest.encode({ instanceName, rootDigest: digests[1], pageSize: 1, pageToken: '1', digestFunction }),
      true,
    ),
    of(`${prefix}.ActionCache/GetActionResult`, GetActionResultRequest.encode({ ...rest, digestFunction })),
    of(`${prefix}.ActionCache/UpdateActionResult`, GetActionResultRequest.encode({ ...rest, digestFunction })),
    of(
      '/google.bytestream.ByteStream/Read',
      ReadRequest.encode({ resourceName: readName(blob.digest, 'zstd'), readOffset: 0, readLimit: 0 }),
      true,
    ),
    of(
      '/google.bytestream.ByteStream/Write',
      WriteRequest.encode({ resourceName: name, writeOffset: 0, finishWrite: true, data }),
    ),
    of('/google.bytestream.ByteStream/QueryWriteStatus', QueryWriteStatusRequest.encode({ resourceName: name })),
    of(`${prefix}.Execution/Execute`, ExecuteRequest.encode(execute), true),
    of('/shoal.v1.Execution/Execute', ShoalExecuteRequest.encode({ execute, blobs: inline, spliced: [] }), true),
    of('/shoal.v1.Toolchains/List', { finish: () => Buffer.alloc(0) }),
  ];
}

// What is the caller's own fault, or the way of things; a decoder that throws is INTERNAL in gRPC's own words.
const ends: ReadonlySet<number> = new Set([
  grpcCode.INVALID_ARGUMENT,
  grpcCode.NOT_FOUND,
  grpcCode.FAILED_PRECONDITION,
  grpcCode.PERMISSION_DENIED,
  grpcCode.OUT_OF_RANGE,
  grpcCode.RESOURCE_EXHAUSTED,
]);

export async function openServices(directory: string): Promise<Services> {
  const options = await optionsIn(directory, { slots: 1 });
  const worker = await startWorker({ ...options, stateDir: join(directory, 'state') });
  if (worker.kind === 'refused') throw new Error(worker.why);
  const channel = openChannel({ kind: 'unix', path: options.unixSocket ?? '' }, { connectTimeoutMs: 5000 });
  await channel.ready();
  const all = methods();
  const call: Services['call'] = async (input) => {
    const method = all[(input[0] ?? 0) % all.length];
    assert.ok(method !== undefined);
    const body = input.subarray(1);
    try {
      if (method.stream) await channel.serverStream(method.path, body, { deadlineMs, onMessage: () => undefined });
      else await channel.unary(method.path, body, { deadlineMs });
    } catch (error) {
      assert.ok(error instanceof GrpcError, String(error));
      const isDecoder =
        error.code === grpcCode.INTERNAL &&
        /Error deserializing request|invalid|index out of range|illegal/.test(error.message);
      assert.ok(ends.has(error.code) || isDecoder, `${method.path}: ${error.code} ${error.message}`);
    }
  };
  const close = async (): Promise<void> => {
    channel.close();
    await worker.stop();
  };
  return { seeds: all.map(({ seed }, at) => Buffer.concat([Buffer.from([at]), seed])), call, close };
}
