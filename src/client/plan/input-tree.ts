// The input root of a job, as REAPI Directory messages.
//
// All jobs of a build share one *layer*: the union of the files their closures reached. A job's root is the layer plus
// the job's own source, so it differs from another job's only in the Directories on the way to that source: some seven
// messages, where a tree of its own would be 350 files and 33 KB of metadata. A Directory, once encoded, is kept until
// something under it changes, and its bytes never change afterwards: jobs in flight hold on to them.
//
// Files of equal content carry their modification time, because gcc takes two paths of equal size, time and bytes for
// one file under `#pragma once`; with all times alike on the worker it would skip an include that it reads at home.
import type { FileEntry, TreeEntry } from '../../includes/types.ts';
import { digestOf, type Digest } from '../../reapi/digest.ts';
import {
  compareNames,
  encodeDirectoryNode,
  encodeFileNode,
  encodeSymlinkNode,
  joinEntries,
  type DirectoryEntries,
  type EncodedEntry,
} from '../../reapi/directory-encoding.ts';

/** One encoded Directory with what its digests stand for. Immutable. */
export type TreeDirectory = {
  readonly digest: Digest;
  readonly bytes: Buffer;
  readonly files: readonly FileEntry[];
  readonly children: ReadonlyMap<string, TreeDirectory>;
  /** The layer's Directory at this place: all of it is in this one too, but for a child that `children` names anew. */
  readonly over: TreeDirectory | undefined;
};

/** A Directory's entries, sorted, and the Directory made of them. */
type Encoded = { readonly entries: DirectoryEntries; readonly tree: TreeDirectory };

type Node = {
  readonly name: string;
  readonly parent: Node | undefined;
  readonly directories: Map<string, Node>;
  readonly files: Map<string, FileEntry>;
  readonly symlinks: Map<string, string>;
  encoded: Encoded | undefined;
};

export type Layer = {
  readonly root: Node;
  /** What stands at each path. */
  readonly present: Map<string, TreeEntry>;
  /** All that is present, by id: most entries of a job are there already, as the very objects, and this is how it is seen. */
  readonly byId: Map<number, TreeEntry>;
  readonly byHash: Map<string, Set<FileEntry>>;
  /** Of all files in it. */
  sizeBytes: number;
  /** When all of it was last compared with the disk, and the include view's generation then. */
  checked: { readonly atMs: number; readonly generation: number };
};

function newNode(name: string, parent: Node | undefined): Node {
  return { name, parent, directories: new Map(), files: new Map(), symlinks: new Map(), encoded: undefined };
}

export function newLayer(): Layer {
  return {
    root: newNode('', undefined),
    present: new Map(),
    byId: new Map(),
    byHash: new Map(),
    sizeBytes: 0,
    checked: { atMs: 0, generation: -1 },
  };
}

function touch(node: Node): void {
  for (let at: Node | undefined = node; at !== undefined; at = at.parent) {
    if (at.encoded === undefined && at !== node) return;
    at.encoded = undefined;
  }
}

function nodeAt(layer: Layer, path: string): Node {
  let node = layer.root;
  for (const name of path.split('/')) {
    if (name === '') continue;
    let child = node.directories.get(name);
    if (child === undefined) {
      child = newNode(name, node);
      node.directories.set(name, child);
      touch(node);
    }
    node = child;
  }
  return node;
}

function splitPath(path: string): { readonly parent: string; readonly name: string } {
  const at = path.lastIndexOf('/');
  return { parent: path.slice(0, at), name: path.slice(at + 1) };
}

function isShared(layer: Layer, file: FileEntry): boolean {
  return file.digest.sizeBytes > 0 && (layer.byHash.get(file.digest.hash)?.size ?? 0) > 1;
}

/** Notes the content; a second path of one content makes the Directories of both to be encoded anew, with times. */
function noteContent(layer: Layer, file: FileEntry): void {
  const same = layer.byHash.get(file.digest.hash);
  if (same === undefined) {
    layer.byHash.set(file.digest.hash, new Set([file]));
    return;
  }
  same.add(file);
  if (same.size === 2) for (const other of same) touch(nodeAt(layer, splitPath(other.path).parent));
}

/** @throws FileChangedError, before anything has been changed, if the entry's content is gone. */
function place(layer: Layer, entry: TreeEntry): void {
  if (entry.kind === 'file') void entry.digest;
  const before = layer.present.get(entry.path);
  if (before !== undefined && before.kind !== 'directory') removePath(layer, entry.path);
  if (entry.kind === 'directory') nodeAt(layer, entry.path);
  else {
    const { parent, name } = splitPath(entry.path);
    const node = nodeAt(layer, parent);
    if (entry.kind === 'file') node.files.set(name, entry);
    else node.symlinks.set(name, entry.target);
    touch(node);
    if (entry.kind === 'file') {
      noteContent(layer, entry);
      layer.sizeBytes += entry.digest.sizeBytes;
    }
  }
  if (before !== undefined) layer.byId.delete(before.id);
  layer.present.set(entry.path, entry);
  layer.byId.set(entry.id, entry);
}

/** Adds what is not there yet, and puts the current version in place of an older one. */
export function addToLayer(layer: Layer, entries: readonly TreeEntry[], except?: FileEntry): void {
  for (const entry of entries) {
    if (layer.byId.get(entry.id) !== entry && entry !== except) place(layer, entry);
  }
}

function drop(layer: Layer, path: string, entry: TreeEntry): void {
  layer.present.delete(path);
  layer.byId.delete(entry.id);
  if (entry.kind !== 'file') return;
  layer.byHash.get(entry.digest.hash)?.delete(entry);
  layer.sizeBytes -= entry.digest.sizeBytes;
}

/** Takes out what no longer exists at home, or not as it is here, with all that was below it. */
export function removePath(layer: Layer, path: string): void {
  const { parent, name } = splitPath(path);
  const node = nodeAt(layer, parent);
  if (node.directories.delete(name)) {
    for (const [below, entry] of layer.present) {
      if (below.startsWith(`${path}/`)) drop(layer, below, entry);
    }
  }
  node.files.delete(name);
  node.symlinks.delete(name);
  const entry = layer.present.get(path);
  if (entry !== undefined) drop(layer, path, entry);
  touch(node);
}

function encodeFile(layer: Layer, name: string, file: FileEntry): Buffer {
  const { digest, executable } = file;
  return encodeFileNode(
    isShared(layer, file) ? { name, digest, executable, mtimeNs: file.mtimeNs } : { name, digest, executable },
  );
}

// Bytes of a FileNode without a time never change: they are made once a file of the layer. Not of a job's own source: the
// 100 bytes of each would keep 8 KB of Node's pool of buffers alive, 40 MB in a build of 5,000.
const plainNodes = new WeakMap<FileEntry, Buffer>();

function encodeLayerFile(layer: Layer, name: string, file: FileEntry): Buffer {
  if (isShared(layer, file)) return encodeFile(layer, name, file);
  let bytes = plainNodes.get(file);
  if (bytes === undefined) {
    bytes = encodeFile(layer, name, file);
    plainNodes.set(file, bytes);
  }
  return bytes;
}

const sorted = (entries: EncodedEntry[]): EncodedEntry[] => entries.toSorted((a, b) => compareNames(a.name, b.name));

/** The node and all below it, encoded; kept until something there changes. */
function encodeNode(layer: Layer, node: Node): Encoded {
  if (node.encoded !== undefined) return node.encoded;
  const children = [...node.directories].map(([name, child]) => ({ name, tree: encodeNode(layer, child).tree }));
  const entries: DirectoryEntries = {
    files: sorted([...node.files].map(([name, file]) => ({ name, bytes: encodeLayerFile(layer, name, file) }))),
    directories: sorted(children.map(({ name, tree }) => ({ name, bytes: encodeDirectoryNode(name, tree.digest) }))),
    symlinks: sorted([...node.symlinks].map(([name, target]) => ({ name, bytes: encodeSymlinkNode(name, target) }))),
  };
  const tree = treeOf(entries, [...node.files.values()], new Map(children.map(({ name, tree }) => [name, tree])));
  node.encoded = { entries, tree };
  return node.encoded;
}

function treeOf(
  entries: DirectoryEntries,
  files: readonly FileEntry[],
  children: ReadonlyMap<string, TreeDirectory>,
): TreeDirectory {
  const bytes = joinEntries(entries);
  return { digest: digestOf(bytes), bytes, files, children, over: undefined };
}

/** The entries with one more, or with one in place of the one of its name. */
function withEntry(entries: readonly EncodedEntry[], entry: EncodedEntry): EncodedEntry[] {
  const at = entries.findIndex(({ name }) => compareNames(name, entry.name) >= 0);
  if (at < 0) return [...entries, entry];
  return [...entries.slice(0, at), entry, ...entries.slice(entries[at]?.name === entry.name ? at + 1 : at)];
}

/** The node with one file more, `names` below it: only the Directories on the way there are made anew. */
function encodeWith(layer: Layer, node: Node, names: readonly string[], file: FileEntry): TreeDirectory {
  const { entries, tree } = encodeNode(layer, node);
  const [name = '', ...deeper] = names;
  if (deeper.length === 0) {
    const files = withEntry(entries.files, { name, bytes: encodeFile(layer, name, file) });
    return { ...treeOf({ ...entries, files }, [file], noChildren), over: tree };
  }
  const child = encodeWith(layer, node.directories.get(name) ?? newNode(name, node), deeper, file);
  const directories = withEntry(entries.directories, { name, bytes: encodeDirectoryNode(name, child.digest) });
  return { ...treeOf({ ...entries, directories }, [], new Map([[name, child]])), over: tree };
}

const noChildren: ReadonlyMap<string, TreeDirectory> = new Map();

/**
 * The root for one job: the layer and the job's own source. A source whose content also stands elsewhere in the layer
 * joins the layer, so that both paths carry their times.
 */
export function rootFor(layer: Layer, source: FileEntry): TreeDirectory {
  if (layer.byId.get(source.id) === source) return encodeNode(layer, layer.root).tree;
  const twins = layer.byHash.get(source.digest.hash);
  if (layer.present.has(source.path) || (source.digest.sizeBytes > 0 && twins !== undefined && twins.size > 0)) {
    place(layer, source);
    return encodeNode(layer, layer.root).tree;
  }
  const names = source.path.split('/').filter((name) => name !== '');
  return encodeWith(layer, layer.root, names, source);
}

export type TreeBlob = {
  readonly digest: Digest;
  readonly bytes: () => Buffer;
  /** For what differs little from job to job: a name that the like of it has in every job. */
  readonly place?: string;
};

/** What a host is known to hold. */
export type Holdings = {
  /** A Directory's digest stands for everything below it. */
  readonly has: (digest: Digest) => boolean;
  /** Directories of the layer all of whose files it holds, though perhaps not the Directory itself. */
  readonly filled: WeakSet<TreeDirectory>;
};

/** Every blob of the tree that the host is not known to hold, and Directories to be noted as filled once it does. */
export function blobsMissing(
  root: TreeDirectory,
  { has, filled }: Holdings,
): { readonly blobs: TreeBlob[]; readonly nowFilled: TreeDirectory[] } {
  const blobs: TreeBlob[] = [];
  const nowFilled: TreeDirectory[] = [];
  const seen = new Set<string>();
  const isNew = ({ digest }: { readonly digest: Digest }): boolean => {
    if (seen.has(digest.hash) || has(digest)) return false;
    seen.add(digest.hash);
    return true;
  };
  const fill = (directory: TreeDirectory): void => {
    if (filled.has(directory)) return;
    for (const file of directory.files) if (isNew(file)) blobs.push({ digest: file.digest, bytes: file.bytes });
    nowFilled.push(directory);
  };
  const visit = (directory: TreeDirectory, place: string): void => {
    if (!isNew(directory)) return;
    const { over, children } = directory;
    for (const [name, child] of children) visit(child, `${place}/${name}`);
    for (const [name, child] of over?.children ?? noChildren) {
      if (!children.has(name)) visit(child, `${place}/${name}`);
    }
    fill(directory);
    if (over !== undefined) fill(over);
    blobs.push({ digest: directory.digest, bytes: () => directory.bytes, place: `${place}/` });
  };
  visit(root, '');
  return { blobs, nowFilled };
}
