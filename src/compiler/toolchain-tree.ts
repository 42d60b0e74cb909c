// A toolchain's members as a REAPI tree: physical paths, links as links, contents by digest.
import { createHash } from 'node:crypto';
import {
  closeSync,
  lstatSync,
  openSync,
  readSync,
  readdirSync,
  readlinkSync,
  statSync,
  type BigIntStats,
} from 'node:fs';
import { join } from 'node:path';
import {
  encodeDirectory,
  encodeDirectoryNode,
  encodeFileNode,
  encodeSymlinkNode,
} from '../reapi/directory-encoding.ts';
import { digestKey, digestOf, type Digest } from '../reapi/digest.ts';
import { isLeftOut, type Members } from './toolchain-members.ts';
import type { ToolchainFile, ToolchainLink, ToolchainTree } from './toolchain.ts';

/** Digests of files by what stat says of them, kept between runs: hashing 90 MB costs 50 ms. */
export type KnownDigests = Map<string, { readonly stamp: string; readonly hash: string }>;

type Collected = {
  readonly files: Set<string>;
  readonly links: Map<string, string>;
  readonly directories: Set<string>;
};

const mostLinks = 40;

/** Walks to `path` component by component, noting each link; gives the physical path, or undefined if nothing is there. */
export function walkTo(path: string, onLink: (path: string, target: string) => void): string | undefined {
  let rest = path.split('/').filter((name) => name !== '');
  let at = '';
  for (let followed = 0; rest.length > 0;) {
    const [name = '', ...after] = rest;
    rest = after;
    if (name === '.') continue;
    if (name === '..') {
      at = at.slice(0, Math.max(0, at.lastIndexOf('/')));
      continue;
    }
    const next = `${at}/${name}`;
    const found = lstatSync(next, { throwIfNoEntry: false });
    if (found === undefined) return undefined;
    if (!found.isSymbolicLink()) {
      at = next;
      continue;
    }
    if ((followed += 1) > mostLinks) return undefined;
    const target = readlinkSync(next);
    onLink(next, target);
    if (target.startsWith('/')) at = '';
    rest = [...target.split('/').filter((part) => part !== ''), ...rest];
  }
  return at === '' ? '/' : at;
}

function collectDirectory(collected: Collected, directory: string): void {
  collected.directories.add(directory);
  for (const entry of readdirSync(directory, { withFileTypes: true })) {
    if (isLeftOut(entry.name)) continue;
    const path = join(directory, entry.name);
    if (entry.isDirectory()) collectDirectory(collected, path);
    else if (entry.isFile()) collected.files.add(path);
    else if (entry.isSymbolicLink()) collectPath(collected, path);
  }
}

function collectPath(collected: Collected, path: string): void {
  const links: [string, string][] = [];
  const physical = walkTo(path, (from, target) => links.push([from, target]));
  if (physical === undefined) return;
  for (const [from, target] of links) collected.links.set(from, target);
  if (statSync(physical).isFile()) collected.files.add(physical);
  else collected.directories.add(physical);
}

function collect(members: Members): Collected {
  const collected: Collected = { files: new Set(), links: new Map(), directories: new Set() };
  for (const path of members.files) collectPath(collected, path);
  for (const path of members.wholeDirectories) {
    const physical = walkTo(path, (from, target) => collected.links.set(from, target));
    if (physical !== undefined) collectDirectory(collected, physical);
  }
  return collected;
}

// One for all: a new one for each of 500 files is memory that V8 collects after every few of them.
const chunk = Buffer.allocUnsafeSlow(1 << 20);

function hashFile(path: string): string {
  const hash = createHash('sha256');
  const fd = openSync(path, 'r');
  try {
    for (let got = readSync(fd, chunk); got > 0; got = readSync(fd, chunk)) hash.update(chunk.subarray(0, got));
  } finally {
    closeSync(fd);
  }
  return hash.digest('hex');
}

export function stampOf(found: Pick<BigIntStats, 'ino' | 'size' | 'mtimeNs' | 'ctimeNs'>): string {
  return `${found.ino}.${found.size}.${found.mtimeNs}.${found.ctimeNs}`;
}

function describe(path: string, known: KnownDigests): ToolchainFile {
  const found = statSync(path, { bigint: true });
  const stamp = stampOf(found);
  const kept = known.get(path);
  const hash = kept?.stamp === stamp ? kept.hash : hashFile(path);
  known.set(path, { stamp, hash });
  const sizeBytes = Number(found.size);
  return { path, digest: { hash, sizeBytes }, sizeBytes, executable: (found.mode & 0o111n) !== 0n };
}

type Node = {
  readonly files: Map<string, ToolchainFile>;
  readonly links: Map<string, string>;
  readonly children: Map<string, Node>;
};

const newNode = (): Node => ({ files: new Map(), links: new Map(), children: new Map() });

function nodeFor(root: Node, directory: string): Node {
  let node = root;
  for (const name of directory.split('/')) {
    if (name === '') continue;
    const child = node.children.get(name) ?? newNode();
    node.children.set(name, child);
    node = child;
  }
  return node;
}

function split(path: string): { readonly parent: string; readonly name: string } {
  const at = path.lastIndexOf('/');
  return { parent: path.slice(0, at), name: path.slice(at + 1) };
}

function encode(node: Node, messages: Map<string, Uint8Array>): Digest {
  const bytes = encodeDirectory({
    files: [...node.files].map(([name, file]) => ({ name, bytes: encodeFileNode({ name, ...file }) })),
    directories: [...node.children].map(([name, child]) => ({
      name,
      bytes: encodeDirectoryNode(name, encode(child, messages)),
    })),
    symlinks: [...node.links].map(([name, target]) => ({ name, bytes: encodeSymlinkNode(name, target) })),
  });
  const digest = digestOf(bytes);
  messages.set(digestKey(digest), bytes);
  return digest;
}

export type BuiltTree = { readonly tree: ToolchainTree; readonly digest: Digest };

function assemble(
  files: readonly ToolchainFile[],
  symlinks: readonly ToolchainLink[],
  directories: readonly string[],
): BuiltTree {
  const root = newNode();
  for (const directory of directories) nodeFor(root, directory);
  for (const file of files) {
    const { parent, name } = split(file.path);
    nodeFor(root, parent).files.set(name, file);
  }
  for (const link of symlinks) {
    const { parent, name } = split(link.path);
    nodeFor(root, parent).links.set(name, link.target);
  }
  const messages = new Map<string, Uint8Array>();
  const digest = encode(root, messages);
  return { tree: { files, symlinks, directories, messages }, digest };
}

/** The tree of these members as they are now. @throws if one of them cannot be read. */
export function buildTree(members: Members, known: KnownDigests): BuiltTree {
  const collected = collect(members);
  const files = [...collected.files].toSorted().map((path) => describe(path, known));
  const symlinks = [...collected.links].map(([path, target]) => ({ path, target }));
  return assemble(files, symlinks, [...collected.directories].toSorted());
}
