// The client's side of one connection: the request goes out, the answer is read, and it is over. What the stream is (TCP,
// a program's pipes) and what was said on it before is its caller's affair.
//
//   sending ──all of it is with the kernel──▶ waiting ──first byte──▶ receiving ──whole──▶ over
//      └── silence, a malformed answer, an end in the middle: a DistccError, and the stream is destroyed
import type { Duplex } from 'node:stream';
import { DistccError } from './errors.ts';
import type { Version } from './packet.ts';
import { newReader } from './reader.ts';
import { parseResponse, type Response } from './response.ts';

export type Asking = {
  readonly version: Version;
  /** The request, as `encodeRequest` gives it. */
  readonly request: readonly Uint8Array[];
  readonly signal: AbortSignal;
  /** Without a byte taken or sent by the server; distcc's DISTCC_IO_TIMEOUT. */
  readonly idleMs: number;
  /** From the first byte of the answer, which comes when all of it is there, to its last. */
  readonly answerMs: number;
  /** Of the answer's bodies together, after decompression. */
  readonly bodyBytes: number;
  readonly nowMs: () => number;
};

export type Answered = {
  readonly response: Response;
  readonly sentBytes: number;
  readonly receivedBytes: number;
  /** Until the kernel had taken all of the request. */
  readonly sendMs: number;
  /** From then until the first byte of the answer: a server says nothing before its compiler has ended. */
  readonly waitMs: number;
};

// An empty answer is all that stock distccd says when it does not do something.
const silentEnd =
  'the server ended the connection without an answer: it does not admit this address, does not have the compiler, or asks for authentication';

/** @throws DistccError; the stream is destroyed in any case. */
export function askServer(stream: Duplex, asking: Asking): Promise<Answered> {
  const { version, request, signal, idleMs, answerMs, bodyBytes, nowMs } = asking;
  const reader = newReader(parseResponse(version, { leftBytes: bodyBytes }));
  const startedMs = nowMs();
  const sentBytes = request.reduce((sum, { length }) => sum + length, 0);
  let receivedBytes = 0;
  let sentMs: number | undefined;
  let firstMs: number | undefined;
  return new Promise((resolve, reject) => {
    const settle = (end: Response | DistccError): void => {
      clearTimeout(idle);
      clearTimeout(last);
      signal.removeEventListener('abort', aborted);
      stream.off('data', read).off('end', cut).off('close', cut).off('error', broken);
      // What the stream has to say after this concerns nobody.
      stream.on('error', () => undefined);
      stream.destroy();
      if (end instanceof Error) {
        reject(end);
        return;
      }
      const sendMs = (sentMs ?? firstMs ?? startedMs) - startedMs;
      const waitMs = (firstMs ?? startedMs) - startedMs - sendMs;
      resolve({ response: end, sentBytes, receivedBytes, sendMs, waitMs: Math.max(0, waitMs) });
    };
    const silent = (): void => settle(new DistccError('TIMEOUT', `nothing came or went for ${idleMs / 1000} s`));
    const idle = setTimeout(silent, idleMs);
    const slow = (): void => settle(new DistccError('TIMEOUT', `the answer did not end within ${answerMs / 1000} s`));
    let last: NodeJS.Timeout | undefined;
    const aborted = (): void => settle(new DistccError('GONE', 'nobody waits for the answer any more'));
    const read = (piece: Buffer): void => {
      idle.refresh();
      firstMs ??= nowMs();
      last ??= setTimeout(slow, answerMs);
      receivedBytes += piece.length;
      try {
        const response = reader.feed(piece);
        if (response !== undefined) settle(response);
      } catch (error) {
        settle(error as DistccError);
      }
    };
    const cut = (): void => {
      if (receivedBytes === 0) settle(new DistccError('SILENT', silentEnd));
      else settle(new DistccError('TRUNCATED', `the answer ended after ${receivedBytes} bytes`));
    };
    const broken = (error: Error): void => {
      const isKnown = error instanceof DistccError;
      settle(
        isKnown ? error : new DistccError('TRUNCATED', `the connection broke: ${error.message}`, { cause: error }),
      );
    };
    signal.addEventListener('abort', aborted, { once: true });
    stream.on('data', read).on('end', cut).on('close', cut).on('error', broken);
    if (signal.aborted) aborted();
    else if (stream.destroyed) cut();
    else write(stream, request, { progress: () => idle.refresh(), done: () => (sentMs = nowMs()) });
  });
}

type Writing = { readonly progress: () => void; readonly done: () => void };

// A stream says that something of a write was taken only when all of it was: a slow line takes a piece in a few seconds.
const pieceBytes = 1 << 20;

/** Small packets go together; a body of many megabytes is a piece at a time. */
function write(stream: Duplex, request: readonly Uint8Array[], { progress, done }: Writing): void {
  stream.cork();
  for (const bytes of request) {
    for (let at = 0; at < bytes.length; at += pieceBytes) stream.write(bytes.subarray(at, at + pieceBytes), progress);
  }
  stream.write(Buffer.alloc(0), done);
  stream.uncork();
}
