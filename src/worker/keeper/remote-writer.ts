// The front's side: a store's writer that has the keeper write. It waits for the keeper where a local one waits for the
// disk, so that a blob is there when the call returns and a full disk is told to whoever sent it; a commit of 100 KB
// takes 0.3 ms, half of it in this process. Jobs seldom need one: small blobs stay in memory (store/disk.ts).
import { readSync, writevSync } from 'node:fs';
import type { AuditEvent } from '../../observe/audit-log.ts';
import { StoreError } from '../../store/blob-store.ts';
import type { StoreTarget, StoreWrite, StoreWriter } from '../../store/store-writer.ts';
import { encodeRequest, pieceBytes, readAnswer, type Answer, type KeeperRequest } from './wire.ts';

export type Keeper = {
  readonly writer: StoreWriter;
  readonly ready: () => void;
  readonly note: (event: AuditEvent) => void;
  /** Of the identity: JSON both ways. */
  readonly ask: (question: string) => string;
};

/** The keeper has gone, or does not answer: after that nothing of this process makes sense. */
export type OnKeeperLost = (why: string) => never;

type Line = {
  readonly send: (requests: readonly KeeperRequest[]) => void;
  /** Sends, and waits for the answer to the last, which is a commit. */
  readonly ask: (requests: readonly KeeperRequest[]) => Answer;
};

function openLine(fd: number, lost: OnKeeperLost): Line {
  const attempt = <T>(step: () => T): T => {
    for (;;) {
      try {
        return step();
      } catch (error) {
        const { code, message } = error as NodeJS.ErrnoException;
        // A socket with a bound on its waits is not waited for again by the kernel.
        if (code !== 'EINTR') return lost(code === 'EAGAIN' ? 'it takes too long' : message);
      }
    }
  };
  const send: Line['send'] = (requests) => {
    let parts = requests.flatMap(encodeRequest);
    while (parts.length > 0) {
      let written = attempt(() => writevSync(fd, parts));
      const left: Uint8Array[] = [];
      for (const part of parts) {
        const done = Math.min(written, part.length);
        written -= done;
        if (done < part.length) left.push(part.subarray(done));
      }
      parts = left;
    }
  };
  const readExactly = (size: number): Buffer => {
    const bytes = Buffer.alloc(size);
    for (let at = 0; at < size;) {
      const count = attempt(() => readSync(fd, bytes, at, size - at, null));
      if (count === 0) lost('it has ended');
      at += count;
    }
    return bytes;
  };
  const ask: Line['ask'] = (requests) => {
    send(requests);
    return readAnswer(readExactly);
  };
  return { send, ask };
}

function* pieces(bytes: Uint8Array): Generator<Buffer> {
  for (let at = 0; at < bytes.length; at += pieceBytes) {
    const part = bytes.subarray(at, at + pieceBytes);
    yield Buffer.from(part.buffer, part.byteOffset, part.byteLength);
  }
}

function remoteWrite(line: Line, id: number, target: StoreTarget): StoreWrite {
  let opening: KeeperRequest[] = [{ kind: 'open', id, target }];
  let ended = false;
  const taken = (): KeeperRequest[] => {
    const first = opening;
    opening = [];
    return first;
  };
  return {
    write: (chunk) => {
      const data = [...pieces(chunk)].map((bytes): KeeperRequest => ({ kind: 'data', id, bytes }));
      line.send([...taken(), ...data]);
    },
    commit: () => {
      ended = true;
      const { outcome } = line.ask([...taken(), { kind: 'commit', id }]);
      if (outcome === 'not-the-digest')
        throw new StoreError('INVALID_ARGUMENT', 'the bytes are not those of the digest');
      if (outcome === 'no-room') throw new StoreError('RESOURCE_EXHAUSTED', 'no room for the blob');
      if (outcome === 'failed') throw new Error('the store could not be written; the worker’s log says why');
    },
    abort: () => {
      if (ended) return;
      ended = true;
      if (opening.length === 0) line.send([{ kind: 'abort', id }]);
    },
  };
}

export function connectKeeper(fd: number, lost: OnKeeperLost): Keeper {
  const line = openLine(fd, lost);
  let last = 0;
  const next = (): number => (last = (last + 1) >>> 0);
  return {
    ask: (question) => {
      const id = next();
      const data = [...pieces(Buffer.from(question))].map((bytes): KeeperRequest => ({ kind: 'data', id, bytes }));
      return line.ask([{ kind: 'open', id, target: { kind: 'question' } }, ...data, { kind: 'commit', id }]).text;
    },
    note: (event) => line.send([{ kind: 'note', bytes: Buffer.from(JSON.stringify(event)) }]),
    writer: {
      open: (target) => remoteWrite(line, next(), target),
      remove: (what) => line.send([{ kind: 'remove', what }]),
    },
    ready: () => line.send([{ kind: 'ready' }]),
  };
}
