// The keeper's side of what the front asks: everything goes to the store's writer, which compares each digest. The front
// may be a stranger's, so whatever it sends either means something or ends it.
import { StoreError } from '../../store/blob-store.ts';
import type { StoreWrite, StoreWriter } from '../../store/store-writer.ts';
import { encodeAnswer, KeeperWireError, newRequestReader, type KeeperRequest, type Outcome } from './wire.ts';

export type Hand = {
  /** @throws KeeperWireError: the front is to be ended. */
  readonly take: (chunk: Buffer) => void;
  /** Drops what is under way. */
  readonly close: () => void;
};

export type HandOptions = {
  readonly writer: StoreWriter;
  /** To a question, both JSON. It does not reject. */
  readonly answerTo: (question: string) => Promise<string>;
  readonly note: (line: string) => void;
  readonly reply: (bytes: Buffer) => void;
  readonly onReady: () => void;
  /** What could not be written, for other reasons than its bytes or the room. */
  readonly failed: (error: Error) => void;
};

// As many as the streams that a client may have open (reapi/server.ts), and as file descriptors allow.
const mostOpen = 2000;
// What two members tell each other has 4 MB of each kind at most (trust/sync.ts); a half more for its form.
const mostQuestionBytes = 16 << 20;

type UnderWay = { readonly write: StoreWrite; readonly question?: () => string; failure: unknown };

function questionWrite(): Pick<UnderWay, 'write' | 'question'> {
  const chunks: Buffer[] = [];
  let size = 0;
  const write = (chunk: Uint8Array): void => {
    size += chunk.length;
    if (size > mostQuestionBytes) throw new KeeperWireError('a question without end');
    chunks.push(Buffer.from(chunk));
  };
  const nothing = (): void => undefined;
  return { write: { write, commit: nothing, abort: nothing }, question: () => Buffer.concat(chunks).toString() };
}

function outcomeOf(error: unknown, failed: HandOptions['failed']): Outcome {
  if (error instanceof StoreError) return error.code === 'INVALID_ARGUMENT' ? 'not-the-digest' : 'no-room';
  failed(error as Error);
  return 'failed';
}

export function newHand({ writer, answerTo, note, reply, onReady, failed }: HandOptions): Hand {
  const underWay = new Map<number, UnderWay>();
  const read = newRequestReader();

  const known = (id: number): UnderWay => {
    const found = underWay.get(id);
    if (found === undefined) throw new KeeperWireError(`nothing is open as ${id}`);
    return found;
  };

  /** A failure is told at the commit, which alone is answered. */
  const attempt = (entry: UnderWay, step: () => void): void => {
    if (entry.failure !== undefined) return;
    try {
      step();
    } catch (error) {
      if (error instanceof KeeperWireError) throw error;
      entry.failure = error ?? new Error('unknown');
      entry.write.abort();
    }
  };

  const commit = (id: number): void => {
    const entry = known(id);
    underWay.delete(id);
    if (entry.question !== undefined) {
      void answerTo(entry.question()).then((text) => reply(encodeAnswer({ id, outcome: 'done', text })));
      return;
    }
    attempt(entry, () => entry.write.commit());
    const outcome = entry.failure === undefined ? 'done' : outcomeOf(entry.failure, failed);
    reply(encodeAnswer({ id, outcome, text: '' }));
  };

  const open = ({ id, target }: Extract<KeeperRequest, { kind: 'open' }>): void => {
    if (underWay.has(id) || underWay.size >= mostOpen) throw new KeeperWireError(`one too many is open: ${id}`);
    const begun = target.kind === 'question' ? questionWrite() : { write: writer.open(target) };
    underWay.set(id, { ...begun, failure: undefined });
  };

  const remove = (what: Parameters<StoreWriter['remove']>[0]): void => {
    try {
      writer.remove(what);
    } catch (error) {
      failed(error as Error);
    }
  };

  const serve = (request: KeeperRequest): void => {
    switch (request.kind) {
      case 'open':
        return open(request);
      case 'data': {
        const entry = known(request.id);
        return attempt(entry, () => entry.write.write(request.bytes));
      }
      case 'commit':
        return commit(request.id);
      case 'abort':
        known(request.id).write.abort();
        underWay.delete(request.id);
        return undefined;
      case 'remove':
        return remove(request.what);
      case 'note':
        return note(request.bytes.toString());
      case 'ready':
        return onReady();
    }
  };

  return {
    take: (chunk) => {
      for (const request of read(chunk)) serve(request);
    },
    close: () => {
      for (const { write } of underWay.values()) write.abort();
      underWay.clear();
    },
  };
}
