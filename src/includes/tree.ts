// Directories and the names in them, as last seen.
//
// Paths are resolved here, component by component, from cached listings: thousands of "is there such a header" per
// compile cost no system call. A directory is stat'ed at most once an epoch and listed again only if its times changed;
// and only if a name that somebody had asked for came, went or became something else does `generation` rise, which is
// what makes others work out their conclusions anew. An object file that appears in a build directory changes nothing.
import { kindOfMode, type EntryKind, type FileStat, type Files } from './files.ts';
import type { DirectoryEntry, SymlinkEntry } from './types.ts';

export type Directory = {
  readonly path: string;
  readonly parent: Directory | undefined;
  /** The name it was reached by; the root has none. */
  readonly place: Place | undefined;
  readonly entry: DirectoryEntry;
  /** What was asked for, and is or (null) is not there. */
  readonly asked: Map<string, Place | null>;
  /** The listing; undefined while only single names were asked for on the way to deeper ones, or if it is forbidden. */
  names: ReadonlyMap<string, EntryKind> | undefined;
  isListable: boolean;
  /** Names in the listing that end in .gch or .pch. */
  precompiled: ReadonlySet<string>;
  stat: FileStat | undefined;
  isSettled: boolean;
  checkedEpoch: number;
  /** The toolchain that this directory was checked under; toolchains are watched by others. */
  vouchedBy: string | undefined;
  /** The last walk that took it along. */
  visit: number;
};

/** A name in a physical directory that is there, or once was. */
export type Place = {
  readonly id: number;
  readonly directory: Directory;
  readonly name: string;
  readonly path: string;
  kind: EntryKind | 'absent';
  /** For a symbolic link. */
  link: SymlinkEntry | undefined;
  child: Directory | undefined;
  visit: number;
};

/** How to look: once per epoch, or, inside a toolchain, once per toolchain. */
export type Look = { readonly epoch: number; readonly vouchedBy: (directory: Directory) => string | undefined };

/** What was passed on the way to a name: all of it decides where the name leads. */
export type Trail = { readonly directories: Set<Directory>; readonly links: Set<Place> };

export type Tree = {
  readonly files: Files;
  readonly nowNs: () => bigint;
  readonly root: Directory;
  readonly places: Place[];
  generation: number;
  directoryStats: number;
  directoriesListed: number;
};

// Before Linux 6.13 two writes within one tick of the clock (up to 10 ms) leave the same times; what was read so soon
// after a change may be older than its times say.
const tickNs = 20_000_000n;

/**
 * True if a later change is bound to show in the times. ctime is the kernel's own clock, so a record whose ctime was
 * older than a tick when it was read differs from any later state by at least the age; mtime can be set at will, and only
 * matters if it is close to now.
 */
export function isSettled(stat: FileStat, readAtNs: bigint): boolean {
  const mtimeAge = readAtNs - stat.mtimeNs;
  return readAtNs - stat.ctimeNs > tickNs && (mtimeAge > tickNs || mtimeAge < -tickNs);
}

export function sameStat(a: FileStat, b: FileStat): boolean {
  return (
    a.mtimeNs === b.mtimeNs &&
    a.ctimeNs === b.ctimeNs &&
    a.size === b.size &&
    a.ino === b.ino &&
    a.dev === b.dev &&
    a.mode === b.mode
  );
}

const noNames: ReadonlySet<string> = new Set();

function newDirectory(id: number, path: string, place: Place | undefined): Directory {
  return {
    path,
    parent: place?.directory,
    place,
    entry: { kind: 'directory', id, path },
    asked: new Map(),
    names: undefined,
    isListable: true,
    precompiled: noNames,
    stat: undefined,
    isSettled: false,
    checkedEpoch: -1,
    vouchedBy: undefined,
    visit: 0,
  };
}

export function newTree(files: Files, nowNs: () => bigint): Tree {
  return {
    files,
    nowNs,
    root: newDirectory(-1, '/', undefined),
    places: [],
    generation: 0,
    directoryStats: 0,
    directoriesListed: 0,
  };
}

function pathIn(directory: Directory, name: string): string {
  return directory.parent === undefined ? `/${name}` : `${directory.path}/${name}`;
}

/** Brings what is known of a directory up to date. */
export function checkDirectory(tree: Tree, directory: Directory, look: Look): void {
  if (directory.checkedEpoch === look.epoch) return;
  const vouchedBy = look.vouchedBy(directory);
  if (vouchedBy !== undefined && directory.vouchedBy === vouchedBy) return;
  directory.checkedEpoch = look.epoch;
  directory.vouchedBy = vouchedBy;
  const nowNs = tree.nowNs();
  const stat = tree.files.stat(directory.path);
  tree.directoryStats++;
  const before = directory.stat;
  directory.stat = stat;
  if (before !== undefined && stat !== undefined && directory.isSettled && sameStat(before, stat)) return;
  directory.isSettled = stat !== undefined && isSettled(stat, nowNs);
  if (before === undefined && directory.asked.size === 0) return;
  refresh(tree, directory);
}

function isThere(stat: FileStat | undefined): boolean {
  return stat !== undefined && kindOfMode(stat.mode) === 'directory';
}

/** Compares every name that was asked for with what is there now. */
function refresh(tree: Tree, directory: Directory): void {
  const precompiled = directory.precompiled;
  if (directory.names !== undefined) list(tree, directory);
  if (!sameNames(precompiled, directory.precompiled)) tree.generation++;
  for (const [name, place] of directory.asked) {
    const kind = kindNow(tree, directory, name);
    if (place === null) {
      if (kind === undefined) continue;
      directory.asked.delete(name);
      tree.generation++;
    } else if (place.kind !== (kind ?? 'absent') || place.link?.target !== targetNow(tree, place.path, kind)) {
      setKind(tree, place, kind ?? 'absent');
      tree.generation++;
    }
  }
}

function sameNames(a: ReadonlySet<string>, b: ReadonlySet<string>): boolean {
  if (a.size !== b.size) return false;
  for (const name of a) if (!b.has(name)) return false;
  return true;
}

function list(tree: Tree, directory: Directory): void {
  const names = isThere(directory.stat) ? tree.files.list(directory.path) : new Map<string, EntryKind>();
  tree.directoriesListed++;
  directory.names = names;
  directory.isListable = names !== undefined;
  const precompiled = [...(names?.keys() ?? [])].filter((name) => name.endsWith('.gch') || name.endsWith('.pch'));
  directory.precompiled = precompiled.length === 0 ? noNames : new Set(precompiled);
}

function kindNow(tree: Tree, directory: Directory, name: string): EntryKind | undefined {
  if (directory.names !== undefined) return directory.names.get(name);
  return isThere(directory.stat) ? tree.files.kindOf(pathIn(directory, name)) : undefined;
}

function targetNow(tree: Tree, path: string, kind: EntryKind | undefined): string | undefined {
  return kind === 'symlink' ? tree.files.readLink(path) : undefined;
}

function setKind(tree: Tree, place: Place, kind: EntryKind | 'absent'): void {
  const target = kind === 'symlink' ? tree.files.readLink(place.path) : undefined;
  // A link that went away meanwhile will be seen at the next check.
  place.kind = kind === 'symlink' && target === undefined ? 'absent' : kind;
  place.link = target === undefined ? undefined : { kind: 'symlink', id: place.id, path: place.path, target };
}

/**
 * The place of a name in a directory. `isSearch`: a header is looked for, so more names will follow and the directory is
 * listed; on the way to somewhere (through /tmp, say) only the one name is asked for.
 */
export function placeIn(
  tree: Tree,
  directory: Directory,
  name: string,
  look: Look,
  isSearch: boolean,
): Place | undefined {
  checkDirectory(tree, directory, look);
  if (isSearch && directory.names === undefined && directory.isListable) {
    list(tree, directory);
    if (directory.asked.size > 0) refresh(tree, directory);
  }
  const known = directory.asked.get(name);
  if (known !== undefined) return known === null || known.kind === 'absent' ? undefined : known;
  const kind = kindNow(tree, directory, name);
  if (kind === undefined) {
    directory.asked.set(name, null);
    return undefined;
  }
  const path = pathIn(directory, name);
  const id = tree.places.length;
  const place: Place = { id, directory, name, path, kind, link: undefined, child: undefined, visit: 0 };
  tree.places.push(place);
  if (kind === 'symlink') setKind(tree, place, kind);
  directory.asked.set(name, place);
  return place.kind === 'absent' ? undefined : place;
}

/** True if a precompiled form of the header would be found in the directory, whether or not the header is. */
export function hasPrecompiled(tree: Tree, directory: Directory, name: string, look: Look): boolean {
  if (directory.names !== undefined) return directory.precompiled.size > 0 && directory.precompiled.has(name);
  return placeIn(tree, directory, name, look, true) !== undefined;
}

function childOf(place: Place): Directory {
  place.child ??= newDirectory(place.id, place.path, place);
  return place.child;
}

export type Arrival =
  | { readonly kind: 'place'; readonly spelled: Place; readonly final: Place }
  | { readonly kind: 'directory'; readonly directory: Directory };

// As the kernel does.
const maxLinks = 40;

export type Route = { readonly look: Look; readonly trail: Trail; readonly isSearch: boolean };

export function newTrail(): Trail {
  return { directories: new Set(), links: new Set() };
}

/** Follows a path as the kernel would; `..` behind a link is the parent of where the link leads. */
export function follow(tree: Tree, from: Directory, path: string, route: Route): Arrival | undefined {
  return walk(tree, path.startsWith('/') ? tree.root : from, path.split('/'), route, { left: maxLinks });
}

type Budget = { left: number };

function walk(
  tree: Tree,
  from: Directory,
  names: readonly string[],
  route: Route,
  budget: Budget,
): Arrival | undefined {
  let at = from;
  let last = names.length - 1;
  while (last >= 0 && (names[last] === '' || names[last] === '.')) last--;
  for (let i = 0; i <= last; i++) {
    const name = names[i] ?? '';
    if (name === '' || name === '.') continue;
    route.trail.directories.add(at);
    if (name === '..') {
      at = at.parent ?? at;
      continue;
    }
    const place = placeIn(tree, at, name, route.look, route.isSearch && i === last);
    if (place === undefined) return undefined;
    const arrival = arriveAt(tree, place, route, budget);
    if (i === last || arrival === undefined) return arrival;
    if (arrival.kind !== 'directory') return undefined;
    at = arrival.directory;
  }
  route.trail.directories.add(at);
  return { kind: 'directory', directory: at };
}

function arriveAt(tree: Tree, place: Place, route: Route, budget: Budget): Arrival | undefined {
  if (place.kind === 'directory') {
    const directory = childOf(place);
    route.trail.directories.add(directory);
    return { kind: 'directory', directory };
  }
  if (place.link === undefined) return { kind: 'place', spelled: place, final: place };
  if (budget.left-- === 0) return undefined;
  route.trail.links.add(place);
  const { target } = place.link;
  const start = target.startsWith('/') ? tree.root : place.directory;
  const arrival = walk(tree, start, target.split('/'), route, budget);
  return arrival?.kind === 'place' ? { kind: 'place', spelled: place, final: arrival.final } : arrival;
}
