// Builds of other kinds than make: ninja, a scrubbed environment, no worker anywhere, a daemon that nobody asked for.
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import { layOut, type Tree } from '../../bench/corpus.ts';
import { filesOf } from './differences.ts';
import { corpus, farmFor, type Farm } from './farm.ts';

type Summary = { readonly files: number; readonly remote: number; readonly local: number; readonly reasons: object };

test('ninja builds through the farm and is not held up', async (t) => {
  const farm = await farmFor(t);
  const tree = someOfLeveldb(farm);
  writeNinja(tree, '');
  const { status, output } = await farm.shoal(['run', '--', 'ninja', '-j6'], {
    cwd: tree.directory,
    env: strict(farm),
  });
  assert.equal(status, 0, output);
  assert.equal(summaryOf(farm).remote, tree.lines.length);
  assert.deepEqual(farm.remains(), []);
});

test('a daemon that the first compile starts outlives ninja without holding it, and shoal stop leaves nothing', async (t) => {
  const farm = await farmFor(t);
  const tree = someOfLeveldb(farm);
  await farm.shoal(['run', '--', 'true'], { cwd: tree.directory });
  writeNinja(tree, `${farm.names}/shoal `);
  const { status, output, wallMs } = await farm.run({
    argv: ['ninja', '-j6'],
    cwd: tree.directory,
    env: { SHOAL_STRICT: '1' },
  });
  assert.equal(status, 0, output);
  assert.ok(wallMs < 60_000, `${wallMs} ms`);
  assert.equal(objectsOf(tree), tree.lines.length);
  const running = farm.processes().map(({ command }) => command);
  assert.equal(running.length, 1, running.join('\n'));
  const state = await farm.shoal(['status', '--json'], { cwd: tree.directory });
  assert.equal((JSON.parse(state.output) as { totals: Summary }).totals.remote, tree.lines.length, state.output);
  const stopped = await farm.shoal(['stop'], { cwd: tree.directory });
  assert.equal(stopped.status, 0, stopped.output);
  assert.deepEqual(farm.remains(), []);
});

test('a compile in a scrubbed environment finds its build', async (t) => {
  const farm = await farmFor(t);
  const tree = someOfLeveldb(farm);
  const [line] = tree.lines;
  assert.ok(line !== undefined);
  const scrubbed = ['env', '-i', `PATH=${farm.names}:/usr/bin:/bin`, ...line.arguments];
  const { status, output } = await farm.shoal(['run', '--', ...scrubbed], { cwd: tree.directory, env: strict(farm) });
  assert.equal(status, 0, output);
  assert.equal(summaryOf(farm).remote, 1);
  assert.deepEqual(farm.remains(), []);
});

test('without a worker anywhere the build runs at home and one line says how to add one', async (t) => {
  const farm = await farmFor(t, 0);
  const tree = someOfLeveldb(farm);
  const env = { SHOAL_HOSTS: undefined, SHOAL_SUMMARY: join(farm.directory, 'summary.json') };
  const { status, output } = await farm.shoal(['make', '-j4', '--silent'], { cwd: tree.directory, env });
  assert.equal(status, 0, output);
  assert.match(output, /shoal worker/);
  assert.equal(objectsOf(tree), tree.lines.length);
  assert.equal(summaryOf(farm).local, tree.lines.length);
  assert.deepEqual(farm.remains(), []);
});

test('strict mode without a worker fails the compile and says why', async (t) => {
  const farm = await farmFor(t, 0);
  const tree = someOfLeveldb(farm);
  const env = { SHOAL_HOSTS: '10.77.9.9:8475', SHOAL_STRICT: '1' };
  const { status, output } = await farm.shoal(['make', '--silent'], { cwd: tree.directory, env });
  assert.notEqual(status, 0, output);
  assert.match(output, /no-worker/);
  assert.equal(objectsOf(tree), 0);
  assert.deepEqual(farm.remains(), []);
});

test('a command that fails gives its own status, and a build without compiles a warning', async (t) => {
  const farm = await farmFor(t, 0);
  const { status, output } = await farm.shoal(['run', '--', 'sh', '-c', 'exit 42'], { cwd: farm.directory });
  assert.equal(status, 42);
  assert.match(output, /no compile reached shoal/);
  assert.deepEqual(farm.remains(), []);
});

function someOfLeveldb(farm: Farm): Tree {
  return layOut(join(farm.directory, 'tree'), corpus(), { projects: ['leveldb'], flags: ['-O0'], everyNth: 4 });
}

function strict(farm: Farm): Record<string, string> {
  return { SHOAL_STRICT: '1', SHOAL_SUMMARY: join(farm.directory, 'summary.json') };
}

function summaryOf(farm: Farm): Summary {
  return JSON.parse(readFileSync(join(farm.directory, 'summary.json'), 'utf8')) as Summary;
}

function objectsOf({ directory }: Tree): number {
  return filesOf(join(directory, 'build')).filter((name) => name.endsWith('.o')).length;
}

/** The same compiles for ninja, with the compiler's dependency files read as ninja likes them. */
function writeNinja({ directory, lines }: Tree, prefix: string): void {
  const rule = ['rule compile', `  command = ${prefix}$line`, '  depfile = $depfile', '  deps = gcc', ''];
  const builds = lines.flatMap(({ file, output, arguments: args }) => [
    `build ${output}: compile ${file}`,
    `  line = ${args.join(' ')}`,
    `  depfile = ${output.replace(/\.o$/, '.d')}`,
  ]);
  writeFileSync(join(directory, 'build.ninja'), `${[...rule, ...builds].join('\n')}\n`);
}
