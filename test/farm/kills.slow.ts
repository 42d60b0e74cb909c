// Any process of the farm may be killed at any moment: the build ends correct, and nothing is left behind.
import assert from 'node:assert/strict';
import { mkdirSync, readlinkSync, renameSync } from 'node:fs';
import { dirname, join } from 'node:path';
import test from 'node:test';
import { layOut, type Tree } from '../../bench/corpus.ts';
import { waitUntil } from '../../bench/wait.ts';
import { differences, filesOf } from './differences.ts';
import { corpus, farmFor, type Farm, type FarmProcess } from './farm.ts';

const make = ['make', '-j6', '--silent'];
const startPatienceMs = 60_000;

test('a build whose daemon is killed ends as if nothing had happened', async (t) => {
  const { farm, tree } = await builtAtHome(await farmFor(t));
  const build = farm.shoal(make, { cwd: tree.directory });
  await someObjects(tree);
  process.kill(theOne(farm.processes(), /main\.js daemon/).pid, 'SIGKILL');
  const { status, output } = await build;
  assert.equal(status, 0, output);
  sameAsAtHome(tree);
  assert.deepEqual(farm.remains(), []);
});

test('a build that loses a worker goes on with the other, and the dead worker leaves no process', async (t) => {
  const { farm, tree } = await builtAtHome(await farmFor(t));
  const build = farm.shoal(make, { cwd: tree.directory });
  await someObjects(tree);
  const [first, second] = farm.workers;
  assert.ok(first !== undefined && second !== undefined);
  process.kill(first.pid, 'SIGKILL');
  const { status, output } = await build;
  assert.equal(status, 0, output);
  sameAsAtHome(tree);
  assert.deepEqual(farm.remains(), []);
  await second.stop();
  await waitUntil('the workers without a process', 5000, () => farm.workerProcesses().length === 0);
});

test('a killed launcher fails its compile as a killed compiler would, and the next make finishes the build', async (t) => {
  const { farm, tree } = await builtAtHome(await farmFor(t));
  const build = farm.shoal([...make, '--keep-going'], { cwd: tree.directory });
  await someObjects(tree);
  await waitUntil('a launcher to kill', startPatienceMs, () => {
    const [launcher] = farm.processes().filter(isLauncher);
    if (launcher !== undefined) process.kill(launcher.pid, 'SIGKILL');
    return launcher !== undefined;
  });
  const broken = await build;
  assert.notEqual(broken.status, 0);
  assert.match(broken.output, /Killed/);
  assert.deepEqual(farm.remains(), []);
  const { status, output } = await farm.shoal(make, { cwd: tree.directory });
  assert.equal(status, 0, output);
  sameAsAtHome(tree);
  assert.deepEqual(farm.remains(), []);
});

test('an interrupted build ends within a second, and its compiles on the workers end with it', async (t) => {
  const { farm, tree } = await builtAtHome(await farmFor(t));
  const afterSeconds = 4;
  const interrupted = ['timeout', '--signal=INT', String(afterSeconds)];
  const { status, wallMs } = await farm.run({ argv: [...interrupted, ...farm.command(make)], cwd: tree.directory });
  assert.equal(status, 124);
  assert.ok(wallMs < (afterSeconds + 1) * 1000 + 200, `${wallMs} ms`);
  assert.deepEqual(farm.remains(), []);
  await waitUntil(
    'no compile left on a worker',
    2000,
    () => !farm.workerProcesses().some(({ command }) => /cc1plus/.test(command)),
  );
  const again = await farm.shoal(make, { cwd: tree.directory });
  assert.equal(again.status, 0, again.output);
  sameAsAtHome(tree);
});

/** Builds a tree at home, sets the result aside, and leaves the tree to be built again. */
async function builtAtHome(farm: Farm): Promise<{ readonly farm: Farm; readonly tree: Tree }> {
  const tree = layOut(join(farm.directory, 'tree'), corpus(), { projects: ['leveldb'], flags: ['-O0'], everyNth: 1 });
  const { status, output } = await farm.run({ argv: make, cwd: tree.directory });
  assert.equal(status, 0, output);
  renameSync(join(tree.directory, 'build'), join(tree.directory, 'build-at-home'));
  for (const line of tree.lines) mkdirSync(dirname(join(tree.directory, line.output)), { recursive: true });
  return { farm, tree };
}

/** Resolves when the build is well under way, and far from its end. */
async function someObjects({ directory }: Tree): Promise<void> {
  const objects = (): number => filesOf(join(directory, 'build')).filter((name) => name.endsWith('.o')).length;
  await waitUntil('the first objects', startPatienceMs, () => objects() >= 5);
}

function sameAsAtHome({ directory }: Tree): void {
  assert.deepEqual(differences(join(directory, 'build-at-home'), join(directory, 'build')), []);
}

function theOne(processes: readonly FarmProcess[], what: RegExp): FarmProcess {
  const [found] = processes.filter(({ command }) => what.test(command));
  assert.ok(found !== undefined, `no ${what.source} among ${JSON.stringify(processes)}`);
  return found;
}

function isLauncher({ pid }: FarmProcess): boolean {
  try {
    return /native\/[^/]+\/shoal$/.test(readlinkSync(`/proc/${pid}/exe`));
  } catch {
    return false; // It ended in the meantime.
  }
}
