// Blobs as files: `blobs/<first 2 hex digits>/<hash>-<size>`, mode 0444, made under another name and renamed, so that a
// name never stands for half a blob while the process lives. `order` lists the blobs from the least to the most recently
// used; it is written when the store is closed and removed when it is opened. So where it is absent the last end was not
// clean, and after a power cut a name may stand for any bytes: the store then checks each blob before its first use.
import { createHash } from 'node:crypto';
import { createReadStream, mkdirSync, readFileSync, renameSync, rmSync, unlinkSync, writeFileSync } from 'node:fs';
import { mkdir, readFile, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { digestKey, parseDigestKey, sameDigest, digestOf, type Digest, type DigestKey } from '../reapi/digest.ts';
import { openBlobPack, type BlobPack } from './blob-pack.ts';
import { storeErrorFrom } from './blob-store.ts';

export type BlobFiles = {
  readonly path: (digest: Digest) => string;
  /** A name for a file that is to become a blob. */
  readonly newPath: () => string;
  readonly put: (digest: Digest, bytes: Uint8Array) => void;
  /** Takes over a finished file made at a `newPath`. */
  readonly adopt: (digest: Digest, path: string) => void;
  /** The bytes if they are the digest's; a wrong file is removed. */
  readonly read: (digest: Digest) => Buffer | undefined;
  /** As `read`, for files of any size, without keeping the bytes. */
  readonly verify: (digest: Digest) => Promise<boolean>;
  readonly remove: (digest: Digest) => void;
  readonly saveOrder: (keys: Iterable<DigestKey>) => Promise<void>;
};

export type FoundBlobs = {
  readonly files: BlobFiles;
  /** Least recently used first. */
  readonly blobs: readonly Digest[];
  readonly clean: boolean;
  readonly pack: BlobPack;
  /** Those that have no file. */
  readonly packed: ReadonlyMap<DigestKey, Buffer>;
};

const blobName = /^([0-9a-f]{64})-(0|[1-9][0-9]{0,14})$/;
const blobMode = 0o444;

function parseBlobName(name: string): Digest | undefined {
  const match = blobName.exec(name);
  return match === null ? undefined : { hash: match[1] ?? '', sizeBytes: Number(match[2]) };
}

async function listBlobs(root: string): Promise<Map<DigestKey, Digest>> {
  const found = new Map<DigestKey, Digest>();
  for (const prefix of await readdir(root)) {
    for (const name of await readdir(join(root, prefix))) {
      const digest = parseBlobName(name);
      if (digest !== undefined) found.set(digestKey(digest), digest);
    }
  }
  return found;
}

/** The order of the last clean end, or undefined. A blob that it does not name is newer than it. */
async function takeOrder(path: string): Promise<readonly string[] | undefined> {
  try {
    const lines = (await readFile(path, 'latin1')).split('\n');
    await rm(path);
    return lines;
  } catch {
    return undefined;
  }
}

function inOrder(found: Map<DigestKey, Digest>, order: readonly string[]): readonly Digest[] {
  const sorted: Digest[] = [];
  for (const line of order) {
    const digest = parseDigestKey(line);
    if (digest !== undefined && found.delete(digestKey(digest))) sorted.push(digest);
  }
  return [...sorted, ...found.values()];
}

async function hashOf(path: string): Promise<Digest> {
  const hash = createHash('sha256');
  let sizeBytes = 0;
  for await (const chunk of createReadStream(path, { highWaterMark: 1 << 18 })) {
    hash.update(chunk as Buffer);
    sizeBytes += (chunk as Buffer).length;
  }
  return { hash: hash.digest('hex'), sizeBytes };
}

/** Opens `directory`, sweeps what an earlier process left half done, and lists the blobs. */
export async function openBlobFiles(directory: string): Promise<FoundBlobs> {
  const root = join(directory, 'blobs');
  const incoming = join(directory, 'incoming');
  const orderPath = join(directory, 'order');
  await rm(incoming, { recursive: true, force: true });
  await mkdir(incoming, { recursive: true, mode: 0o700 });
  await mkdir(root, { recursive: true, mode: 0o700 });
  const order = await takeOrder(orderPath);
  const found = await listBlobs(root);
  const { pack, found: packed } = openBlobPack(join(directory, 'pack'));
  for (const key of packed.keys()) {
    const digest = parseDigestKey(key);
    if (digest !== undefined) found.set(key, digest);
  }
  const blobs = inOrder(found, order ?? []);
  return { files: blobFiles({ root, incoming, orderPath }), blobs, clean: order !== undefined, pack, packed };
}

function blobFiles(places: {
  readonly root: string;
  readonly incoming: string;
  readonly orderPath: string;
}): BlobFiles {
  const { root, incoming, orderPath } = places;
  const path = (digest: Digest): string => `${root}/${digest.hash.slice(0, 2)}/${digest.hash}-${digest.sizeBytes}`;
  let made = 0;
  const newPath = (): string => `${incoming}/${(made += 1)}`;

  const adopt: BlobFiles['adopt'] = (digest, from) => {
    try {
      renameSync(from, path(digest));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw storeErrorFrom(error);
      mkdirSync(`${root}/${digest.hash.slice(0, 2)}`, { recursive: true });
      renameSync(from, path(digest));
    }
  };

  const remove = (digest: Digest): void => rmSync(path(digest), { force: true });

  const put: BlobFiles['put'] = (digest, bytes) => {
    const temporary = newPath();
    try {
      writeFileSync(temporary, bytes, { mode: blobMode });
      adopt(digest, temporary);
    } catch (error) {
      rmSync(temporary, { force: true });
      throw storeErrorFrom(error);
    }
  };

  const read: BlobFiles['read'] = (digest) => {
    let bytes: Buffer;
    try {
      bytes = readFileSync(path(digest));
    } catch {
      return undefined;
    }
    if (sameDigest(digestOf(bytes), digest)) return bytes;
    remove(digest);
    return undefined;
  };

  const verify: BlobFiles['verify'] = async (digest) => {
    try {
      if (sameDigest(await hashOf(path(digest)), digest)) return true;
      unlinkSync(path(digest));
    } catch {
      // Unreadable is as good as absent.
    }
    return false;
  };

  const saveOrder: BlobFiles['saveOrder'] = async (keys) => {
    const temporary = newPath();
    await writeFile(temporary, [...keys].join('\n'));
    await rename(temporary, orderPath);
  };

  return {
    path,
    newPath,
    put,
    adopt,
    read,
    verify,
    remove,
    saveOrder,
  };
}
