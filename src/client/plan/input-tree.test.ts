import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Directory } from '../../reapi/gen/remote_execution.ts';
import { digestOf } from '../../reapi/digest.ts';
import type { DirectoryEntry, FileEntry, SymlinkEntry } from '../../includes/types.ts';
import { addToLayer, blobsMissing, newLayer, removePath, rootFor, type TreeDirectory } from './input-tree.ts';

// As in the include view: an id stands for a path, whatever is there now.
const ids = new Map<string, number>();

function idOf(path: string): number {
  const id = ids.get(path) ?? ids.size;
  ids.set(path, id);
  return id;
}

function file(path: string, content: string, mtimeNs = 5n): FileEntry {
  const bytes = Buffer.from(content);
  const digest = digestOf(bytes);
  return {
    kind: 'file',
    id: idOf(path),
    path,
    digest,
    sizeBytes: bytes.length,
    executable: false,
    mtimeNs,
    bytes: () => bytes,
  };
}

const directory = (path: string): DirectoryEntry => ({ kind: 'directory', id: idOf(path), path });
const symlink = (path: string, target: string): SymlinkEntry => ({ kind: 'symlink', id: idOf(path), path, target });

/** The tree as a worker sees it: path → content digest, or symlink target, read from the encoded messages alone. */
function flatten(root: TreeDirectory): Map<string, string> {
  const messages = new Map<string, TreeDirectory>();
  const collect = (directory: TreeDirectory): void => {
    messages.set(directory.digest.hash, directory);
    directory.over?.children.forEach((child) => collect(child));
    directory.children.forEach((child) => collect(child));
  };
  collect(root);
  const paths = new Map<string, string>();
  const visit = (hash: string, prefix: string): void => {
    const directory = messages.get(hash);
    assert.ok(directory);
    assert.equal(digestOf(directory.bytes).hash, hash);
    const message = Directory.decode(directory.bytes);
    paths.set(`${prefix}/`, '');
    for (const { name, digest, nodeProperties } of message.files) {
      const seconds = nodeProperties?.mtime === undefined ? '' : `@${nodeProperties.mtime.nanos}`;
      paths.set(`${prefix}/${name}`, `${digest?.hash}${seconds}`);
    }
    for (const { name, target } of message.symlinks) paths.set(`${prefix}/${name}`, `-> ${target}`);
    for (const { name, digest } of message.directories) visit(digest?.hash ?? '', `${prefix}/${name}`);
  };
  visit(root.digest.hash, '');
  return paths;
}

test('a root holds the layer and its own source, and nothing of other jobs', () => {
  const layer = newLayer();
  const header = file('/p/include/a.h', 'a');
  addToLayer(layer, [header, symlink('/lib', 'usr/lib'), directory('/p/empty')]);
  const one = rootFor(layer, file('/p/src/one.c', 'one'));
  const two = rootFor(layer, file('/p/src/two.c', 'two'));
  assert.deepEqual(
    [...flatten(one).keys()],
    ['/', '/lib', '/p/', '/p/empty/', '/p/include/', '/p/include/a.h', '/p/src/', '/p/src/one.c'],
  );
  assert.ok(!flatten(two).has('/p/src/one.c'));
});

test('jobs share every Directory that is not on the way to their source', () => {
  const layer = newLayer();
  addToLayer(layer, [file('/p/include/a.h', 'a'), file('/usr/include/b.h', 'b')]);
  const known = new Set<string>();
  const filled = new WeakSet<TreeDirectory>();
  const send = (path: string): number => {
    const { blobs, nowFilled } = blobsMissing(rootFor(layer, file(path, path)), {
      has: ({ hash }) => known.has(hash),
      filled,
    });
    for (const { digest } of blobs) known.add(digest.hash);
    for (const directory of nowFilled) filled.add(directory);
    return blobs.length;
  };
  assert.equal(send('/p/src/one.c'), 9, 'three files, /p/include, /p/src, /p, /usr/include, /usr, /');
  assert.equal(send('/p/src/two.c'), 4, 'two.c, /p/src, /p, /');
  addToLayer(layer, [file('/p/src/c.h', 'c')]);
  assert.equal(send('/p/src/three.c'), 5, 'c.h, three.c, /p/src, /p, /');
  assert.equal(send('/q/four.c'), 5, 'four.c, /q, the layer’s own /p/src and /p, /');
});

test('files of equal content carry their times, single ones do not', () => {
  const layer = newLayer();
  addToLayer(layer, [file('/a/x.h', 'same', 1n)]);
  assert.ok(
    !flatten(rootFor(layer, file('/s.c', 's')))
      .get('/a/x.h')
      ?.includes('@'),
  );
  addToLayer(layer, [file('/b/x.h', 'same', 2n)]);
  const paths = flatten(rootFor(layer, file('/s.c', 's')));
  assert.match(paths.get('/a/x.h') ?? '', /@1$/);
  assert.match(paths.get('/b/x.h') ?? '', /@2$/);
  const twin = flatten(rootFor(layer, file('/t.c', 's2')));
  assert.ok(!twin.get('/t.c')?.includes('@'));
});

test('a source that equals a header carries its time, and so does the header', () => {
  const layer = newLayer();
  addToLayer(layer, [file('/a/x.h', 'same', 1n)]);
  const paths = flatten(rootFor(layer, file('/a/y.c', 'same', 3n)));
  assert.match(paths.get('/a/x.h') ?? '', /@1$/);
  assert.match(paths.get('/a/y.c') ?? '', /@3$/);
});

test('what changes is replaced and what vanishes is taken out, with all below it', () => {
  const layer = newLayer();
  addToLayer(layer, [file('/p/a.h', 'old'), file('/p/d/b.h', 'b')]);
  const changed = file('/p/a.h', 'new');
  addToLayer(layer, [changed]);
  removePath(layer, '/p/d');
  const paths = flatten(rootFor(layer, file('/s.c', 's')));
  assert.equal(paths.get('/p/a.h'), changed.digest.hash);
  assert.ok(![...paths.keys()].some((path) => path.startsWith('/p/d')));
});

test('after any additions and removals the messages say exactly what is there', () => {
  const name = fc.constantFrom('a', 'b', 'é', '\u{1f41f}', '\uffee');
  const path = fc.array(name, { minLength: 1, maxLength: 3 }).map((names) => `/r/${names.join('/')}`);
  const step = fc.record({ path, content: fc.constantFrom('x', 'y', 'z'), remove: fc.boolean() });
  const run = (steps: readonly { path: string; content: string; remove: boolean }[]): void => {
    const layer = newLayer();
    const model = new Map<string, string>();
    for (const { path: at, content, remove } of steps) {
      if (remove) {
        removePath(layer, at);
        for (const key of model.keys()) if (key === at || key.startsWith(`${at}/`)) model.delete(key);
        continue;
      }
      const clashes = [...model.keys()].some((key) => key.startsWith(`${at}/`) || at.startsWith(`${key}/`));
      if (clashes || flatten(rootFor(layer, file('/s.c', 's'))).has(`${at}/`)) continue;
      const added = file(at, content);
      addToLayer(layer, [added]);
      model.set(at, added.digest.hash);
    }
    const files = [...flatten(rootFor(layer, file('/s.c', 's')))].filter(
      ([key]) => !key.endsWith('/') && key !== '/s.c',
    );
    assert.deepEqual(new Map(files.map(([key, value]) => [key, value.split('@')[0]])), model);
  };
  fc.assert(fc.property(fc.array(step, { maxLength: 12 }), run), { numRuns: 200 });
});
