// The store as one client sees it: the blobs that it brought itself or was given in a result. To whoever has not proved to
// have a blob, by sending its bytes, it is absent, whoever else has sent it.
import type { Digest } from '../reapi/digest.ts';
import type { BlobStore } from './blob-store.ts';
import type { DigestSet } from './digest-set.ts';

export function holds(held: DigestSet, digest: Digest): boolean {
  return digest.sizeBytes === 0 || held.has(digest);
}

/** `close` closes nothing: the store is not this client's. */
export function heldStore(store: BlobStore, held: DigestSet, owner: string): BlobStore {
  return {
    missing: (digests) => {
      const known: Digest[] = [];
      const absent = new Map<string, Digest>();
      for (const digest of digests) {
        if (holds(held, digest)) known.push(digest);
        else absent.set(digest.hash, digest);
      }
      return [...absent.values(), ...store.missing(known)];
    },
    readNow: (digest) => (holds(held, digest) ? store.readNow(digest) : undefined),
    stream: async (digest, range) => (holds(held, digest) ? store.stream(digest, range) : undefined),
    file: async (digest) => (holds(held, digest) ? store.file(digest) : undefined),
    write: (digest, bytes) => {
      store.write(digest, bytes, owner);
      held.add(digest);
    },
    upload: (digest) => {
      const upload = store.upload(digest, owner);
      const commit = async (): Promise<void> => {
        await upload.commit();
        held.add(digest);
      };
      return { ...upload, commit };
    },
    lease: (digests) => store.lease(digests),
    close: async () => Promise.resolve(),
  };
}
