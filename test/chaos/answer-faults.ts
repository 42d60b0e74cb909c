// A worker that lies, seen from the client: an HTTP/2 relay in front of a real one, which rewrites its answers.
import { connect, createServer, type ClientHttp2Stream, type Http2Server, type ServerHttp2Stream } from 'node:http2';
import type { IncomingHttpHeaders } from 'node:http2';
import { digestKey, digestOf, type Digest } from '../../src/reapi/digest.ts';
import { grpcCode, missingBlobsError, statusOf } from '../../src/reapi/errors.ts';
import { inlineBlobsUrl } from '../../src/reapi/execute-call.ts';
import { Operation } from '../../src/reapi/gen/longrunning.ts';
import { Compressor_Value, ExecuteResponse, type ActionResult } from '../../src/reapi/gen/remote_execution.ts';
import { Status } from '../../src/reapi/gen/rpc.ts';
import { InlineBlobs } from '../../src/reapi/gen/shoal.ts';
import { frame, newDeframer } from '../../src/reapi/grpc-framing.ts';
import { decompress } from '../../src/reapi/zstd.ts';
import type { AnswerAction } from './fault.ts';

const responseUrl = 'type.googleapis.com/build.bazel.remote.execution.v2.ExecuteResponse';
// Field 1000, a varint: none of our messages has it.
const unknownField = Buffer.from([0xc0, 0x3e, 0x01]);

type Liar = { readonly action: AnswerAction; readonly strike: () => boolean };

/** A server that hands every call to the worker, and its answer on as the action says. */
export function lyingServer(worker: { readonly host: string; readonly port: number }, liar: Liar): Http2Server {
  const server = createServer({ settings: { initialWindowSize: 16 << 20 } });
  server.on('session', (session) => {
    const upstream = connect(`http://${worker.host}:${worker.port}`);
    upstream.on('error', () => session.destroy());
    upstream.on('close', () => session.destroy());
    session.on('close', () => upstream.destroy());
    session.on('error', () => undefined);
    session.on('stream', (stream, headers) => {
      stream.on('error', () => undefined);
      const path = headers[':path'] ?? '';
      const refusal = refusalFor(path, liar);
      if (refusal === undefined) relay(stream, upstream.request(plain(headers), { endStream: false }), { path, liar });
      else answerWith(stream, refusal);
    });
  });
  return server;
}

const isExecute = (path: string): boolean => path.endsWith('Execution/Execute');

type Refusal = { readonly code: number; readonly details?: string };

function refusalFor(path: string, { action, strike }: Liar): Refusal | undefined {
  if (action === 'older') {
    return path.startsWith('/shoal.v1.Execution/') && strike() ? { code: grpcCode.UNIMPLEMENTED } : undefined;
  }
  if (!isExecute(path)) return undefined;
  if (typeof action === 'object') return strike() ? { code: action.status } : undefined;
  if (action === 'always missing blobs' && strike()) {
    const { code, message, details } = statusOf(missingBlobsError([digestOf(Buffer.from('nobody has this'))]));
    return { code, details: Buffer.from(Status.encode({ code, message, details }).finish()).toString('base64') };
  }
  return undefined;
}

function answerWith(stream: ServerHttp2Stream, { code, details }: Refusal): void {
  stream.resume();
  stream.respond(
    {
      ':status': 200,
      'content-type': 'application/grpc',
      'grpc-status': String(code),
      'grpc-message': 'because the test says so',
      ...(details === undefined ? {} : { 'grpc-status-details-bin': details }),
    },
    { endStream: true },
  );
}

function plain(headers: IncomingHttpHeaders): Record<string, string> {
  const kept = Object.entries(headers).filter(([name]) => name !== 'host');
  return Object.fromEntries(kept.map(([name, value]) => [name, String(value)]));
}

type Relayed = { readonly path: string; readonly liar: Liar };

function relay(stream: ServerHttp2Stream, upstream: ClientHttp2Stream, { path, liar }: Relayed): void {
  const requests = newDeframer();
  stream.on('data', (chunk: Buffer) => {
    for (const message of requests.push(chunk)) upstream.write(frame(withMore(message, liar)));
  });
  stream.on('end', () => upstream.end());
  stream.on('close', () => upstream.close());
  const answers = newDeframer();
  let trailers: Record<string, string> = {};
  upstream.on('error', () => stream.destroy());
  upstream.on('response', (headers) => {
    const names = { ':status': 200, 'content-type': 'application/grpc' };
    if (headers['grpc-status'] === undefined) stream.respond(names, { waitForTrailers: true });
    else stream.respond({ ...names, ...plain(headers) }, { endStream: true });
  });
  stream.on('wantTrailers', () => stream.sendTrailers(trailers));
  upstream.on('trailers', (headers) => (trailers = plain(headers)));
  upstream.on('data', (chunk: Buffer) => {
    for (const message of answers.push(chunk)) {
      const altered = isExecute(path) ? alteredOperation(message, liar) : withMore(message, liar);
      if (altered !== undefined) stream.write(frame(altered));
    }
  });
  upstream.on('end', () => (stream.destroyed ? undefined : stream.end()));
}

function withMore(message: Buffer, { action, strike }: Liar): Buffer {
  if (action !== 'newer') return message;
  strike();
  return Buffer.concat([message, unknownField]);
}

function alteredOperation(message: Buffer, liar: Liar): Buffer | undefined {
  const { action, strike } = liar;
  if (action === 'newer') return withMore(message, liar);
  const operation = Operation.decode(message);
  if (!operation.done || typeof action === 'object' || !strike()) return message;
  if (action === 'garbage') return Buffer.from('ff'.repeat(40), 'hex');
  if (action === 'no message') return undefined;
  const response = ExecuteResponse.decode(operation.response?.value ?? Buffer.alloc(0));
  const { result } = response;
  if (result === undefined) return message;
  const altered = action === 'no result' ? undefined : alteredResult(result, action);
  const value = Buffer.from(ExecuteResponse.encode({ ...response, result: altered }).finish());
  return Buffer.from(Operation.encode({ ...operation, response: { typeUrl: responseUrl, value } }).finish());
}

const killed = 'gcc: fatal error: Killed signal terminated program cc1\ncompilation terminated.\n';
const full = 'x.s: Fatal error: cannot write to output file: No space left on device\n';
const broken = 'x.c:1:1: internal compiler error: Segmentation fault\n';

function alteredResult(result: ActionResult, action: AnswerAction): ActionResult {
  switch (action) {
    case 'object of another machine':
      return withObject(result, (object) =>
        Buffer.concat([object.subarray(0, 18), Buffer.from([183]), object.subarray(19)]),
      );
    case 'object of other code':
      return withObject(result, withOtherCode);
    case 'object cut short':
      return withObject(result, (object) => object.subarray(0, object.length - 1));
    case 'empty object':
      return withObject(result, () => Buffer.alloc(0));
    case 'bytes of another digest':
      return withObject(result, (object) => Buffer.concat([object, object]), { keepDigest: true });
    case 'no object':
      return { ...result, outputFiles: result.outputFiles.filter(({ path }) => !path.endsWith('.o')) };
    case 'no dependency file':
      return { ...result, outputFiles: result.outputFiles.filter(({ path }) => !path.endsWith('.d')) };
    case 'files beside those asked for': {
      const more = result.outputFiles.map((file) => ({ ...file, path: `../../../../root/${file.path}` }));
      return { ...result, outputFiles: [...more, ...result.outputFiles, ...more] };
    }
    case 'status out of range':
      return { ...result, exitCode: 300 };
    case 'compiler killed':
      return failing(result, killed);
    case 'disk full':
      return failing(result, full);
    case 'internal compiler error':
      return failing(result, broken);
    default:
      return result;
  }
}

// ret, the last instruction of a function on x86: an object that every check of its form lets through.
const lastOfCode = Buffer.from([0xc3]);

function withOtherCode(object: Buffer): Buffer {
  const at = object.indexOf(lastOfCode);
  const altered = Buffer.from(object);
  altered[at] = 0xcb;
  return altered;
}

function failing(result: ActionResult, words: string): ActionResult {
  return { ...result, exitCode: 1, outputFiles: [], stderrRaw: Buffer.from(words), stderrDigest: undefined };
}

type Inlined = { readonly digest: Digest; readonly data: Buffer; readonly compressor: Compressor_Value };

/** With another object, under its own digest unless the old one is to be kept. */
function withObject(
  result: ActionResult,
  alter: (object: Buffer) => Buffer,
  { keepDigest = false }: { readonly keepDigest?: boolean } = {},
): ActionResult {
  const metadata = result.executionMetadata;
  const file = result.outputFiles.find(({ path }) => path.endsWith('.o'));
  const old = file?.digest;
  if (metadata === undefined || old === undefined) return result;
  let digest = old;
  const auxiliaryMetadata = metadata.auxiliaryMetadata.map((extra) => {
    if (extra.typeUrl !== inlineBlobsUrl) return extra;
    const blobs = InlineBlobs.decode(extra.value).blobs.map((blob) => {
      if (blob.digest === undefined || digestKey(blob.digest) !== digestKey(old)) return blob;
      const zstd = blob.compressor === Compressor_Value.ZSTD;
      const bytes = alter(zstd ? decompress(blob.data, old.sizeBytes) : blob.data);
      if (!keepDigest) digest = digestOf(bytes);
      return { digest, data: bytes, compressor: Compressor_Value.IDENTITY } satisfies Inlined;
    });
    return { typeUrl: inlineBlobsUrl, value: Buffer.from(InlineBlobs.encode({ blobs }).finish()) };
  });
  const outputFiles = result.outputFiles.map((one) => (one === file ? { ...one, digest } : one));
  return { ...result, outputFiles, executionMetadata: { ...metadata, auxiliaryMetadata } };
}
