// The only hand that writes a store's files. Who parses what strangers send holds no such hand itself (worker/keeper/): it
// sends the bytes to one, and reads the files like anybody.
//
//   blobs/<first 2 hex digits>/<hash>-<size>   mode 0444, made under another name, and only if the bytes are the digest's
//   pack, results, order, holders              whatever the store has to remember; who reads them checks them
import { createHash } from 'node:crypto';
import { closeSync, mkdirSync, openSync, renameSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { digestKey, type Digest } from '../reapi/digest.ts';
import { StoreError, storeErrorFrom } from './blob-store.ts';

export const storeFiles = ['pack', 'results', 'order', 'holders'] as const;
export type StoreFile = (typeof storeFiles)[number];

export type StoreTarget =
  | { readonly kind: 'blob'; readonly digest: Digest }
  | { readonly kind: 'append' | 'replace'; readonly file: StoreFile };

/** One file under way. It is there, whole, when `commit` returns; the caller commits or aborts. */
export type StoreWrite = {
  /** @throws StoreError RESOURCE_EXHAUSTED; INVALID_ARGUMENT for more bytes than the digest says. */
  readonly write: (chunk: Uint8Array) => void;
  /** @throws StoreError, as `write`; INVALID_ARGUMENT if the bytes are not the digest's. */
  readonly commit: () => void;
  readonly abort: () => void;
};

export type StoreWriter = {
  readonly open: (target: StoreTarget) => StoreWrite;
  readonly remove: (what: Digest | StoreFile) => void;
};

const blobMode = 0o444;
const fileMode = 0o640;

export function blobPath(directory: string, { hash, sizeBytes }: Digest): string {
  return `${directory}/blobs/${hash.slice(0, 2)}/${hash}-${sizeBytes}`;
}

/** Writes all of it at once. @throws as StoreWrite does. */
export function writeWhole(writer: StoreWriter, target: StoreTarget, bytes: Uint8Array): void {
  const write = writer.open(target);
  try {
    write.write(bytes);
    write.commit();
  } catch (error) {
    write.abort();
    throw error;
  }
}

/** Makes the store's directories, and sweeps what an earlier process left half done. */
export function openStoreWriter(directory: string): StoreWriter {
  const incoming = join(directory, 'incoming');
  rmSync(incoming, { recursive: true, force: true });
  mkdirSync(incoming, { recursive: true, mode: 0o700 });
  mkdirSync(join(directory, 'blobs'), { recursive: true, mode: 0o700 });
  let made = 0;
  const temporary = (): string => `${incoming}/${(made += 1)}`;
  const open: StoreWriter['open'] = (target) => {
    if (target.kind === 'blob') return blobWrite(directory, target.digest, newFile(temporary(), blobMode));
    const path = join(directory, target.file);
    return target.kind === 'append' ? appendWrite(path) : replaceWrite(path, newFile(temporary(), fileMode));
  };
  const remove: StoreWriter['remove'] = (what) => {
    rmSync(typeof what === 'string' ? join(directory, what) : blobPath(directory, what), { force: true });
  };
  return { open, remove };
}

type NewFile = {
  readonly write: (chunk: Uint8Array) => void;
  readonly moveTo: (path: string) => void;
  readonly drop: () => void;
};

function writeAll(fd: number, chunk: Uint8Array): void {
  for (let at = 0; at < chunk.length;) at += writeSync(fd, chunk, at);
}

function newFile(temporary: string, mode: number): NewFile {
  let fd: number | undefined;
  let made = false;
  const close = (): void => {
    const open = fd;
    fd = undefined;
    if (open !== undefined) closeSync(open);
  };
  const opened = (): number => {
    fd ??= openSync(temporary, 'wx', mode);
    made = true;
    return fd;
  };
  const drop = (): void => {
    close();
    if (made) rmSync(temporary, { force: true });
  };
  return {
    write: (chunk) => {
      try {
        writeAll(opened(), chunk);
      } catch (error) {
        throw storeErrorFrom(error);
      }
    },
    moveTo: (path) => {
      try {
        if (!made) opened();
        close();
        renameSync(temporary, path);
      } catch (error) {
        throw storeErrorFrom(error);
      }
    },
    drop,
  };
}

function blobWrite(directory: string, digest: Digest, file: NewFile): StoreWrite {
  const hash = createHash('sha256');
  let received = 0;
  const place = (): void => {
    const path = blobPath(directory, digest);
    try {
      file.moveTo(path);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
      mkdirSync(join(path, '..'), { recursive: true });
      file.moveTo(path);
    }
  };
  return {
    write: (chunk) => {
      received += chunk.length;
      if (received > digest.sizeBytes) {
        throw new StoreError('INVALID_ARGUMENT', `more bytes came than ${digestKey(digest)} has`);
      }
      hash.update(chunk);
      file.write(chunk);
    },
    commit: () => {
      if (received !== digest.sizeBytes || hash.digest('hex') !== digest.hash) {
        file.drop();
        throw new StoreError('INVALID_ARGUMENT', `the bytes are not those of ${digestKey(digest)}`);
      }
      place();
    },
    abort: file.drop,
  };
}

function replaceWrite(path: string, file: NewFile): StoreWrite {
  return { write: file.write, commit: () => file.moveTo(path), abort: file.drop };
}

/** What reads such a file cuts off a torn end. */
function appendWrite(path: string): StoreWrite {
  const write = (chunk: Uint8Array): void => {
    try {
      const fd = openSync(path, 'a', fileMode);
      try {
        writeAll(fd, chunk);
      } finally {
        closeSync(fd);
      }
    } catch (error) {
      throw storeErrorFrom(error);
    }
  };
  return { write, commit: () => undefined, abort: () => undefined };
}
