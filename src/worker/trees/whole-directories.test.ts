import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import type { TreeFile } from './directories.ts';
import { emptyTree, type LaidTree } from './tree-difference.ts';
import { countDirectories, wholeDirectories } from './whole-directories.ts';
import type { WholeDirectory } from '../sandbox/codec.ts';

const file: TreeFile = { digest: { hash: 'f'.repeat(64), sizeBytes: 1 }, executable: false, mtimeNs: undefined };

type Entry = { readonly path: string; readonly kind: 'file' | 'symlink' };

/** What layers show together: what stands higher hides what has its name. */
function shown(view: LaidTree, layer: readonly Entry[]): LaidTree {
  return layer.reduce((tree, { path, kind }) => place(tree, path.split('/'), kind), view);
}

function place(tree: LaidTree, [name = '', ...rest]: readonly string[], kind: Entry['kind']): LaidTree {
  const [files, directories, symlinks] = [new Map(tree.files), new Map(tree.directories), new Map(tree.symlinks)];
  const before = directories.get(name) ?? emptyTree;
  for (const names of [files, directories, symlinks]) names.delete(name);
  if (rest.length > 0) directories.set(name, place(before, rest, kind));
  else if (kind === 'file') files.set(name, file);
  else symlinks.set(name, 'target');
  return { digest: undefined, files, directories, symlinks };
}

const files = (paths: readonly string[]): Entry[] => paths.map((path) => ({ path, kind: 'file' }));

type Job = { readonly directories?: readonly string[]; readonly entries?: readonly string[] };

function choose(layers: readonly (readonly Entry[])[], toolchain: readonly Entry[], job: Job = {}): WholeDirectory[] {
  const counted = [...layers, toolchain].map((entries, at) => ({
    path: String(at),
    directories: countDirectories(entries.map(({ path }) => path)),
  }));
  const view = layers.toReversed().reduce(shown, emptyTree);
  const { directories = [], entries = [] } = job;
  return wholeDirectories({ lowers: counted, hasToolchain: true, view, directories, entries });
}

const many = (directory: string): string[] => ['a', 'b', 'c', 'd', 'e'].map((name) => `${directory}/${name}`);

test('what one layer has alone is shown whole, the largest first, and what is small is not', () => {
  const toolchain = files([...many('usr/include/c++'), ...many('usr/lib/gcc'), 'usr/lib/gcc/f', 'etc/one']);
  const layer = files([...many('usr/include/bits'), ...many('home/x/inc')]);
  assert.deepEqual(choose([layer], toolchain), [
    { path: 'usr/lib', lowerDir: '1' },
    { path: 'usr/include/bits', lowerDir: '0' },
    { path: 'usr/include/c++', lowerDir: '1' },
    { path: 'home', lowerDir: '0' },
  ]);
});

test("where the job has something of its own, and above it, is the overlay's", () => {
  const layer = files([...many('p/src'), ...many('p/inc'), ...many('p/out')]);
  const job = { directories: ['p/out'], entries: ['p/src/x.c'] };
  assert.deepEqual(choose([layer], [], job), [{ path: 'p/inc', lowerDir: '0' }]);
  assert.deepEqual(choose([layer], [], { entries: ['p/inc'] }), [
    { path: 'p/src', lowerDir: '0' },
    { path: 'p/out', lowerDir: '0' },
  ]);
});

test('what a link or a file of an upper layer hides is not shown', () => {
  const toolchain = files([...many('lib/gcc'), ...many('usr/lib')]);
  assert.deepEqual(choose([[{ path: 'lib', kind: 'symlink' }, ...files(['usr/lib'])]], toolchain), []);
});

test('what stands below a link that has become a directory again is not shown', () => {
  const first = files(many('inc/sub'));
  const link: Entry[] = [{ path: 'inc', kind: 'symlink' }];
  const last = files(many('inc'));
  assert.deepEqual(choose([last, link, first], []), []);
});

const name = fc.constantFrom('a', 'b', 'c');
const path = fc.array(name, { minLength: 1, maxLength: 4 }).map((names) => names.join('/'));
const paths = fc.uniqueArray(path, { maxLength: 40 });
/** No path of a layer is a file and a directory at once. */
const layer = paths.map((all) => all.filter((each) => !all.some((other) => other.startsWith(`${each}/`))));

test('a directory shown whole is exactly what the overlay of all layers shows there', () => {
  fc.assert(
    fc.property(fc.array(layer, { maxLength: 3 }), layer, paths, paths, (layers, toolchain, directories, entries) => {
      const lowers = [...layers, toolchain];
      const whole = choose(layers.map(files), files(toolchain), { directories, entries });
      const view = lowers.map(files).toReversed().reduce(shown, emptyTree);
      for (const { path: at, lowerDir } of whole) {
        const below = (all: readonly string[]): string[] => all.filter((each) => each.startsWith(`${at}/`)).toSorted();
        assert.deepEqual(filesIn(view, at), below(lowers[Number(lowerDir)] ?? []));
        const own = [...directories, ...entries];
        assert.equal(
          own.find((each) => each === at || each.startsWith(`${at}/`)),
          undefined,
        );
        assert.equal(
          entries.find((each) => at.startsWith(`${each}/`)),
          undefined,
        );
      }
    }),
  );
});

function filesIn(view: LaidTree, at: string): string[] {
  const found: string[] = [];
  const walk = (tree: LaidTree, prefix: string): void => {
    for (const each of tree.files.keys()) found.push(prefix + each);
    for (const [each, child] of tree.directories) walk(child, `${prefix}${each}/`);
  };
  let tree: LaidTree | undefined = view;
  for (const each of at.split('/')) tree = tree?.directories.get(each);
  if (tree !== undefined) walk(tree, `${at}/`);
  return found.toSorted();
}
