// What stands between a tree that is laid out on disk and the Merkle tree that a job wants. Pure.
//
// A laid-out node that equals a Directory carries its digest, and is then compared by that alone: two jobs of a build
// differ in the Directories on the way to their sources, some seven of hundreds. A node without a digest holds more than
// any one Directory (files of an earlier tree that nobody removed) or less (sources, which are never laid out).
//
// Overlay layers only ever add: a name that the wanted tree has, of whatever kind, hides what lower layers have under
// it, and a name that it lacks has to be deleted by the job's own layer.
import { digestKey, emptyDigest, sameDigest, type Digest, type DigestKey } from '../../reapi/digest.ts';
import { invalidTree, type Directories, type TreeEntries, type TreeFile } from './directories.ts';

export type LaidTree = {
  readonly digest: Digest | undefined;
  readonly files: ReadonlyMap<string, TreeFile>;
  readonly directories: ReadonlyMap<string, LaidTree>;
  readonly symlinks: ReadonlyMap<string, string>;
};

export const emptyTree: LaidTree = { digest: undefined, files: new Map(), directories: new Map(), symlinks: new Map() };

export type PlacedFile = { readonly path: string; readonly file: TreeFile };

/** Paths are relative to the root, without leading slash. */
export type TreeDifference = {
  readonly files: PlacedFile[];
  readonly symlinks: { readonly path: string; readonly target: string }[];
  /** New directories that nothing else of the difference is in. */
  readonly directories: string[];
  /** The topmost of what is not wanted. */
  readonly deletions: string[];
};

export type DifferenceBound = {
  /** Files that may differ without being counted: the job's own sources. */
  readonly isOwn: (path: string) => boolean;
  readonly maxEntries: number;
  readonly maxBytes: number;
};

// Against trees that are small as messages and endless as paths: a hundred Directories, each twice in the next.
const maxEntries = 300_000;
const maxDepth = 256;
const maxPathBytes = 4000;

/** A Directory of the wanted tree is not in the store. */
export class MissingDirectory extends Error {
  readonly code = 'MISSING_DIRECTORY';
}

function readDirectory(directories: Directories, digest: Digest): TreeEntries {
  const entries = directories.read(digest);
  if (entries === undefined) throw new MissingDirectory(digest.hash);
  return entries;
}

function sameFile(a: TreeFile, b: TreeFile): boolean {
  return a === b || (sameDigest(a.digest, b.digest) && a.executable === b.executable && a.mtimeNs === b.mtimeNs);
}

const has = (entries: TreeEntries, name: string): boolean =>
  entries.files.has(name) || entries.directories.has(name) || entries.symlinks.has(name);

class BoundReached extends Error {}

/** A laid-out file hides one of the toolchain's that the job has to see. */
class Unfit extends Error {}

/** What stands at a path below all laid-out trees: in the toolchain. */
export type KindBelow = (path: string) => 'directory' | 'other' | undefined;

type Walk = {
  readonly directories: Directories;
  readonly bound: DifferenceBound | undefined;
  readonly isMade: (path: string) => boolean;
  readonly kindBelow: KindBelow;
  readonly out: TreeDifference;
  entries: number;
  countedEntries: number;
  countedBytes: number;
};

function count(walk: Walk, path: string, sizeBytes: number): void {
  walk.entries += 1;
  if (walk.entries > maxEntries) throw invalidTree(`more than ${maxEntries} entries`);
  if (path.length > maxPathBytes) throw invalidTree('a path is too long');
  if (walk.bound === undefined || walk.bound.isOwn(path)) return;
  walk.countedEntries += 1;
  walk.countedBytes += sizeBytes;
  if (walk.countedEntries > walk.bound.maxEntries || walk.countedBytes > walk.bound.maxBytes) throw new BoundReached();
}

function addFile(walk: Walk, path: string, file: TreeFile): void {
  count(walk, path, file.digest.sizeBytes);
  walk.out.files.push({ path, file });
}

/** `path` is empty for the root, else ends in a slash. */
function compare(walk: Walk, laid: LaidTree, wanted: TreeEntries, place: { path: string; depth: number }): void {
  const { path, depth } = place;
  walk.entries += 1;
  if (depth > maxDepth) throw invalidTree(`directories more than ${maxDepth} deep`);
  let met = 0;
  for (const [name, file] of wanted.files) {
    const known = laid.files.get(name);
    if (known !== undefined) met += 1;
    if (known === undefined || !sameFile(known, file)) addFile(walk, path + name, file);
  }
  for (const [name, target] of wanted.symlinks) {
    const known = laid.symlinks.get(name);
    if (known !== undefined) met += 1;
    if (known === target) continue;
    count(walk, path + name, 0);
    walk.out.symlinks.push({ path: path + name, target });
  }
  for (const [name, digest] of wanted.directories) {
    const known = laid.directories.get(name);
    if (known !== undefined) met += 1;
    if (known?.digest !== undefined && sameDigest(known.digest, digest)) continue;
    const entries = readDirectory(walk.directories, digest);
    if (known === undefined && isEmpty(entries)) {
      count(walk, path + name, 0);
      walk.out.directories.push(path + name);
    }
    compare(walk, known ?? emptyTree, entries, { path: `${path}${name}/`, depth: depth + 1 });
  }
  if (met < laid.files.size + laid.symlinks.size + laid.directories.size) findDeletions(walk, laid, wanted, path);
}

function isEmpty(entries: TreeEntries): boolean {
  return entries.files.size + entries.directories.size + entries.symlinks.size === 0;
}

function findDeletions(walk: Walk, laid: LaidTree, wanted: TreeEntries, path: string): void {
  const remove = (name: string): void => {
    count(walk, path + name, 0);
    walk.out.deletions.push(path + name);
  };
  for (const names of [laid.files, laid.symlinks]) {
    for (const name of names.keys()) {
      if (has(wanted, name)) continue;
      if (walk.kindBelow(path + name) !== undefined) throw new Unfit();
      if (!walk.isMade(path + name)) remove(name);
    }
  }
  for (const [name, below] of laid.directories) {
    if (has(wanted, name)) continue;
    const kind = walk.kindBelow(path + name);
    if (kind === 'other') throw new Unfit();
    if (kind === 'directory' || walk.isMade(path + name)) findDeletions(walk, below, nothing, `${path}${name}/`);
    else remove(name);
  }
}

const nothing: TreeEntries = { digest: emptyDigest, files: new Map(), directories: new Map(), symlinks: new Map() };

/** True for the paths themselves, and for all that is above them. */
function isAtOrAbove(made: readonly string[]): (path: string) => boolean {
  let places: Set<string> | undefined;
  return (path) => {
    if (places === undefined) {
      places = new Set(made);
      for (const each of made) {
        for (let at = each.lastIndexOf('/'); at > 0; at = each.lastIndexOf('/', at - 1)) places.add(each.slice(0, at));
      }
    }
    return places.has(path);
  };
}

export type TreePair = {
  readonly laid: LaidTree;
  readonly root: Digest;
  /** Directories that the job's own layer has: what stands in their place below is hidden by them, not deleted. */
  readonly made: readonly string[];
  /** Deleting a directory deletes it in every layer: what the toolchain has stays. */
  readonly kindBelow: KindBelow;
};

/** The difference; undefined if it is beyond the bound, or cannot be had by adding and deleting. @throws MissingDirectory, GrpcError INVALID_ARGUMENT. */
export function differenceWithin(
  directories: Directories,
  { laid, root, made, kindBelow }: TreePair,
  bound: DifferenceBound | undefined,
): TreeDifference | undefined {
  const out: TreeDifference = { files: [], symlinks: [], directories: [], deletions: [] };
  if (laid.digest !== undefined && sameDigest(laid.digest, root)) return out;
  const walk: Walk = {
    directories,
    bound,
    isMade: isAtOrAbove(made),
    kindBelow,
    out,
    entries: 0,
    countedEntries: 0,
    countedBytes: 0,
  };
  try {
    compare(walk, laid, readDirectory(directories, root), { path: '', depth: 0 });
  } catch (error) {
    if (error instanceof BoundReached || error instanceof Unfit) return undefined;
    throw error;
  }
  return out;
}

/**
 * The laid-out tree after everything of `root` that is new in it has been put on top, except the files that `isOwn`
 * names. Shares every subtree that stays.
 */
export function extended(
  directories: Directories,
  trees: Pick<TreePair, 'laid' | 'root'>,
  isOwn: (path: string) => boolean,
): LaidTree {
  const extend = (laid: LaidTree, digest: Digest, path: string): LaidTree => {
    if (laid.digest !== undefined && sameDigest(laid.digest, digest)) return laid;
    const wanted = readDirectory(directories, digest);
    const below = new Map<string, LaidTree>();
    let exact = true;
    for (const [name, child] of wanted.directories) {
      const node = extend(laid.directories.get(name) ?? emptyTree, child, `${path}${name}/`);
      below.set(name, node);
      exact &&= node.digest !== undefined;
    }
    const own = new Set<string>();
    for (const [name, file] of wanted.files) {
      if (isOwn(path + name) && !isLaid(laid, name, file)) own.add(name);
    }
    const left = leftOver(laid, (name) => has(wanted, name) && !own.has(name));
    if (left === undefined && own.size === 0) {
      return { digest: exact ? digest : undefined, files: wanted.files, directories: below, symlinks: wanted.symlinks };
    }
    const files = new Map(left?.files);
    for (const [name, file] of wanted.files) if (!own.has(name)) files.set(name, file);
    const symlinks = new Map([...(left?.symlinks ?? []), ...wanted.symlinks]);
    for (const [name, node] of left?.directories ?? []) below.set(name, node);
    return { digest: undefined, files, directories: below, symlinks };
  };
  return extend(trees.laid, trees.root, '');
}

function isLaid(laid: LaidTree, name: string, file: TreeFile): boolean {
  const known = laid.files.get(name);
  return known !== undefined && sameFile(known, file);
}

/** The part of the tree whose names are not covered, or undefined if that is nothing. */
function leftOver(laid: LaidTree, isCovered: (name: string) => boolean): LaidTree | undefined {
  const pick = <T>(map: ReadonlyMap<string, T>): Map<string, T> =>
    new Map([...map].filter(([name]) => !isCovered(name)));
  const [files, directories, symlinks] = [pick(laid.files), pick(laid.directories), pick(laid.symlinks)];
  if (files.size + directories.size + symlinks.size === 0) return undefined;
  return { digest: undefined, files, directories, symlinks };
}

/** Every digest below `root`, Directories and files, that is not in the store: what a client has to send. */
export function missingBelow(
  directories: Directories,
  root: Digest,
  missing: (digests: Iterable<Digest>) => Digest[],
): Digest[] {
  const files = new Map<DigestKey, Digest>();
  const seen = new Map<DigestKey, Digest>([[digestKey(root), root]]);
  const absent: Digest[] = [];
  for (const digest of seen.values()) {
    const entries = directories.read(digest);
    if (entries === undefined) absent.push(digest);
    else {
      for (const child of entries.directories.values()) seen.set(digestKey(child), child);
      for (const { digest: file } of entries.files.values()) files.set(digestKey(file), file);
    }
    if (seen.size + files.size > maxEntries) throw invalidTree(`more than ${maxEntries} entries`);
  }
  return [...absent, ...missing(files.values())];
}
