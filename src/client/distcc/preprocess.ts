// A job's source, preprocessed by its launcher: the daemon asks, and reads what comes over the launcher's connection.
import type { Socket } from 'node:net';
import { newReader } from '../../distcc/reader.ts';
import { parsePreprocessed, preprocessFrame, type Preprocessed } from '../launcher-wire.ts';

/** @throws where the launcher has gone or cannot do it. */
export type Preprocess = () => Promise<Preprocessed>;

// The largest that was seen is 60 MB; distcc's servers of ours take 128.
const mostBytes = 128 << 20;

/** Asks the launcher behind the socket, each time anew: one thing after the other goes over its connection. */
export function preprocessBy(socket: Socket): Preprocess {
  let before: Promise<unknown> = Promise.resolve();
  return () => {
    const asked = before.then(() => ask(socket));
    before = asked.catch(() => undefined);
    return asked;
  };
}

function ask(socket: Socket): Promise<Preprocessed> {
  const reader = newReader(parsePreprocessed(mostBytes));
  return new Promise((resolve, reject) => {
    const settle = (end: Preprocessed | { readonly why: string }): void => {
      socket.off('data', read).off('close', gone);
      if ('why' in end) reject(new Error(end.why));
      else resolve(end);
    };
    const read = (piece: Buffer): void => {
      try {
        const end = reader.feed(piece);
        if (end !== undefined) settle(end);
      } catch (error) {
        settle({ why: (error as Error).message });
      }
    };
    const gone = (): void => settle({ why: 'the launcher has gone' });
    socket.on('data', read).on('close', gone);
    if (socket.destroyed) gone();
    else socket.write(preprocessFrame);
  });
}
