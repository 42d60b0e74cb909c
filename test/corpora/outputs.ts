// What a build has left in its tree: every file that it made or wrote, by the time of its last change, which nothing can
// set back. The outputs of one build are moved out, so that the next one finds the tree as the first did.
import { lstatSync, mkdirSync, readdirSync, readFileSync, readlinkSync, renameSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** Paths, relative to the tree, of what was changed at `sinceMs` or later; directories are not among them. */
export function outputsOf(tree: string, sinceMs: number): string[] {
  const entries = readdirSync(tree, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => !entry.isDirectory())
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((path) => lstatSync(path).ctimeMs >= sinceMs)
    .map((path) => path.slice(tree.length + 1))
    .toSorted();
}

/** Paths, relative to the tree, of all that it holds. */
export function everythingIn(tree: string): ReadonlySet<string> {
  return new Set(readdirSync(tree, { recursive: true, encoding: 'utf8' }));
}

export function moveOutputs(tree: string, names: readonly string[], away: string): void {
  for (const name of names) {
    mkdirSync(dirname(join(away, name)), { recursive: true });
    renameSync(join(tree, name), join(away, name));
  }
}

/** Takes away what the tree did not hold before: directories, once the outputs are moved. */
export function removeNew(tree: string, before: ReadonlySet<string>): void {
  for (const name of everythingIn(tree)) {
    if (!before.has(name)) rmSync(join(tree, name), { recursive: true, force: true });
  }
}

export type Reading = (name: string, content: Buffer) => Buffer;

/** A line for every file that is not the same in both builds; `read` says what of a content counts. */
export function outputDifferences(home: string, away: string, names: readonly string[], read: Reading): string[] {
  return names.flatMap((name) => {
    const [expected, found] = [entryOf(join(home, name)), entryOf(join(away, name))];
    if (expected === undefined) return [`${name}: not expected`];
    if (found === undefined) return [`${name}: missing`];
    if (expected.kind !== found.kind) return [`${name}: ${found.kind}, expected ${expected.kind}`];
    return read(name, expected.content).equals(read(name, found.content)) ? [] : [`${name}: other content`];
  });
}

type Entry = { readonly kind: string; readonly content: Buffer };

function entryOf(path: string): Entry | undefined {
  const stat = lstatSync(path, { throwIfNoEntry: false });
  if (stat === undefined) return undefined;
  if (stat.isSymbolicLink()) return { kind: 'link', content: Buffer.from(readlinkSync(path)) };
  if (!stat.isFile()) return { kind: 'special file', content: Buffer.alloc(0) };
  return { kind: `file of mode ${(stat.mode & 0o7777).toString(8)}`, content: readFileSync(path) };
}
