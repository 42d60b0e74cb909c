// A toolchain's tree as a directory of copies. It is made under another name and renamed when every file has been found
// to have its digest; one that an earlier process made is checked again, because nothing forces it to disk. Files of
// equal content in two toolchains are one inode; within a toolchain each path has its own, because clang takes two paths
// of one inode for one file. Times are those of the box's files: gcc compares them where contents are equal.
import { createHash } from 'node:crypto';
import { constants, createReadStream, linkSync, mkdirSync, symlinkSync } from 'node:fs';
import { chmod, copyFile, rename, rm, stat, utimes } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { ToolchainFile, ToolchainTree } from '../compiler/toolchain.ts';
import { digestKey, type DigestKey } from '../reapi/digest.ts';

/** A laid-out file of each content and mode. */
export type LaidFiles = Map<`${DigestKey}${'' | ' x'}`, string>;

async function isIntact(path: string, { digest }: ToolchainFile): Promise<boolean> {
  try {
    if ((await stat(path)).size !== digest.sizeBytes) return false;
    const hash = createHash('sha256');
    for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 })) hash.update(chunk as Buffer);
    return hash.digest('hex') === digest.hash;
  } catch {
    return false;
  }
}

async function isWhole(path: string, tree: ToolchainTree): Promise<boolean> {
  for (const file of tree.files) {
    if (!(await isIntact(join(path, file.path), file))) return false;
  }
  return true;
}

function keyOf(file: ToolchainFile): `${DigestKey}${'' | ' x'}` {
  return `${digestKey(file.digest)}${file.executable ? ' x' : ''}`;
}

async function place(file: ToolchainFile, target: string, shared: string | undefined): Promise<void> {
  mkdirSync(dirname(target), { recursive: true });
  if (shared !== undefined) {
    try {
      linkSync(shared, target);
      return;
    } catch {
      // Removed meanwhile, or too many links: a copy does as well.
    }
  }
  const { mtime } = await stat(file.path);
  await copyFile(file.path, target, constants.COPYFILE_FICLONE);
  await chmod(target, file.executable ? 0o555 : 0o444);
  await utimes(target, mtime, mtime);
  if (!(await isIntact(target, file))) throw new Error(`${file.path} has changed since it was looked at`);
}

async function make(path: string, tree: ToolchainTree, laid: LaidFiles): Promise<void> {
  const making = `${path}.making`;
  await rm(making, { recursive: true, force: true });
  mkdirSync(making, { recursive: true, mode: 0o755 });
  const linked = new Set<string>();
  for (const file of tree.files) {
    const key = keyOf(file);
    const shared = linked.has(key) ? undefined : laid.get(key);
    linked.add(key);
    await place(file, join(making, file.path), shared);
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
