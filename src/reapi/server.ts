// The server side of gRPC, on @grpc/grpc-js: any client of the Remote Execution API may call, so the reference
// implementation answers. Handlers are plain async functions over decoded messages; what they throw becomes the status.
//
// It is given connections that doors.ts has let in, and never listens itself.
//
// grpc-js fixes a server's receive window at 64 KB for a whole connection: at 20 ms round trip a hundred uploads of 40 KB
// then take 3.3 s instead of 0.1. It has no option for it, so the HTTP/2 server that it makes is told so here; a test
// holds the methods that this relies on, and that a call knows its session, by which it is told who makes it.
import grpc from '@grpc/grpc-js';
import type { Http2Server, ServerHttp2Session } from 'node:http2';
import type { Socket } from 'node:net';
import { openDoors, type DoorKeeper, type Listener } from './doors.ts';
import { GrpcError, grpcCode, statusOf } from './errors.ts';
import { Status } from './gen/rpc.ts';
import type { Peer } from '../trust/peer.ts';
import { maxMessageBytes } from './grpc-framing.ts';

export type Codec<T> = {
  readonly encode: (message: T) => { readonly finish: () => Uint8Array };
  readonly decode: (bytes: Uint8Array) => T;
};

export type CallContext = {
  readonly header: (name: string) => string | undefined;
  readonly peer: Peer;
  /** Aborted when the client has gone, or the call was cancelled or ran out of time. */
  readonly signal: AbortSignal;
};

export type Handler =
  | {
      readonly kind: 'unary';
      readonly path: string;
      readonly definition: grpc.MethodDefinition<unknown, unknown>;
      readonly handle: grpc.handleUnaryCall<unknown, unknown>;
    }
  | {
      readonly kind: 'server-stream';
      readonly path: string;
      readonly definition: grpc.MethodDefinition<unknown, unknown>;
      readonly handle: grpc.handleServerStreamingCall<unknown, unknown>;
    }
  | {
      readonly kind: 'client-stream';
      readonly path: string;
      readonly definition: grpc.MethodDefinition<unknown, unknown>;
      readonly handle: grpc.handleClientStreamingCall<unknown, unknown>;
    }
  | {
      readonly kind: 'both-stream';
      readonly path: string;
      readonly definition: grpc.MethodDefinition<unknown, unknown>;
      readonly handle: grpc.handleBidiStreamingCall<unknown, unknown>;
    };

export type Serving = {
  /** The port of each TCP listener, in order. */
  readonly ports: readonly number[];
  /** Takes no new calls and resolves when those in flight have ended. */
  readonly drain: () => Promise<void>;
  readonly stop: () => void;
  /** Ends the connections of those peers, with all that is under way there. */
  readonly expel: (isMeant: (peer: Peer) => boolean) => void;
};

const windowBytes = 16 * 1024 * 1024;
const maxStreams = 2000;
/** Of one message. A batch has 4 MiB by the announced limit; streams come in smaller pieces. */
export const maxReceiveBytes = 8 * 1024 * 1024;
// A client that vanished without a word is noticed by this.
const keepaliveMs = 30_000;
const keepalivePatienceMs = 10_000;
// A client keeps its connection for a build, and five minutes beyond its last compile.
const idleMs = 10 * 60_000;
// One reason for all: making one at each abort costs 0.1 ms.
const clientGone = new GrpcError(grpcCode.CANCELLED, 'the client has gone');

type Spec<Request, Response> = {
  readonly path: string;
  readonly request: Codec<Request>;
  readonly response: Codec<Response>;
};

function definitionOf<Request, Response>(
  spec: Spec<Request, Response>,
  streams: { request: boolean; response: boolean },
) {
  return {
    path: spec.path,
    requestStream: streams.request,
    responseStream: streams.response,
    requestSerialize: (message: unknown) => Buffer.from(spec.request.encode(message as Request).finish()),
    requestDeserialize: (bytes: Buffer) => spec.request.decode(bytes),
    responseSerialize: (message: unknown) => {
      const bytes = spec.response.encode(message as Response).finish();
      return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    },
    responseDeserialize: (bytes: Buffer) => spec.response.decode(bytes),
  } satisfies grpc.MethodDefinition<unknown, unknown>;
}

type AnyCall = Pick<grpc.ServerUnaryCall<unknown, unknown>, 'metadata'> & {
  on: (event: 'cancelled', listener: () => void) => unknown;
};

type CallInSession = { readonly call?: { readonly stream?: { readonly session?: ServerHttp2Session } } };

/** By session: reading a certificate for every call would cost more than the call. */
const peers = new WeakMap<ServerHttp2Session, Peer>();

/** @throws GrpcError if the connection has ended. */
function peerOf(call: object): Peer {
  const session = (call as CallInSession).call?.stream?.session;
  const peer = session === undefined ? undefined : peers.get(session);
  if (peer === undefined) throw clientGone;
  return peer;
}

function contextOf(call: AnyCall): CallContext {
  const abort = new AbortController();
  call.on('cancelled', () => abort.abort(clientGone));
  return {
    header: (name) => {
      const [value] = call.metadata.get(name);
      return typeof value === 'string' ? value : undefined;
    },
    peer: peerOf(call),
    signal: abort.signal,
  };
}

function serviceError(error: unknown): grpc.ServiceError {
  const status = statusOf(error);
  const metadata = new grpc.Metadata();
  const code: grpc.status = status.code;
  if (status.details.length > 0) {
    metadata.set('grpc-status-details-bin', Buffer.from(Status.encode(status).finish()));
  }
  return Object.assign(new Error(status.message), { code, details: status.message, metadata });
}

export function unary<Request, Response>(
  spec: Spec<Request, Response>,
  answer: (request: Request, context: CallContext) => Promise<Response> | Response,
): Handler {
  const handle: grpc.handleUnaryCall<unknown, unknown> = (call, callback) => {
    const run = async (): Promise<Response> => answer(call.request as Request, contextOf(call));
    run().then(
      (response) => callback(null, response),
      (error: unknown) => callback(serviceError(error)),
    );
  };
  return {
    kind: 'unary',
    path: spec.path,
    definition: definitionOf(spec, { request: false, response: false }),
    handle,
  };
}

export type Send<Response> = (message: Response) => Promise<void>;

type Answering = grpc.ServerWritableStream<unknown, unknown> | grpc.ServerDuplexStream<unknown, unknown>;

/** Writes to the call as fast as the client takes it. */
function senderTo(call: Answering, { signal }: CallContext): (message: unknown) => Promise<void> {
  return async (message) => {
    if (signal.aborted) throw clientGone;
    if (call.write(message)) return;
    await new Promise<void>((resolve) => {
      call.once('drain', resolve);
      signal.addEventListener('abort', () => resolve(), { once: true });
    });
  };
}

function endWith(call: Answering, answer: (context: CallContext) => Promise<void>): void {
  const run = async (): Promise<void> => answer(contextOf(call));
  run().then(
    () => call.end(),
    (error: unknown) => call.emit('error', serviceError(error)),
  );
}

export function serverStream<Request, Response>(
  spec: Spec<Request, Response>,
  answer: (request: Request, context: CallContext, send: Send<Response>) => Promise<void>,
): Handler {
  const handle: grpc.handleServerStreamingCall<unknown, unknown> = (call) => {
    endWith(call, (context) => answer(call.request as Request, context, senderTo(call, context)));
  };
  return {
    kind: 'server-stream',
    path: spec.path,
    definition: definitionOf(spec, { request: false, response: true }),
    handle,
  };
}

export function clientStream<Request, Response>(
  spec: Spec<Request, Response>,
  answer: (requests: AsyncIterable<Request>, context: CallContext) => Promise<Response>,
): Handler {
  const handle: grpc.handleClientStreamingCall<unknown, unknown> = (call, callback) => {
    const context = contextOf(call);
    answer(call as AsyncIterable<unknown> as AsyncIterable<Request>, context).then(
      (response) => {
        callback(null, response);
        // An answer before the end of the stream (the blob is there already) leaves the rest unread.
        call.resume();
      },
      (error: unknown) => {
        callback(serviceError(error));
        call.resume();
      },
    );
  };
  return {
    kind: 'client-stream',
    path: spec.path,
    definition: definitionOf(spec, { request: true, response: false }),
    handle,
  };
}

/** As `serverStream`, but the handler runs when the call begins, not when its request is there. */
export function bothStream<Request, Response>(
  spec: Spec<Request, Response>,
  answer: (requests: AsyncIterable<Request>, context: CallContext, send: Send<Response>) => Promise<void>,
): Handler {
  const handle: grpc.handleBidiStreamingCall<unknown, unknown> = (call) => {
    endWith(call, (context) =>
      answer(call as AsyncIterable<unknown> as AsyncIterable<Request>, context, senderTo(call, context)),
    );
  };
  return {
    kind: 'both-stream',
    path: spec.path,
    definition: definitionOf(spec, { request: true, response: true }),
    handle,
  };
}

type Http2Factory = { createHttp2Server: (credentials: grpc.ServerCredentials) => Http2Server };

type Inside = {
  readonly enter: (socket: Socket, peer: Peer) => void;
  readonly sessions: ReadonlyMap<ServerHttp2Session, Peer>;
};

/** The HTTP/2 server behind the gRPC server, with wider windows; it is given each connection with whose it is. */
function insideOf(server: grpc.Server): Inside {
  const factory = server as unknown as Http2Factory;
  const make = factory.createHttp2Server.bind(server);
  const sessions = new Map<ServerHttp2Session, Peer>();
  let entering: Peer | undefined;
  factory.createHttp2Server = (credentials) => {
    const http2Server = make(credentials);
    http2Server.updateSettings({ initialWindowSize: windowBytes, maxConcurrentStreams: maxStreams });
    http2Server.on('session', (session: ServerHttp2Session) => {
      session.setLocalWindowSize(windowBytes);
      if (entering === undefined) return;
      peers.set(session, entering);
      sessions.set(session, entering);
      session.once('close', () => sessions.delete(session));
    });
    return http2Server;
  };
  const injector = server.createConnectionInjector(grpc.ServerCredentials.createInsecure());
  const enter = (socket: Socket, peer: Peer): void => {
    // The session is made, and told of, before this returns.
    entering = peer;
    injector.injectConnection(socket);
    entering = undefined;
  };
  return { enter, sessions };
}

const openHouse: DoorKeeper = { tls: () => 'plain', refused: () => undefined };

/**
 * Serves the handlers on every listener; TCP listeners speak TLS where the keeper says so.
 * @throws if one cannot be bound; then none is.
 */
export async function serve(
  handlers: readonly Handler[],
  listeners: readonly Listener[],
  keeper: DoorKeeper = openHouse,
): Promise<Serving> {
  const server = new grpc.Server({
    'grpc.max_receive_message_length': maxReceiveBytes,
    'grpc.max_send_message_length': maxMessageBytes,
    'grpc.max_concurrent_streams': maxStreams,
    'grpc.keepalive_time_ms': keepaliveMs,
    'grpc.keepalive_timeout_ms': keepalivePatienceMs,
    'grpc.max_connection_idle_ms': idleMs,
  });
  const inside = insideOf(server);
  const definitions = Object.fromEntries(handlers.map(({ path, definition }) => [path, definition]));
  const implementations = Object.fromEntries(handlers.map(({ path, handle }) => [path, handle]));
  server.addService(definitions, implementations);
  const doors = await openDoors(listeners, keeper, inside.enter).catch((error: unknown) => {
    server.forceShutdown();
    throw error;
  });
  return {
    ports: doors.ports,
    drain: () => {
      doors.close();
      return new Promise((resolve) => server.tryShutdown(() => resolve()));
    },
    stop: () => {
      doors.close();
      server.forceShutdown();
    },
    expel: (isMeant) => {
      for (const [session, peer] of inside.sessions) if (isMeant(peer)) session.destroy();
    },
  };
}
