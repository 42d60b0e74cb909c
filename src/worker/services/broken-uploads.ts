// Uploads whose stream broke off, by resource name: the client may ask how far they came, and go on from there.
import type { BlobUpload } from '../../store/blob-store.ts';

export type BrokenUploads = {
  /** How many bytes came; undefined if the name is not known. */
  readonly receivedBytes: (name: string) => number | undefined;
  /** Takes the upload back if it can go on at `offset`; one that is to start again is dropped. */
  readonly resume: (name: string, offset: number) => BlobUpload | undefined;
  readonly keep: (name: string, upload: BlobUpload) => void;
  /** Knows the name, of which nothing can be kept. */
  readonly note: (name: string) => void;
};

// A client that lost its connection comes back within seconds; each holds a file, or up to 64 KB of memory.
const keepMs = 5 * 60_000;
const maxKept = 64;

type Kept = { readonly upload: BlobUpload | undefined; readonly timer: NodeJS.Timeout };

export function newBrokenUploads(): BrokenUploads {
  const kept = new Map<string, Kept>();

  const drop = (name: string): BlobUpload | undefined => {
    const found = kept.get(name);
    clearTimeout(found?.timer);
    kept.delete(name);
    return found?.upload;
  };

  const abort = (name: string): void => {
    drop(name)
      ?.abort()
      .catch(() => undefined);
  };

  const put = (name: string, upload: BlobUpload | undefined): void => {
    abort(name);
    kept.set(name, { upload, timer: setTimeout(() => abort(name), keepMs).unref() });
    for (const oldest of kept.keys()) {
      if (kept.size <= maxKept) return;
      abort(oldest);
    }
  };

  return {
    receivedBytes: (name) => {
      const found = kept.get(name);
      return found === undefined ? undefined : (found.upload?.receivedBytes() ?? 0);
    },
    resume: (name, offset) => {
      const upload = drop(name);
      if (upload === undefined || offset !== 0 || upload.receivedBytes() === 0) return upload;
      upload.abort().catch(() => undefined);
      return undefined;
    },
    keep: put,
    note: (name) => put(name, undefined),
  };
}
