// A toolchain's tree as a directory of copies. It is made under another name and renamed when every file has been found
// to have its digest; one that an earlier process made is checked again, because nothing forces it to disk. Files of
// equal content in two toolchains are one inode; within a toolchain each path has its own, because clang takes two paths
// of one inode for one file. Times are those of the box's files: gcc compares them where contents are equal.
import { createHash } from 'node:crypto';
import {
  chmodSync,
  constants,
  createReadStream,
  linkSync,
  mkdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { copyFile, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { ToolchainFile, ToolchainTree } from '../../compiler/toolchain.ts';
import { digestKey, digestOf, sameDigest, type DigestKey } from '../../reapi/digest.ts';

/** A laid-out file of each content and mode. */
export type LaidFiles = Map<`${DigestKey}${'' | ' x'}`, string>;

// Below this a file is copied in one turn; a dozen of a compiler's thousand files are larger.
const smallFileBytes = 1 << 20;
const filesAtOnce = 16;

/** The bytes of a small file if they are the digest's. */
function intactBytes(path: string, { digest }: ToolchainFile): Buffer | undefined {
  const bytes = readFileSync(path);
  return sameDigest(digestOf(bytes), digest) ? bytes : undefined;
}

async function isIntact(path: string, file: ToolchainFile): Promise<boolean> {
  try {
    if (statSync(path).size !== file.digest.sizeBytes) return false;
    if (file.digest.sizeBytes < smallFileBytes) return intactBytes(path, file) !== undefined;
    const hash = createHash('sha256');
    for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 })) hash.update(chunk as Buffer);
    return hash.digest('hex') === file.digest.hash;
  } catch {
    return false;
  }
}

const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

async function isWhole(path: string, tree: ToolchainTree): Promise<boolean> {
  for (const [at, file] of tree.files.entries()) {
    if (!(await isIntact(join(path, file.path), file))) return false;
    if (at % filesAtOnce === 0) await nextTurn();
  }
  return true;
}

function keyOf(file: ToolchainFile): `${DigestKey}${'' | ' x'}` {
  return `${digestKey(file.digest)}${file.executable ? ' x' : ''}`;
}

function linked(shared: string | undefined, target: string): boolean {
  if (shared === undefined) return false;
  try {
    linkSync(shared, target);
    return true;
  } catch {
    // Removed meanwhile, or too many links: a copy does as well.
    return false;
  }
}

async function place(file: ToolchainFile, target: string, shared: string | undefined): Promise<void> {
  mkdirSync(dirname(target), { recursive: true });
  if (linked(shared, target)) return;
  const { mtime } = statSync(file.path);
  const mode = file.executable ? 0o555 : 0o444;
  let intact: boolean;
  if (file.digest.sizeBytes < smallFileBytes) {
    const bytes = intactBytes(file.path, file);
    intact = bytes !== undefined;
    if (bytes !== undefined) writeFileSync(target, bytes, { mode });
  } else {
    await copyFile(file.path, target, constants.COPYFILE_FICLONE);
    chmodSync(target, mode);
    intact = await isIntact(target, file);
  }
  if (!intact) throw new Error(`${file.path} has changed since it was looked at`);
  utimesSync(target, mtime, mtime);
}

async function make(path: string, tree: ToolchainTree, laid: LaidFiles): Promise<void> {
  const making = `${path}.making`;
  await rm(making, { recursive: true, force: true });
  mkdirSync(making, { recursive: true, mode: 0o755 });
  const placed = new Set<string>();
  for (const [at, file] of tree.files.entries()) {
    const key = keyOf(file);
    const shared = placed.has(key) ? undefined : laid.get(key);
    placed.add(key);
    await place(file, join(making, file.path), shared);
    if (at % filesAtOnce === 0) await nextTurn();
  }
  for (const each of tree.directories) mkdirSync(join(making, each), { recursive: true });
  for (const { path: link, target } of tree.symlinks) {
    const at = join(making, link);
    mkdirSync(dirname(at), { recursive: true });
    symlinkSync(target, at);
  }
  await rm(path, { recursive: true, force: true });
  await rename(making, path);
}

/** Makes the directory, or takes the one that is there. @throws if a file of the box is not what the tree says. */
export async function layOutToolchain(path: string, tree: ToolchainTree, laid: LaidFiles): Promise<string> {
  if (!(await isWhole(path, tree))) await make(path, tree, laid);
  for (const file of tree.files) {
    const key = keyOf(file);
    if (!laid.has(key)) laid.set(key, join(path, file.path));
  }
  return path;
}
