// Which directories of a job's root one layer has alone, with nothing of the job in them: the sandbox shows those as they
// are, without the overlay. Looking a name up in an overlay costs 0.5 µs more for each directory on its way, and each
// job's overlay begins cold: of a compile that opens 250 to 500 headers that is 2.5 to 5 ms, a third of it left so. Pure.
import type { WholeDirectory } from '../sandbox/codec.ts';
import type { LaidTree } from './tree-difference.ts';

/** The directories of one layer, and how many files are in and below each. */
export type DirectoryCount = { files: number; readonly children: Map<string, DirectoryCount> };

export type Lower = { readonly path: string; readonly directories: DirectoryCount };

export type WholeRequest = {
  /** Topmost first. */
  readonly lowers: readonly Lower[];
  /** The last of them is the toolchain. */
  readonly hasToolchain: boolean;
  /** What all but the toolchain show together. */
  readonly view: LaidTree;
  /** Directories of the job's own layer. */
  readonly directories: readonly string[];
  /** What else the job's own layer has: files, links, deletions. */
  readonly entries: readonly string[];
};

// Each costs the sandbox some 15 µs: of a closure in a hundred directories only the large ones are worth it.
const leastFiles = 4;
const mostDirectories = 16;

/** Of a layer's files and further directories, by path from its root. */
export function countDirectories(files: Iterable<string>, directories: Iterable<string> = []): DirectoryCount {
  const root: DirectoryCount = { files: 0, children: new Map() };
  const add = (path: string, end: number, count: number): void => {
    let at = root;
    at.files += count;
    for (let from = path.startsWith('/') ? 1 : 0; from < end;) {
      const slash = path.indexOf('/', from);
      const to = slash < 0 || slash > end ? end : slash;
      const name = path.slice(from, to);
      let next = at.children.get(name);
      if (next === undefined) at.children.set(name, (next = { files: 0, children: new Map() }));
      next.files += count;
      at = next;
      from = to + 1;
    }
  };
  for (const path of files) add(path, Math.max(0, path.lastIndexOf('/')), 1);
  for (const path of directories) add(path, path.length, 0);
  return root;
}

type Candidate = WholeDirectory & { readonly files: number };

/** The largest such directories, none inside another. */
export function wholeDirectories(request: WholeRequest): WholeDirectory[] {
  const { lowers, view } = request;
  const toolchain = request.hasToolchain ? lowers.length - 1 : -1;
  const entries = new Set(request.entries);
  const touched = directoriesAbove(request);
  const found: Candidate[] = [];

  const visit = (
    prefix: string,
    counts: readonly (DirectoryCount | undefined)[],
    shown: LaidTree | undefined,
  ): void => {
    const names = new Set(counts.flatMap((count) => (count === undefined ? [] : [...count.children.keys()])));
    for (const name of names) {
      const path = prefix + name;
      // A link or a file of an upper layer hides what is below it.
      if (entries.has(path) || shown?.symlinks.has(name) === true || shown?.files.has(name) === true) continue;
      const below = counts.map((count) => count?.children.get(name));
      const files = below.reduce((sum, count) => sum + (count?.files ?? 0), 0);
      if (files < leastFiles) continue;
      const owner = onlyOwner(below);
      // What a layer has below a directory that was a link, or not there, in one above it is hidden for good.
      const isHidden = below[toolchain] === undefined && shown?.directories.has(name) !== true;
      const lower = touched.has(path) || isHidden ? undefined : lowers[owner];
      if (lower === undefined) visit(`${path}/`, below, shown?.directories.get(name));
      else found.push({ path, lowerDir: lower.path, files });
    }
  };

  visit(
    '',
    lowers.map(({ directories }) => directories),
    view,
  );
  const largest = found.toSorted((a, b) => b.files - a.files).slice(0, mostDirectories);
  return largest.map(({ path, lowerDir }) => ({ path, lowerDir }));
}

/** -1 if several layers have the directory. */
function onlyOwner(counts: readonly (DirectoryCount | undefined)[]): number {
  const first = counts.findIndex((count) => count !== undefined);
  return counts.findLastIndex((count) => count !== undefined) === first ? first : -1;
}

/** The directories of the job's own layer, and all that are above them or its files. */
function directoriesAbove({ directories, entries }: WholeRequest): ReadonlySet<string> {
  const above = new Set<string>();
  const add = (path: string): void => {
    for (let at = path; at !== '' && !above.has(at); at = at.slice(0, Math.max(0, at.lastIndexOf('/')))) above.add(at);
  };
  for (const path of directories) add(path);
  for (const path of entries) add(path.slice(0, Math.max(0, path.lastIndexOf('/'))));
  return above;
}
