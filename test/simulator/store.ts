// What a simulated host holds. It looks at every job's tree down to the last digest, as a real one lays it out.
import { digestKey, emptyDigest, type Digest, type DigestKey } from '../../src/reapi/digest.ts';

export type Store = {
  /** Bytes are there where the client sent them in a call that brings bytes. */
  readonly blobs: Map<DigestKey, Buffer>;
  /** Directories that have been seen to be whole. */
  readonly whole: Set<DigestKey>;
};

export function newStore(): Store {
  return { blobs: new Map([[digestKey(emptyDigest), Buffer.alloc(0)]]), whole: new Set() };
}

export function forget(store: Store): void {
  store.blobs.clear();
  store.whole.clear();
  store.blobs.set(digestKey(emptyDigest), Buffer.alloc(0));
}

export function blobIn(store: Store, digest: Digest): Buffer | undefined {
  return store.blobs.get(digestKey(digest));
}
