import assert from 'node:assert/strict';
import {
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'node:test';
import fc from 'fast-check';
import { realClock } from '../../observe/clock.ts';
import { Directory } from '../../reapi/gen/remote_execution.ts';
import { digestOf, type Digest } from '../../reapi/digest.ts';
import { missingBlobsOf, type GrpcError } from '../../reapi/errors.ts';
import type { BlobStore } from '../../store/blob-store.ts';
import { openDiskStore } from '../../store/disk.ts';
import { openStoreWriter } from '../../store/store-writer.ts';
import { secondsOf } from './layers.ts';
import { newDirectories } from './directories.ts';
import { openTrees, type PreparedTree, type Trees } from './trees.ts';

type FileSpec = { readonly text: string; readonly executable?: boolean; readonly mtimeNs?: bigint };
/** A path's end: a file, a symbolic link's target, or a directory. */
type TreeSpec = { readonly [name: string]: FileSpec | string | { readonly below: TreeSpec } };

const emptyDirectory = (): Directory => ({ files: [], directories: [], symlinks: [], nodeProperties: undefined });

const byName = ([a]: readonly [string, unknown], [b]: readonly [string, unknown]): number => (a < b ? -1 : 1);

function encodeTree(spec: TreeSpec, put: (bytes: Buffer) => Digest): Digest {
  const message = emptyDirectory();
  for (const [name, node] of Object.entries(spec).toSorted(byName)) {
    if (typeof node === 'string') message.symlinks.push({ name, target: node, nodeProperties: undefined });
    else if ('below' in node) message.directories.push({ name, digest: encodeTree(node.below, put) });
    else {
      const { mtimeNs } = node;
      const mtime = mtimeNs && { seconds: Number(mtimeNs / 1_000_000_000n), nanos: Number(mtimeNs % 1_000_000_000n) };
      const nodeProperties = mtime ? { properties: [], mtime, unixMode: undefined } : undefined;
      const digest = put(Buffer.from(node.text));
      message.files.push({ name, digest, isExecutable: node.executable === true, nodeProperties });
    }
  }
  return put(Buffer.from(Directory.encode(message).finish()));
}

type Seen = { [path: string]: string };

function describeFile(text: string, mode: number, mtimeUs: bigint | undefined): string {
  return `file ${mode.toString(8)} ${mtimeUs ?? '-'} ${text}`;
}

const dated = (spec: FileSpec): string =>
  describeFile(spec.text, spec.executable === true ? 0o555 : 0o444, spec.mtimeNs && spec.mtimeNs / 1000n);

function wanted(spec: TreeSpec, prefix = '', seen: Seen = {}): Seen {
  for (const [name, node] of Object.entries(spec)) {
    const path = prefix + name;
    if (typeof node === 'string') seen[path] = `link ${node}`;
    else if ('below' in node) {
      seen[path] = 'directory';
      wanted(node.below, `${path}/`, seen);
    } else seen[path] = dated(node);
  }
  return seen;
}

function cover(seen: Seen, path: string): void {
  for (const below of Object.keys(seen)) if (below === path || below.startsWith(`${path}/`)) delete seen[below];
}

/** What an overlay of the lower directories shows, by its rules: directories merge, anything else hides. */
function overlay(prepared: PreparedTree, isDated: (path: string) => boolean): Seen {
  const seen: Seen = {};
  const inodes = new Map<string, Set<number>>();
  const read = (root: string, prefix: string): void => {
    for (const name of readdirSync(join(root, prefix))) {
      const path = prefix === '' ? name : `${prefix}/${name}`;
      const place = join(root, path);
      const stat = lstatSync(place, { bigint: true });
      if (stat.isDirectory()) {
        if (seen[path] !== 'directory') cover(seen, path);
        seen[path] = 'directory';
        read(root, path);
        continue;
      }
      cover(seen, path);
      if (stat.isSymbolicLink()) seen[path] = `link ${readlinkSync(place)}`;
      else {
        const text = readFileSync(place, 'utf8');
        const known = inodes.get(text) ?? new Set();
        assert.ok(!known.has(Number(stat.ino)), `${path} shares an inode`);
        inodes.set(text, known.add(Number(stat.ino)));
        seen[path] = describeFile(text, Number(stat.mode) & 0o777, isDated(path) ? stat.mtimeNs / 1000n : undefined);
      }
    }
  };
  for (const { path } of prepared.lowers.toReversed()) read(path, '');
  const parents = (path: string): void => {
    for (let at = path.indexOf('/'); at >= 0; at = path.indexOf('/', at + 1)) {
      const parent = path.slice(0, at);
      if (seen[parent] !== 'directory') cover(seen, parent);
      seen[parent] = 'directory';
    }
  };
  for (const path of prepared.deletions) {
    assert.ok(path in seen, `${path} is deleted and not there`);
    cover(seen, path);
  }
  for (const path of prepared.directories) parents(`${path}/`);
  for (const { path, target } of prepared.symlinks) {
    parents(path);
    cover(seen, path);
    seen[path] = `link ${target}`;
  }
  for (const { path, content, executable, mtimeNs } of prepared.additions) {
    parents(path);
    cover(seen, path);
    seen[path] = describeFile(Buffer.from(content).toString(), executable ? 0o555 : 0o444, mtimeNs && mtimeNs / 1000n);
  }
  return seen;
}

type World = {
  readonly store: BlobStore;
  readonly trees: Trees;
  readonly put: (bytes: Buffer) => Digest;
  readonly directory: string;
};

async function withTrees(body: (world: World) => Promise<void>): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'shoal-trees-'));
  try {
    const storeDir = join(directory, 'store');
    const writer = openStoreWriter(storeDir);
    const store = await openDiskStore({ directory: storeDir, writer, maxBytes: 1 << 30, clock: realClock });
    const put = (bytes: Buffer): Digest => {
      const digest = digestOf(bytes);
      store.write(digest, bytes);
      return digest;
    };
    await body({
      store,
      trees: await openTrees({ directory: join(directory, 'trees'), store, directories: newDirectories(store) }),
      put,
      directory,
    });
  } finally {
    rmSync(directory, { recursive: true });
  }
}

type IsOwn = (path: string) => boolean;

const nothingOwn: IsOwn = () => false;

const pathsOf = ({ lowers }: PreparedTree): readonly string[] => lowers.map(({ path }) => path);

async function assertShows({ trees, put }: World, spec: TreeSpec, isOwn = nothingOwn): Promise<PreparedTree> {
  const prepared = await trees.prepare({ root: encodeTree(spec, put), isOwn, made: [] });
  const expected = wanted(spec);
  assert.deepEqual(
    overlay(prepared, (path) => !(expected[path] ?? '').includes(' - ')),
    expected,
  );
  return prepared;
}

function manyFiles(count: number, prefix: string): TreeSpec {
  return Object.fromEntries(Array.from({ length: count }, (_, at) => [`f${at}.h`, { text: `${prefix} ${at}` }]));
}

const name = fc.constantFrom('a', 'b', 'c', 'd', 'é', '\u{1f41f}');
const file: fc.Arbitrary<FileSpec> = fc.record(
  {
    text: fc.constantFrom('', 'one', 'two', 'three'),
    executable: fc.boolean(),
    mtimeNs: fc.constantFrom(1_700_000_000_999_999_999n, 1_600_000_000_000_000_001n),
  },
  { requiredKeys: ['text'] },
);
const { tree } = fc.letrec<{ tree: TreeSpec }>((tie) => ({
  tree: fc.dictionary(
    name,
    fc.oneof(
      { depthSize: 'small', maxDepth: 3 },
      file,
      fc.constantFrom('a', '../b', '/etc'),
      fc.record({ below: tie('tree') }),
    ),
    { maxKeys: 5, noNullPrototype: true },
  ),
}));

test('whatever trees come one after another, each job sees exactly its own', () =>
  fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(tree, fc.nat(20)), { minLength: 2, maxLength: 8 }),
      fc.constantFrom('a', 'zz'),
      async (specs, own) =>
        withTrees(async (world) => {
          for (const [spec, extra] of specs) {
            const root = { ...spec, more: { below: manyFiles(extra, `${extra}`) } };
            const prepared = await assertShows(world, root, (path) => path.endsWith(own));
            prepared.release();
          }
        }),
    ),
    { numRuns: 60 },
  ));

test('a directory that has a job’s own source alone is in the layer, and gone for the next job', () =>
  withTrees(async (world) => {
    const isOwn = (path: string): boolean => path.endsWith('.c');
    const headers = manyFiles(40, 'header');
    await assertShows(world, { include: { below: headers }, src: { below: { 'a.c': { text: 'a' } } } }, isOwn);
    await assertShows(world, { include: { below: headers } }, isOwn);
  }));

test('a second job that differs by its source is given the same layers and the source alone', () =>
  withTrees(async (world) => {
    const headers = manyFiles(40, 'header');
    const isOwn = (path: string): boolean => path.endsWith('.c');
    const first = await assertShows(world, { include: { below: headers }, 'a.c': { text: 'a' } }, isOwn);
    const second = await assertShows(world, { include: { below: headers }, 'b.c': { text: 'b' } }, isOwn);
    assert.deepEqual(pathsOf(second), pathsOf(first));
    assert.deepEqual(
      [first, second].map(({ additions }) => additions.map(({ path }) => path)),
      [['a.c'], ['b.c']],
    );
    assert.deepEqual(second.deletions, []);
  }));

test('two jobs that need the same new layer at once make it once', () =>
  withTrees(async (world) => {
    const spec = { include: { below: manyFiles(200, 'header') } };
    const [first, second] = await Promise.all([assertShows(world, spec), assertShows(world, spec)]);
    assert.deepEqual(pathsOf(first), pathsOf(second));
    assert.equal(readdirSync(join(world.directory, 'trees', 'layers')).length, 2);
  }));

test('many new files become a layer on top, few are the job’s own', () =>
  withTrees(async (world) => {
    const base = manyFiles(100, 'header');
    const first = await assertShows(world, { base: { below: base } });
    const few = await assertShows(world, { base: { below: base }, few: { below: manyFiles(5, 'few') } });
    assert.deepEqual([pathsOf(few), few.additions.length], [pathsOf(first), 5]);
    const many = await assertShows(world, { base: { below: base }, many: { below: manyFiles(20, 'many') } });
    assert.deepEqual([pathsOf(many).slice(1), many.additions.length], [pathsOf(first), 0]);
  }));

test('a layer stays while a job stands on it, and goes when none does', () =>
  withTrees(async (world) => {
    const held = await assertShows(world, { base: { below: manyFiles(30, 'first') } });
    for (let at = 0; at < 12; at += 1) {
      (await assertShows(world, { [`other${at}`]: { below: manyFiles(30, `other ${at}`) } })).release();
    }
    const layers = (): number => readdirSync(join(world.directory, 'trees', 'layers')).length;
    assert.equal(lstatSync(held.lowers[0]?.path ?? '').isDirectory(), true);
    held.release();
    while (layers() > 9) await new Promise((resolve) => setImmediate(resolve));
  }));

test('all that is missing is named at once', () =>
  withTrees(async ({ trees, put }) => {
    const absent = new Set<string>();
    const sparse = (bytes: Buffer): Digest => {
      const isDirectory = bytes.includes('deep.h');
      if (!isDirectory && !bytes.includes('gone')) return put(bytes);
      const digest = digestOf(bytes);
      absent.add(digest.hash);
      return digest;
    };
    const files = { 'x.h': { text: 'gone 1' }, 'y.h': { text: 'here' }, 'z.h': { text: 'gone 2' } };
    const root = encodeTree({ a: { below: files }, b: { below: { 'deep.h': { text: 'gone 3' } } } }, sparse);
    const error = await trees.prepare({ root, isOwn: nothingOwn, made: [] }).then(
      () => assert.fail(),
      (caught: unknown) => caught as GrpcError,
    );
    const named = missingBlobsOf(error.code, error.details)?.map((digest) => digest.hash);
    // What is below a Directory that is missing cannot be known.
    absent.delete(digestOf(Buffer.from('gone 3')).hash);
    assert.deepEqual(new Set(named), absent);
  }));

test('a tree that would lead outside, or is none, is refused', () =>
  withTrees(async ({ trees, put }) => {
    const refused = async (message: Partial<Directory>): Promise<void> => {
      const root = put(Buffer.from(Directory.encode({ ...emptyDirectory(), ...message }).finish()));
      await assert.rejects(trees.prepare({ root, isOwn: nothingOwn, made: [] }), { code: 3 });
    };
    const digest = put(Buffer.from('x'));
    const rest = { digest, isExecutable: false, nodeProperties: undefined };
    for (const bad of ['', '.', '..', 'a/b', '/', 'a\0b', 'n'.repeat(256)]) {
      await refused({ files: [{ ...rest, name: bad }] });
      await refused({ directories: [{ name: bad, digest }] });
      await refused({ symlinks: [{ name: bad, target: 'x', nodeProperties: undefined }] });
    }
    await refused({
      files: [
        { ...rest, name: 'b' },
        { ...rest, name: 'a' },
      ],
    });
    await refused({
      files: [
        { ...rest, name: 'a' },
        { ...rest, name: 'a' },
      ],
    });
    await refused({
      files: [{ ...rest, name: 'a' }],
      symlinks: [{ name: 'a', target: 'x', nodeProperties: undefined }],
    });
    await refused({ symlinks: [{ name: 'a', target: '', nodeProperties: undefined }] });
    await refused({ files: [{ ...rest, name: 'a', digest: undefined }] });
    await refused({ files: [{ ...rest, name: 'a', digest: { hash: '../../../etc/passwd', sizeBytes: 1 } }] });
    await assert.rejects(trees.prepare({ root: put(Buffer.from('no message')), isOwn: nothingOwn, made: [] }), {
      code: 3,
    });
  }));

test('a tree of a hundred messages and endless paths is refused quickly', () =>
  withTrees(async ({ trees, put }) => {
    let digest = put(Buffer.from(Directory.encode(emptyDirectory()).finish()));
    for (let depth = 0; depth < 100; depth += 1) {
      const twice = ['a', 'b'].map((name) => ({ name, digest }));
      const message = { ...emptyDirectory(), directories: twice };
      digest = put(Buffer.from(Directory.encode(message).finish()));
    }
    await assert.rejects(trees.prepare({ root: digest, isOwn: nothingOwn, made: [] }), { code: 3 });
  }));

test('what the toolchain has stays, whatever an earlier tree had at its paths', () =>
  withTrees(async ({ trees, put, directory }) => {
    const toolchainDir = join(directory, 'toolchain');
    mkdirSync(join(toolchainDir, 'usr/lib/locale/C.utf8'), { recursive: true });
    writeFileSync(join(toolchainDir, 'usr/lib/cc1'), 'cc1');
    const prepare = (spec: TreeSpec): Promise<PreparedTree> => {
      return trees.prepare({ root: encodeTree(spec, put), isOwn: nothingOwn, made: [], toolchainDir });
    };
    const usr = (below: TreeSpec): TreeSpec => ({ usr: { below: { lib: { below } } } });
    const many = Object.fromEntries(Array.from({ length: 20 }, (_, at) => [`h${at}`, { text: `header ${at}` }]));
    (await prepare({ ...many, ...usr({ locale: { below: { archive: { text: 'a' } } } }) })).release();
    const without = await prepare(many);
    assert.deepEqual(without.deletions, ['usr/lib/locale/archive']);
    without.release();
    (await prepare({ ...many, ...usr({ cc1: { text: 'another' } }), extra: { text: 'e' } })).release();
    const again = await prepare(many);
    assert.deepEqual(overlay(again, () => false)['usr/lib/cc1'], undefined);
    assert.ok(!again.deletions.includes('usr/lib/cc1'));
    again.release();
  }));

test('a time handed to the kernel is never a later second', () =>
  fc.assert(
    fc.property(fc.bigInt({ min: -(10n ** 18n), max: 10n ** 19n }), (mtimeNs) => {
      const floor = mtimeNs >= 0n ? mtimeNs / 1_000_000_000n : (mtimeNs - 999_999_999n) / 1_000_000_000n;
      assert.equal(Math.floor(secondsOf(mtimeNs)), Number(floor));
    }),
  ));
