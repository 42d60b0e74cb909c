// A gRPC client on node:http2: unary, server-streaming and client-streaming calls over one connection.
//
// The daemon starts with every build and makes two calls a compile, so both the load and the call have to be cheap:
// @grpc/grpc-js costs 60 ms of CPU to load, node:http2 10. Every call ends: by its status, its deadline, its signal, or
// the loss of the connection, which pings notice while calls are in flight (liveness.ts).
import http2, { type ClientHttp2Session, type ClientHttp2Stream, type IncomingHttpHeaders } from 'node:http2';
import { connectFailure } from '../connect-failure.ts';
import { GrpcError, grpcCode } from './errors.ts';
import { Status } from './gen/rpc.ts';
import { frame, newDeframer } from './grpc-framing.ts';
import { newLiveness } from './liveness.ts';
import { openWire, type Target, type Wire } from './wire.ts';

export type { Target } from './wire.ts';

export type CallOptions = {
  readonly deadlineMs: number;
  readonly signal?: AbortSignal;
  readonly headers?: Readonly<Record<string, string>>;
};

export type Channel = {
  readonly ready: () => Promise<void>;
  readonly unary: (path: string, request: Uint8Array, options: CallOptions) => Promise<Buffer>;
  /** Resolves when the stream has ended with status OK; messages go to `onMessage` as they come. */
  readonly serverStream: (
    path: string,
    request: Uint8Array,
    options: CallOptions & { readonly onMessage: (message: Buffer) => void },
  ) => Promise<void>;
  /** Sends the messages in order, as fast as the peer takes them. */
  readonly clientStream: (path: string, requests: Iterable<Uint8Array>, options: CallOptions) => Promise<Buffer>;
  /**
   * Pings the peer every few seconds while calls are open. Only for one that is known to bear it: other servers take
   * that for abuse, and hang up.
   */
  readonly watchClosely: () => void;
  readonly onClose: (listener: (error: GrpcError) => void) => void;
  readonly bytes: () => { readonly sent: number; readonly received: number };
  readonly close: () => void;
  /** Takes no new calls, and closes when those under way have ended. */
  readonly closeWhenIdle: () => void;
};

// The connection's and each stream's receive window. With the default of 64 KB a download would crawl at 20 ms.
const windowBytes = 16 * 1024 * 1024;
// A box that lost its power or its network is found out by the kernel, also where the peer does not like pings.
const tcpKeepaliveMs = 10_000;

const unavailable = (message: string): GrpcError => new GrpcError(grpcCode.UNAVAILABLE, message);

export function openChannel(target: Target, { connectTimeoutMs }: { readonly connectTimeoutMs: number }): Channel {
  const wire = openWire(target);
  const { scheme, authority } = wire;
  const session = http2.connect(`${scheme}://${authority}`, {
    createConnection: () => wire.stream,
    settings: { enablePush: false, initialWindowSize: windowBytes },
  });
  session.unref();
  const listeners: ((error: GrpcError) => void)[] = [];
  const life = watch(session, wire, {
    connectTimeoutMs,
    onClosed: (error) => listeners.forEach((tell) => tell(error)),
  });
  const call = (path: string, options: CallOptions): Call =>
    startCall(session, life, { path, scheme, authority, options });
  return {
    ready: () => life.ready,
    unary: async (path, request, options) => {
      const { stream, messages } = call(path, options);
      stream.end(frame(request));
      return onlyMessage(await messages);
    },
    serverStream: async (path, request, options) => {
      const { stream, messages } = call(path, options);
      stream.end(frame(request));
      await messages;
    },
    clientStream: async (path, requests, options) => {
      const { stream, messages } = call(path, options);
      const answered = messages.then(onlyMessage);
      answered.catch(() => undefined);
      for (const request of requests) {
        if (stream.destroyed || stream.writableEnded) break;
        if (!stream.write(frame(request))) await Promise.race([drained(stream), answered.catch(() => undefined)]);
      }
      stream.end();
      return answered;
    },
    watchClosely: life.watchClosely,
    onClose: (listener) => void listeners.push(listener),
    bytes: wire.bytes,
    close: () => life.end(unavailable('the connection was closed')),
    closeWhenIdle: life.leave,
  };
}

function drained(stream: ClientHttp2Stream): Promise<void> {
  return new Promise((resolve) => {
    const go = (): void => {
      stream.off('drain', go);
      stream.off('close', go);
      resolve();
    };
    stream.on('drain', go);
    stream.on('close', go);
  });
}

function onlyMessage(messages: readonly Buffer[]): Buffer {
  const [message] = messages;
  if (message === undefined) throw new GrpcError(grpcCode.DATA_LOSS, 'the answer holds no message');
  return message;
}

type Life = {
  readonly ready: Promise<void>;
  readonly end: (error: GrpcError) => void;
  readonly lost: () => GrpcError | undefined;
  /** No new calls; the end comes after the last of those under way. */
  readonly leave: () => void;
  readonly calls: Set<(error: GrpcError) => void>;
  /** A call has ended. */
  readonly over: (call: (error: GrpcError) => void) => void;
  /** A call began. */
  readonly busy: () => void;
  readonly watchClosely: () => void;
};

type Watching = { readonly connectTimeoutMs: number; readonly onClosed: (error: GrpcError) => void };

function watch(session: ClientHttp2Session, wire: Wire, { connectTimeoutMs, onClosed }: Watching): Life {
  const calls = new Set<(error: GrpcError) => void>();
  const liveness = newLiveness({
    isBusy: () => calls.size > 0,
    ping: (onAnswer) => {
      if (!session.destroyed) session.ping((error) => (error === null ? onAnswer() : undefined));
    },
    bytes: wire.bytes,
    onDead: (silentMs) => end(unavailable(`the host has been silent for ${silentMs / 1000} s`)),
  });
  let lost: GrpcError | undefined;
  let leaving: GrpcError | undefined;
  let hasSpoken = false;
  let settle: { resolve: () => void; reject: (error: GrpcError) => void } | undefined;
  const ready = new Promise<void>((resolve, reject) => (settle = { resolve, reject }));
  ready.catch(() => undefined);
  const end = (error: GrpcError): void => {
    if (lost !== undefined) return;
    lost = error;
    clearTimeout(patience);
    liveness.stop();
    settle?.reject(error);
    for (const fail of calls) fail(error);
    session.destroy();
    wire.destroy();
    onClosed(error);
  };
  /** An end that nobody asked for; what came before the peer's first word says more. */
  const broke = (error: NodeJS.ErrnoException | undefined, text: string): void =>
    end(unavailable((hasSpoken ? undefined : wire.explain(error)) ?? (error && connectFailure(error)) ?? text));
  wire.keepAlive(tcpKeepaliveMs);
  wire.onFault((why) => end(unavailable(why)));
  const patience = setTimeout(() => end(unavailable(`no answer within ${connectTimeoutMs} ms`)), connectTimeoutMs);
  session.on('error', (error) => broke(error, ''));
  // A host that goes in order lets its calls end; the session closes by itself after the last.
  session.on('goaway', (code: number) => {
    leaving = unavailable('the host is closing its connections');
    if (code !== http2.constants.NGHTTP2_NO_ERROR) end(leaving);
  });
  session.on('close', () => broke(undefined, 'the connection was closed by the host'));
  wire.stream.on('error', (error) => broke(error, ''));
  // The peer's settings are its first word: what listens but does not speak HTTP/2 never gets here.
  session.once('remoteSettings', () => {
    clearTimeout(patience);
    hasSpoken = true;
    session.setLocalWindowSize(windowBytes);
    settle?.resolve();
  });
  let isClose = false;
  const watchClosely = (): void => {
    isClose = true;
    if (calls.size > 0) liveness.busy();
  };
  const busy = (): void => {
    if (isClose && lost === undefined) liveness.busy();
  };
  let endsWhenIdle = false;
  const leave = (): void => {
    leaving ??= unavailable('the connection is about to be closed');
    endsWhenIdle = true;
    if (calls.size === 0) end(leaving);
  };
  const over = (call: (error: GrpcError) => void): void => {
    calls.delete(call);
    if (endsWhenIdle && calls.size === 0 && leaving !== undefined) end(leaving);
  };
  return { ready, leave, over, end, lost: () => lost ?? leaving, calls, busy, watchClosely };
}

type CallRequest = {
  readonly path: string;
  readonly scheme: string;
  readonly authority: string;
  readonly options: CallOptions & { readonly onMessage?: (message: Buffer) => void };
};

type Call = { readonly stream: ClientHttp2Stream; readonly messages: Promise<Buffer[]> };

function startCall(session: ClientHttp2Session, life: Life, { path, scheme, authority, options }: CallRequest): Call {
  const lost = life.lost();
  if (lost !== undefined) throw lost;
  options.signal?.throwIfAborted();
  const stream = session.request(
    {
      ':method': 'POST',
      ':scheme': scheme,
      ':authority': authority,
      ':path': path,
      te: 'trailers',
      'content-type': 'application/grpc',
      'grpc-timeout': `${Math.max(1, Math.ceil(options.deadlineMs))}m`,
      ...options.headers,
    },
    { endStream: false },
  );
  const messages = new Promise<Buffer[]>((resolve, reject) => {
    const held: Buffer[] = [];
    const deframer = newDeframer();
    let status: GrpcError | undefined | 'none' = 'none';
    const finish = (error: GrpcError | undefined): void => {
      clearTimeout(deadline);
      options.signal?.removeEventListener('abort', abort);
      life.over(fail);
      if (error === undefined) resolve(held);
      else reject(error);
    };
    const fail = (error: GrpcError): void => {
      finish(error);
      stream.close(http2.constants.NGHTTP2_CANCEL);
    };
    const abort = (): void => fail(new GrpcError(grpcCode.CANCELLED, 'the call was cancelled'));
    const late = (): void => fail(new GrpcError(grpcCode.DEADLINE_EXCEEDED, `no end within ${options.deadlineMs} ms`));
    const deadline = setTimeout(late, options.deadlineMs);
    life.calls.add(fail);
    life.busy();
    options.signal?.addEventListener('abort', abort, { once: true });
    stream.on('response', (headers) => {
      status = statusIn(headers);
    });
    stream.on('trailers', (headers) => {
      status = statusIn(headers);
    });
    stream.on('data', (chunk: Buffer) => {
      try {
        for (const message of deframer.push(chunk)) {
          if (options.onMessage === undefined) held.push(message);
          else options.onMessage(message);
        }
      } catch (error) {
        fail(new GrpcError(grpcCode.DATA_LOSS, `malformed answer: ${(error as Error).message}`));
      }
    });
    stream.on('error', (error) => finish(unavailable(error.message)));
    stream.on('close', () => {
      // With a connection that ends its calls end first; what ended it is known in the next turn, and says more.
      if (status === 'none')
        setImmediate(() => finish(life.lost() ?? unavailable('the host ended the call without a status')));
      else
        finish(
          status ?? (deframer.isEmpty() ? undefined : new GrpcError(grpcCode.DATA_LOSS, 'a message is cut short')),
        );
    });
  });
  messages.catch(() => undefined);
  return { stream, messages };
}

/** The status in headers or trailers: an error, undefined for OK, 'none' where there is none. */
function statusIn(headers: IncomingHttpHeaders): GrpcError | undefined | 'none' {
  const http = Number(headers[':status'] ?? 200);
  const code = headers['grpc-status'];
  if (code === undefined) {
    return http === 200 ? 'none' : unavailable(`the host answered with HTTP status ${http}`);
  }
  if (code === '0') return undefined;
  const message = decodeMessage(String(headers['grpc-message'] ?? ''));
  return new GrpcError(Number(code) || grpcCode.UNKNOWN, message, detailsIn(headers['grpc-status-details-bin']));
}

function decodeMessage(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function detailsIn(header: string | string[] | undefined): Status['details'] {
  if (typeof header !== 'string') return [];
  try {
    return Status.decode(Buffer.from(header, 'base64')).details;
  } catch {
    return [];
  }
}
