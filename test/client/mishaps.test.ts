// What goes wrong beside a build: its proofs, its daemon, another build. The build goes on, and is told the truth.
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readFileSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { waitUntil } from '../../bench/wait.ts';
import { openRuntimeDir } from '../../src/trust/runtime-dir.ts';
import { daemonPid, endOf, oneBox, slowSource, type OneBox, type Ran, type Told } from './one-box.ts';

const { path: runtime } = openRuntimeDir();
let box: OneBox;

before(async () => {
  box = await oneBox('mishaps');
  box.write({ 'a.c': 'int a;\n', 'slow.c': slowSource(400) });
});

after(() => box.remove());

test('a proof that finds no place leaves daemon and build alone, and the next is made again', async () => {
  const away = `${runtime}.away`;
  const line = `gcc -O2 -c slow.c & sleep 0.3; mv ${runtime} ${away}; wait; sleep 0.2; mv ${away} ${runtime}
    gcc -c a.c && sleep 1`;
  const { ran, summary } = await box.built(line, { SHOAL_VERIFY: '1/1' });
  assert.equal(ran.status, 0, ran.stderr);
  assert.doesNotMatch(ran.stderr, /daemon ended/);
  assert.deepEqual([summary.remote, summary.proved], [2, 1]);
});

test('the end of one build does not end a compile of another, nor one of none', async () => {
  // The daemon is there by a compile of no build; a build comes and goes while another such compile is in the farm.
  assert.equal((await box.built('gcc -c a.c')).ran.status, 0);
  const launcher = box.launcher('gcc');
  assert.equal((await box.run([launcher, '-c', 'a.c', '-o', 'b.o'])).status, 0);
  const build = endOf(box.start(box.command(['run', '--', 'sleep', '1'])));
  await waitUntil('the build', 10_000, async () => (await box.shoal(['status'])).stdout.includes(': 1 builds'));
  const compile = endOf(box.start([launcher, '-O2', '-c', 'slow.c', '-o', 'slow.o'], { SHOAL_RESULT_CACHE: 'off' }));
  assert.equal((await build).status, 0);
  const { status, stderr } = await compile;
  assert.deepEqual([status, stderr], [0, '']);
  assert.ok(existsSync(join(box.base, 'slow.o')));
  await box.shoal(['stop']);
});

test('a build whose PATH has fewer compilers takes no names from one that goes on', async () => {
  mkdirSync(join(box.base, 'cross'));
  const gcc = (await box.run(['sh', '-c', 'command -v gcc'])).stdout.trim();
  symlinkSync(gcc, join(box.base, 'cross/some-box-elf-gcc'));
  const PATH = `${join(box.base, 'cross')}:${process.env['PATH'] ?? ''}`;
  const wait = 'touch begun; while [ ! -e other ]; do sleep 0.02; done';
  const build = box.built(`some-box-elf-gcc -c a.c; ${wait}; exec some-box-elf-gcc -c a.c`, { PATH });
  await waitUntil('its first compile', 10_000, async () => Promise.resolve(existsSync(join(box.base, 'begun'))));
  assert.equal((await box.shoal(['run', '--', 'gcc', '-c', 'a.c', '-o', 'b.o'])).status, 0);
  box.write({ other: '' });
  const { ran, summary } = await build;
  assert.deepEqual([ran.status, summary.files], [0, 2], ran.stderr);
});

test('two builds whose daemon dies keep their compiles apart', async () => {
  const file = (name: string): string => join(box.base, `${name}.json`);
  const build = (name: string, line: string): Promise<Ran> =>
    box.shoal(['run', '--', 'sh', '-c', line], { SHOAL_SUMMARY: file(name) });
  const first = build('first', 'until [ -f both ]; do sleep 0.05; done; for i in 1 2 3; do gcc -c a.c -o $i.o; done');
  await waitUntil('one', 10_000, async () => (await box.shoal(['status'])).stdout.includes(': 1 builds'));
  const second = build('second', 'until [ -f both ]; do sleep 0.05; done; sleep 0.5');
  await waitUntil('both', 10_000, async () => (await box.shoal(['status'])).stdout.includes(': 2 builds'));
  const before = await daemonPid(box);
  process.kill(before, 'SIGKILL');
  await waitUntil('both again', 10_000, async () => (await box.shoal(['status'])).stdout.includes(': 2 builds'));
  box.write({ both: '' });
  const files = async (name: string, end: Promise<Ran>): Promise<number> => {
    assert.equal((await end).status, 0);
    return (JSON.parse(readFileSync(file(name), 'utf8')) as Told).files;
  };
  assert.deepEqual([await files('first', first), await files('second', second)], [3, 0]);
});

test('a compile of no build gets what its own environment asks for, whoever came first', async () => {
  const gcc = [box.launcher('gcc'), '-c', 'a.c', '-o', 'a.o'];
  const nowhere = { SHOAL_HOSTS: '127.0.0.1:1', SHOAL_STRICT: '1' };
  const refused = await box.run(gcc, nowhere);
  assert.equal(refused.status, 1);
  assert.match(refused.stderr, /strict: this compile would have run here: no-worker/);
  assert.equal((await box.run(gcc)).status, 0);
  assert.match((await box.shoal(['explain', 'last'])).stdout, /ended, (compiled|a result that was known) on 127/);
  assert.equal((await box.run(gcc, nowhere)).status, 1);
  await box.shoal(['stop']);
});

test('a build with words that are not UTF-8 counts its compiles, which run here, also under strict mode', async () => {
  const line = 'export V=$(printf "\\351"); gcc -c a.c -o x.o';
  const { ran, summary } = await box.built(line, { SHOAL_STRICT: '1' });
  assert.equal(ran.status, 0, ran.stderr);
  assert.deepEqual([summary.files, summary.local, summary.reasons], [1, 1, { 'path-encoding': 1 }]);
});

test('a build under strict mode fails when its daemon dies, since nobody knows what ran here then', async () => {
  const line = 'gcc -c a.c; touch began; until [ -f died ]; do sleep 0.05; done; gcc -c a.c -o again.o';
  const build = box.shoal(['--strict', 'run', '--', 'sh', '-c', line]);
  await waitUntil('the build', 20_000, () => existsSync(join(box.base, 'began')));
  process.kill(await daemonPid(box), 'SIGKILL');
  await waitUntil('another daemon', 20_000, async () => (await box.shoal(['status'])).stdout.includes(': 1 builds'));
  box.write({ died: '' });
  const { status, stderr } = await build;
  assert.equal(status, 1, stderr);
  assert.match(stderr, /strict: the client daemon ended before the build/);
});

test('an output that cannot be written is for the compiler here to explain, and is not counted as remote', async () => {
  const alone = await box.run(['gcc', '-c', 'a.c', '-o', '/dev/full']);
  assert.equal(alone.status, 1);
  // While the compile is in the farm, a directory takes the place of its output.
  const line = 'gcc -O2 -c slow.c -o taken.o & sleep 0.4; mkdir taken.o; wait $!';
  const env = { SHOAL_STRICT: '1', SHOAL_RESULT_CACHE: 'off' };
  const { ran, summary } = await box.built(line, env);
  assert.equal(ran.status, 1);
  assert.match(ran.stderr, /taken\.o: Is a directory|can't create taken\.o|cannot open output file taken\.o/);
  assert.doesNotMatch(ran.stderr, /no-daemon/);
  assert.deepEqual([summary.remote, summary.local, summary.reasons], [0, 1, { 'output-unwritable': 1 }]);
});

test('the traffic of a build is its own, though others use the same connections meanwhile', async () => {
  const other = box.built('until [ -f counted ]; do sleep 0.05; done', { SHOAL_RESULT_CACHE: 'off' });
  await waitUntil('the other', 10_000, async () => (await box.shoal(['status'])).stdout.includes(': 1 builds'));
  const file = join(box.base, 'traffic.json');
  const ran = await box.shoal(['--summary', file, 'run', '--', 'gcc', '-c', 'a.c'], { SHOAL_RESULT_CACHE: 'off' });
  assert.equal(ran.status, 0, ran.stderr);
  box.write({ counted: '' });
  const own = JSON.parse(readFileSync(file, 'utf8')) as Told;
  assert.ok(own.bytesSent > 100, `${own.bytesSent} bytes`);
  assert.equal((await other).summary.bytesSent, 0);
});
