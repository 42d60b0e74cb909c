// One connection's life: a request comes, is compiled, is answered.
//
//   arriving ──whole──▶ compiling ──▶ answering ──▶ over
//      └── malformed, too slow, too large ──┴── client gone ──▶ over, without an answer: the client compiles at home
import type { Duplex } from 'node:stream';
import type { Budget, Share } from './budget.ts';
import { DistccError } from './errors.ts';
import type { Allowance } from './packet.ts';
import { newReader } from './reader.ts';
import { parseRequest, type Request } from './request.ts';
import { encodeResponse, type Response } from './response.ts';

export type ConnectionLimits = {
  /** Of a request's bodies together, after decompression. */
  readonly bodyBytes: number;
  /** Without a byte from the client, or taken by it. */
  readonly idleMs: number;
  /** For all of a request, and again for all of an answer. */
  readonly transferMs: number;
};

// Over a line of 1 MB/s the largest source that was seen (60 MB) comes in a minute, and stock distcc waits 300 s for I/O.
export const usualLimits: ConnectionLimits = { bodyBytes: 128 << 20, idleMs: 60_000, transferMs: 300_000 };

// Of a client that begins with it, nothing more would come before it has its answer.
const authentication = '*'.charCodeAt(0);

export type Compile = (request: Request, signal: AbortSignal) => Promise<Response>;

export type Connection = {
  /** @throws DistccError for all that ends without an answer. */
  readonly serve: (compile: Compile) => Promise<Response>;
  /** Ends it if its request is not whole; a compile is finished, and its answer has to be taken soon. */
  readonly hurry: () => void;
  readonly end: () => void;
};

// A server that is to end does not wait longer for a client that does not take its answer.
const lastAnswerMs = 2000;

export function newConnection(stream: Duplex, budget: Budget, limits: ConnectionLimits): Connection {
  let phase: 'arriving' | 'compiling' | 'answering' = 'arriving';
  let hurried = false;
  const endSoon = (): void => void setTimeout(() => stream.destroy(), lastAnswerMs).unref();
  const hurry = (): void => {
    hurried = true;
    if (phase === 'arriving') stream.destroy();
    else if (phase === 'answering') endSoon();
  };
  const serve: Connection['serve'] = async (compile) => {
    const share = budget.join({ pause: () => stream.pause(), resume: () => stream.resume() });
    stream.on('error', () => undefined);
    try {
      const request = await receive(stream, share, limits);
      phase = 'compiling';
      share.isWhole();
      const response = await compileWatched(stream, request, compile);
      phase = 'answering';
      if (hurried) endSoon();
      await answer(stream, response, limits);
      return response;
    } finally {
      share.release();
      stream.destroy();
    }
  };
  return { serve, hurry, end: () => stream.destroy() };
}

function receive(stream: Duplex, share: Share, limits: ConnectionLimits): Promise<Request> {
  const allowance: Allowance = { leftBytes: limits.bodyBytes };
  const reader = newReader(parseRequest(allowance));
  let isFirst = true;
  return new Promise((resolve, reject) => {
    const slow = (ms: number) => (): void => settle(new DistccError('TIMEOUT', `no whole request within ${ms} ms`));
    const total = setTimeout(slow(limits.transferMs), limits.transferMs);
    const silent = slow(limits.idleMs);
    // It is not the client that keeps one waiting that is not read for want of room.
    const idle = setTimeout(() => (stream.isPaused() ? idle.refresh() : silent()), limits.idleMs);
    const settle = (end: Request | DistccError): void => {
      clearTimeout(total);
      clearTimeout(idle);
      stream.off('data', read).off('end', cut).off('close', cut);
      if (end instanceof Error) reject(end);
      else resolve(end);
    };
    const read = (piece: Buffer): void => {
      idle.refresh();
      try {
        if (isFirst && piece[0] === authentication) {
          throw new DistccError(
            'PROTOCOL',
            'the client wants to authenticate, and this server was started without --auth',
          );
        }
        isFirst = false;
        const request = reader.feed(piece);
        share.holds(reader.heldBytes() + limits.bodyBytes - allowance.leftBytes);
        if (request !== undefined) settle(request);
      } catch (error) {
        settle(error as DistccError);
      }
    };
    const cut = (): void => settle(new DistccError('TRUNCATED', 'the client ended in the middle of its request'));
    stream.on('data', read).on('end', cut).on('close', cut);
  });
}

/** Compiles for as long as the client is there: it says nothing more until it has its answer. */
async function compileWatched(stream: Duplex, request: Request, compile: Compile): Promise<Response> {
  const abort = new AbortController();
  const gone = (): void => abort.abort(new DistccError('GONE', 'the client has gone'));
  const spoke = (): void => abort.abort(new DistccError('PROTOCOL', 'the client goes on after its request'));
  stream.on('data', spoke).on('end', gone).on('close', gone);
  try {
    if (stream.destroyed || stream.readableEnded) gone();
    abort.signal.throwIfAborted();
    const response = await compile(request, abort.signal);
    abort.signal.throwIfAborted();
    return response;
  } catch (error) {
    abort.signal.throwIfAborted();
    throw error;
  } finally {
    stream.off('data', spoke).off('end', gone).off('close', gone);
  }
}

function answer(stream: Duplex, response: Response, limits: ConnectionLimits): Promise<void> {
  const bytes = Buffer.concat(encodeResponse(response));
  return new Promise((resolve, reject) => {
    const settle = (error?: DistccError): void => {
      clearTimeout(timer);
      stream.off('close', gone);
      if (error === undefined) resolve();
      else reject(error);
    };
    const slow = (): void => settle(new DistccError('TIMEOUT', 'the client does not take its answer'));
    const timer = setTimeout(slow, limits.transferMs);
    const gone = (): void => settle(new DistccError('GONE', 'the client went before it had its answer'));
    stream.on('close', gone);
    // Done when the kernel has it all.
    stream.end(bytes, () => settle());
  });
}
