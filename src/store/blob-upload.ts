// Blobs that arrive in pieces: small ones in memory, others straight to the store's writer, which compares the digest.
// Room is taken as bytes come: a client that announces much and sends nothing pushes nothing out.
import { digestKey, type Digest } from '../reapi/digest.ts';
import { StoreError, type BlobUpload } from './blob-store.ts';
import type { StoreWrite } from './store-writer.ts';

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
  readonly open: () => StoreWrite;
  readonly reserve: (bytes: number) => void;
  readonly release: (bytes: number) => void;
  /** Counts the finished blob in, or says that it is there already. */
  readonly adopt: () => 'adopted' | 'known';
};

export function fileUpload(digest: Digest, place: UploadPlace): BlobUpload {
  let file: StoreWrite | undefined;
  let received = 0;
  let ended = false;

  const abortNow = (): void => {
    if (ended) return;
    ended = true;
    place.release(received);
    file?.abort();
  };

  const writeNow = (chunk: Uint8Array): void => {
    if (ended) throw new StoreError('INVALID_ARGUMENT', 'the upload has ended');
    if (received + chunk.length > digest.sizeBytes) throw tooLong(digest);
    place.reserve(chunk.length);
    received += chunk.length;
    file ??= place.open();
    file.write(chunk);
  };

  const commitNow = (): void => {
    if (ended) throw new StoreError('INVALID_ARGUMENT', 'the upload has ended');
    if (received !== digest.sizeBytes || file === undefined) {
      abortNow();
      throw new StoreError('INVALID_ARGUMENT', `the bytes are not those of ${digestKey(digest)}`);
    }
    try {
      file.commit();
    } catch (error) {
      abortNow();
      throw error;
    }
    ended = true;
    if (place.adopt() === 'known') place.release(received);
  };

  return {
    write: async (chunk) => Promise.resolve(writeNow(chunk)),
    receivedBytes: () => received,
    commit: async () => Promise.resolve(commitNow()),
    abort: async () => Promise.resolve(abortNow()),
  };
}
