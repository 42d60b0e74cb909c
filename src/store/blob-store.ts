// The contract of a content-addressed store: blobs by digest, verified by type of entry. Nothing comes in whose bytes do
// not hash to its name, and what a disk hands back wrong is dropped and reported as absent.
//
// The empty blob is always there (REAPI). Any other may be gone at the next call, unless it is leased: the store is
// bounded, and the least recently used go first. Every look-up counts as a use, `missing` too, because a client that asks
// is about to rely on the answer.
import type { Digest } from '../reapi/digest.ts';

export type BlobStore = {
  /** The digests that are not here, each once. */
  readonly missing: (digests: Iterable<Digest>) => Digest[];
  /** The blob whole, at once: for the small ones that are mostly in memory. Undefined if absent. */
  readonly readNow: (digest: Digest) => Buffer | undefined;
  /** The bytes from `offset` on, at most `limit`, in pieces. Undefined if absent. Read it to the end or return() it. */
  readonly stream: (digest: Digest, range?: BlobRange) => Promise<AsyncGenerator<Buffer> | undefined>;
  /** A read-only file that holds the blob, for a hard link or a copy made before anything else is awaited. */
  readonly file: (digest: Digest) => Promise<string | undefined>;
  /**
   * `owner`: for whom it is kept, if that is known (shares.ts).
   * @throws StoreError INVALID_ARGUMENT if the bytes are not the digest's, RESOURCE_EXHAUSTED if there is no room.
   */
  readonly write: (digest: Digest, bytes: Uint8Array, owner?: string) => void;
  /** A blob that arrives in pieces. The caller commits or aborts. */
  readonly upload: (digest: Digest, owner?: string) => BlobUpload;
  /** Keeps these blobs, those not here yet included, until the returned function is called. */
  readonly lease: (digests: readonly Digest[]) => () => void;
  /** Brings all to disk. Nothing may be called after it. */
  readonly close: () => Promise<void>;
};

export type BlobRange = { readonly offset: number; readonly limit: number };

export type BlobUpload = {
  /** @throws StoreError, as `write`; INVALID_ARGUMENT as soon as there are more bytes than the digest says. */
  readonly write: (chunk: Uint8Array) => Promise<void>;
  readonly receivedBytes: () => number;
  /** @throws StoreError INVALID_ARGUMENT if the bytes are not the digest's. */
  readonly commit: () => Promise<void>;
  /** Forgets what came; without effect after commit. */
  readonly abort: () => Promise<void>;
};

export class StoreError extends Error {
  readonly code: 'INVALID_ARGUMENT' | 'RESOURCE_EXHAUSTED';
  constructor(code: StoreError['code'], message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

// Disk full, quota, file size limit: all mean that the store has no room, which the client can be told.
const noRoomCodes = new Set(['ENOSPC', 'EDQUOT', 'EFBIG']);

/** A failure of the file system as the store's own error where it is one, else as it is. */
export function storeErrorFrom(error: unknown): unknown {
  const { code } = error as NodeJS.ErrnoException;
  if (code === undefined || !noRoomCodes.has(code)) return error;
  return new StoreError('RESOURCE_EXHAUSTED', `no room for the blob: ${code}`, { cause: error });
}
