// Layers: parts of input trees laid out as directories, for overlays to stand on. A layer never changes once a job has
// seen it (what an overlay shows of a lower directory that changes is undefined), so it is made whole, used, and removed
// when nobody stands on it any more.
//
// A file is a copy of the blob, never a hard link to the store's: who lays out layers may write them, and a blob's inode
// that can be written there is a blob that can be changed. It costs no more: the small ones come from memory, where most
// of them never need a file of their own. And clang takes two paths of one inode for one file.
import { constants, chmodSync, copyFileSync, mkdirSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Digest } from '../../reapi/digest.ts';
import { missingBlobsError } from '../../reapi/errors.ts';
import { smallBlobBytes } from '../../store/disk.ts';
import { storeErrorFrom, type BlobStore } from '../../store/blob-store.ts';
import type { TreeFile } from './directories.ts';
import type { TreeDifference } from './tree-difference.ts';
import { countDirectories, type DirectoryCount } from './whole-directories.ts';

export type Layer = {
  readonly path: string;
  readonly entries: number;
  readonly directories: DirectoryCount;
  /** Resolves when the layer may be used; rejects if it could not be made. */
  readonly done: Promise<void>;
  uses: number;
};

export type LayerContents = Omit<TreeDifference, 'deletions'>;

export type Layers = {
  /** A layer of nothing: an overlay needs one lower directory at least. */
  readonly emptyPath: string;
  /** A layer with one use. */
  readonly lay: (contents: LayerContents) => Layer;
  readonly release: (layer: Layer) => void;
};

// The event loop is let go after so many files: some 2 ms.
const filesAtOnce = 50;
const plainMode = 0o444;
const executableMode = 0o555;

/** Node hands times over as seconds in a double, and the kernel gets whole microseconds: never a later second. */
export function secondsOf(mtimeNs: bigint): number {
  const seconds = mtimeNs >= 0n ? mtimeNs / 1_000_000_000n : (mtimeNs - 999_999_999n) / 1_000_000_000n;
  const micros = (mtimeNs - seconds * 1_000_000_000n) / 1000n;
  const exact = Number(seconds) + Number(micros) / 1e6;
  return Math.floor(exact) === Number(seconds) ? exact : Number(seconds) + 0.999999;
}

/** Opens `directory` for layers and sweeps those of an earlier process. */
export async function openLayers(directory: string, store: BlobStore): Promise<Layers> {
  const trash = join(directory, 'trash');
  const live = join(directory, 'layers');
  mkdirSync(trash, { recursive: true, mode: 0o755 });
  await rename(live, join(trash, `old-${process.pid}-${Date.now()}`)).catch(() => undefined);
  const emptyPath = join(live, 'empty');
  mkdirSync(emptyPath, { recursive: true, mode: 0o755 });
  rm(trash, { recursive: true, force: true }).catch(() => undefined);
  let made = 0;

  const lay: Layers['lay'] = (contents) => {
    const entries = contents.files.length + contents.symlinks.length + contents.directories.length;
    const path = join(live, String((made += 1)));
    const { files, symlinks, directories } = contents;
    const counted = countDirectories(
      [...files, ...symlinks].map((entry) => entry.path),
      directories,
    );
    return { path, entries, directories: counted, done: layOut(path, contents, store), uses: 1 };
  };

  const release: Layers['release'] = (layer) => {
    layer.uses -= 1;
    if (layer.uses > 0) return;
    const remove = (): Promise<void> => rm(layer.path, { recursive: true, force: true });
    layer.done.then(remove, remove).catch(() => undefined);
  };

  return { emptyPath, lay, release };
}

async function layOut(root: string, contents: LayerContents, store: BlobStore): Promise<void> {
  const digests = contents.files.map(({ file }) => file.digest);
  const release = store.lease(digests);
  try {
    const directories = directoryMaker(root);
    let left = filesAtOnce;
    for (const { path, file } of contents.files) {
      await copyBlob(store, file, directories.placeFor(path));
      if ((left -= 1) > 0) continue;
      left = filesAtOnce;
      await new Promise((resolve) => setImmediate(resolve));
    }
    for (const { path, target } of contents.symlinks) symlinkSync(target, directories.placeFor(path));
    for (const path of contents.directories) directories.make(path);
  } catch (error) {
    throw storeErrorFrom(error);
  } finally {
    release();
  }
}

function directoryMaker(root: string) {
  const made = new Set<string>();
  const make = (path: string): void => {
    if (made.has(path)) return;
    mkdirSync(join(root, path), { recursive: true, mode: 0o755 });
    for (let at = path; at !== '.' && !made.has(at); at = dirname(at)) made.add(at);
    made.add('.');
  };
  const placeFor = (path: string): string => {
    make(dirname(path));
    return `${root}/${path}`;
  };
  make('.');
  return { make, placeFor };
}

function gone(digest: Digest): Error {
  return missingBlobsError([digest]);
}

async function copyBlob(store: BlobStore, file: TreeFile, place: string): Promise<void> {
  const mode = file.executable ? executableMode : plainMode;
  if (file.digest.sizeBytes <= smallBlobBytes) {
    const bytes = store.readNow(file.digest);
    if (bytes === undefined) throw gone(file.digest);
    writeFileSync(place, bytes, { mode });
  } else {
    const source = await store.file(file.digest);
    if (source === undefined) throw gone(file.digest);
    copyFileSync(source, place, constants.COPYFILE_FICLONE);
    chmodSync(place, mode);
  }
  if (file.mtimeNs === undefined) return;
  const seconds = secondsOf(file.mtimeNs);
  utimesSync(place, seconds, seconds);
}
