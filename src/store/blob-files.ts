// Blobs as files, read here and written by store-writer.ts, whose names never stand for half a blob while its process
// lives. `order` lists the blobs from the least to the most recently used; it is written when the store is closed and
// removed when it is opened. So where it is absent the last end was not clean, and after a power cut a name may stand for
// any bytes: the store then checks each blob before its first use.
import { createHash } from 'node:crypto';
import { createReadStream, readFileSync } from 'node:fs';
import { readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { digestKey, parseDigestKey, sameDigest, digestOf, type Digest, type DigestKey } from '../reapi/digest.ts';
import { openBlobPack, type BlobPack } from './blob-pack.ts';
import { blobPath, writeWhole, type StoreWriter } from './store-writer.ts';

export type BlobFiles = {
  readonly path: (digest: Digest) => string;
  readonly put: (digest: Digest, bytes: Uint8Array) => void;
  /** The bytes if they are the digest's; a wrong file is removed. */
  readonly read: (digest: Digest) => Buffer | undefined;
  /** As `read`, for files of any size, without keeping the bytes. */
  readonly verify: (digest: Digest) => Promise<boolean>;
  readonly remove: (digest: Digest) => void;
  readonly saveOrder: (keys: Iterable<DigestKey>) => void;
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
async function takeOrder(directory: string, writer: StoreWriter): Promise<readonly string[] | undefined> {
  try {
    const lines = (await readFile(join(directory, 'order'), 'latin1')).split('\n');
    writer.remove('order');
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

/** Lists the blobs of `directory`, which `writer` has made. */
export async function openBlobFiles(directory: string, writer: StoreWriter): Promise<FoundBlobs> {
  const order = await takeOrder(directory, writer);
  const found = await listBlobs(join(directory, 'blobs'));
  const { pack, found: packed } = openBlobPack(join(directory, 'pack'), writer);
  for (const key of packed.keys()) {
    const digest = parseDigestKey(key);
    if (digest !== undefined) found.set(key, digest);
  }
  const blobs = inOrder(found, order ?? []);
  return { files: blobFiles(directory, writer), blobs, clean: order !== undefined, pack, packed };
}

function blobFiles(directory: string, writer: StoreWriter): BlobFiles {
  const path = (digest: Digest): string => blobPath(directory, digest);
  const remove = (digest: Digest): void => writer.remove(digest);

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
      remove(digest);
    } catch {
      // Unreadable is as good as absent.
    }
    return false;
  };

  return {
    path,
    put: (digest, bytes) => writeWhole(writer, { kind: 'blob', digest }, bytes),
    read,
    verify,
    remove,
    saveOrder: (keys) => writeWhole(writer, { kind: 'replace', file: 'order' }, Buffer.from([...keys].join('\n'))),
  };
}
