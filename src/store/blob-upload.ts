// Blobs that arrive in pieces: small ones in memory, others in a file that becomes the blob. The digest is computed on
// the way, and room is taken as bytes come: a client that announces much and sends nothing pushes nothing out.
import { createHash } from 'node:crypto';
import { open, rm, type FileHandle } from 'node:fs/promises';
import { digestKey, type Digest } from '../reapi/digest.ts';
import { StoreError, storeErrorFrom, type BlobUpload } from './blob-store.ts';

function tooLong(digest: Digest): StoreError {
  return new StoreError('INVALID_ARGUMENT', `more bytes came than ${digestKey(digest)} has`);
}

export function memoryUpload(digest: Digest, write: (digest: Digest, bytes: Uint8Array) => void): BlobUpload {
  const bytes = Buffer.allocUnsafeSlow(digest.sizeBytes);
  let received = 0;
  return {
    write: async (chunk) => {
      if (received + chunk.length > bytes.length) throw tooLong(digest);
      bytes.set(chunk, received);
      received += chunk.length;
      return Promise.resolve();
    },
    receivedBytes: () => received,
    commit: async () => Promise.resolve(write(digest, bytes.subarray(0, received))),
    abort: async () => Promise.resolve(),
  };
}

export type UploadPlace = {
  readonly path: string;
  readonly reserve: (bytes: number) => void;
  readonly release: (bytes: number) => void;
  /** Takes the file over, or says that the blob is there already. */
  readonly adopt: (path: string) => 'adopted' | 'known';
};

export function fileUpload(digest: Digest, place: UploadPlace): BlobUpload {
  const hash = createHash('sha256');
  let file: FileHandle | undefined;
  let received = 0;
  let ended = false;

  const abort = async (): Promise<void> => {
    if (ended) return;
    ended = true;
    place.release(received);
    await file?.close().catch(() => undefined);
    await rm(place.path, { force: true });
  };

  const write = async (chunk: Uint8Array): Promise<void> => {
    if (ended) throw new StoreError('INVALID_ARGUMENT', 'the upload has ended');
    if (received + chunk.length > digest.sizeBytes) throw tooLong(digest);
    place.reserve(chunk.length);
    received += chunk.length;
    try {
      file ??= await open(place.path, 'wx', 0o444);
      for (let at = 0; at < chunk.length;) at += (await file.write(chunk, at)).bytesWritten;
    } catch (error) {
      throw storeErrorFrom(error);
    }
    hash.update(chunk);
  };

  const commit = async (): Promise<void> => {
    if (ended) throw new StoreError('INVALID_ARGUMENT', 'the upload has ended');
    if (received !== digest.sizeBytes || hash.digest('hex') !== digest.hash) {
      await abort();
      throw new StoreError('INVALID_ARGUMENT', `the bytes are not those of ${digestKey(digest)}`);
    }
    await file?.close();
    ended = true;
    if (place.adopt(place.path) === 'adopted') return;
    place.release(received);
    await rm(place.path, { force: true });
  };

  return { write, receivedBytes: () => received, commit, abort };
}
