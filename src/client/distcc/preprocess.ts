// A job's source, preprocessed by its launcher: the daemon asks, and reads what comes over the launcher's connection.
import type { Socket } from 'node:net';
import { newReader } from '../../distcc/reader.ts';
import { parsePreprocessed, preprocessFrame, type Preprocessed } from '../launcher-wire.ts';

/** @throws where the launcher has gone or cannot do it. */
export type Preprocess = () => Promise<Preprocessed>;

// The largest that was seen is 60 MB; distcc's servers of ours take 128.
const mostBytes = 128 << 20;

export type Preprocessing = {
  /** Each time anew: one thing after the other goes over the launcher's connection. */
  readonly preprocess: Preprocess;
  /** Calls back once, when the launcher says what it was not asked for. */
  readonly onceSaid: (said: () => void) => void;
};

/** By the launcher behind the socket. */
export function preprocessBy(socket: Socket): Preprocessing {
  let before: Promise<unknown> = Promise.resolve();
  let asked = 0;
  let heard = (): void => undefined;
  return {
    preprocess: () => {
      asked += 1;
      const answer = before.then(() => ask(socket));
      const over = (isFollowed: boolean): void => {
        asked -= 1;
        if (isFollowed) heard();
      };
      before = answer.then(({ isFollowed }) => over(isFollowed)).catch(() => over(false));
      return answer.then(({ preprocessed }) => preprocessed);
    },
    onceSaid: (said) => {
      heard = () => {
        // The job may have been done elsewhere while its source is preprocessed for another host.
        if (asked > 0) return;
        socket.off('data', heard);
        heard = () => undefined;
        said();
      };
      socket.on('data', heard);
    },
  };
}

type Asked = { readonly preprocessed: Preprocessed; readonly isFollowed: boolean };

function ask(socket: Socket): Promise<Asked> {
  const reader = newReader(parsePreprocessed(mostBytes), 'anything');
  return new Promise((resolve, reject) => {
    const settle = (end: Preprocessed | { readonly why: string }): void => {
      socket.off('data', read).off('close', gone);
      if ('why' in end) reject(new Error(end.why));
      else resolve({ preprocessed: end, isFollowed: reader.heldBytes() > 0 });
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
