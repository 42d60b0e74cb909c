// The local gate without a daemon: what runs here runs on as many CPUs as there are, whatever is started and killed.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, afterEach, test } from 'node:test';
import { waitUntil } from '../../bench/wait.ts';
import { cpus, setGate, type Compile } from './gating.ts';

// As on a box whose control groups allow all of it.
const gate = setGate(['-DSHOAL_CGROUP="/nowhere"']);
const { base, bin, compilers, runtime, work, gcc } = gate;
afterEach(gate.clear);
after(gate.remove);

const many = 4 * cpus;
const pathOf = (...directories: readonly string[]): Record<string, string> => ({
  PATH: [...directories, '/usr/bin', '/bin'].join(':'),
});
const statuses = async (compiles: readonly Compile[]): Promise<(number | null)[]> =>
  (await Promise.all(compiles.map(({ end }) => end))).map(({ status }) => status);

test('of 200 compiles at once, as many run as there are CPUs', async () => {
  const count = Math.max(200, many);
  const compiles = Array.from({ length: count }, () => gate.start(['-c', 'x.c'], { PAUSE_MS: '20' }));
  assert.deepEqual(new Set(await statuses(compiles)), new Set([0]));
  assert.equal(gate.most(), cpus);
});

test('a compile that is killed gives its slot back, and so does one that left a process behind', async () => {
  const [first, ...others] = await gate.fill();
  const next = gate.held();
  assert.ok(await gate.waits(next));
  first?.child.kill('SIGKILL');
  await gate.begun(next);
  await Promise.all([...others, next].map(({ finish }) => finish()));
  const leaving = gate.wrapper('leaving', 'sleep 60 >/dev/null 2>&1 &\necho $! >>left');
  await statuses(Array.from({ length: cpus }, () => gate.start(['-c', 'x.c'], pathOf(bin, leaving))));
  await gate.start(['-c', 'x.c']).end;
  execFileSync('/bin/sh', ['-c', 'kill $(cat left)'], { cwd: work });
});

test('builds alternate, however many compiles one of them has waiting', async () => {
  const holders = await gate.fill();
  const of = (session: string): { readonly SHOAL_SESSION: string } => ({ SHOAL_SESSION: session });
  const large = Array.from({ length: 40 }, () => gate.start(['-c', 'x.c'], { ...of('large'), PAUSE_MS: '100' }));
  assert.ok(await Promise.all(large.map(gate.waits)).then((waiting) => waiting.every(Boolean)));
  const small = gate.start(['-c', 'x.c'], { ...of('small'), PAUSE_MS: '100' });
  assert.ok(await gate.waits(small));
  await Promise.all(holders.map(({ finish }) => finish()));
  await gate.begun(small);
  // Before it go the head, and the one that came to the queue before it did; beside it, what has a slot.
  const earlier = large.filter((compile) => gate.isRunning(compile) || compile.child.exitCode !== null);
  assert.ok(earlier.length <= 2 + 2 * cpus, `${earlier.length} of ${large.length} began before`);
  await Promise.all([...large, small].map(({ end }) => end));
});

test('a compile that is stopped does not keep others waiting', async () => {
  const holders = await gate.fill();
  for (const { child } of holders) child.kill('SIGSTOP');
  assert.equal((await gate.start(['-c', 'x.c']).end).status, 0);
  for (const { child } of holders) child.kill('SIGCONT');
  await Promise.all(holders.map(({ finish }) => finish()));
});

test('waiting compiles end at once by a signal, and the others take their turns', async () => {
  const holders = await gate.fill();
  const waiting = Array.from({ length: 4 }, gate.held);
  for (const compile of waiting) assert.ok(await gate.waits(compile));
  // The first is the head of the queue.
  for (const [at, signal] of (['SIGKILL', 'SIGINT', 'SIGTERM'] as const).entries()) {
    waiting[at]?.child.kill(signal);
    assert.equal((await waiting[at]?.end)?.signal, signal);
  }
  const last = waiting[3];
  assert.ok(last !== undefined && (await gate.waits(last)));
  await holders[0]?.finish();
  await gate.begun(last);
  await Promise.all([...holders, last].map(({ finish }) => finish()));
});

test('an alarm that was set before the launcher was started ends it as it would end the compiler', async () => {
  const holders = await gate.fill();
  const ahead = gate.held();
  const alarmed = gate.startCommand([join(compilers, 'gcc'), 'alarmed', gcc, '-c', 'x.c']);
  assert.equal((await alarmed.end).signal, 'SIGALRM');
  await Promise.all([...holders, ahead].map(({ finish }) => finish()));
});

test('a wrapper that calls the compiler by its name holds one slot, and waits for no other', async () => {
  const calling = gate.wrapper('calling', 'exec gcc "$@"');
  const asChild = gate.wrapper('as-child', 'gcc "$@"\nexit $?');
  // Its child has no descriptor that tells where it comes from.
  const closing = gate.wrapper('closing', `exec "${join(compilers, 'gcc')}" inner`);
  for (const wrapper of [calling, asChild, closing]) {
    const env = { ...pathOf(bin, wrapper, compilers), PAUSE_MS: '20' };
    const compiles = Array.from({ length: many }, () => gate.start(['-c', 'x.c'], env));
    assert.deepEqual(new Set(await statuses(compiles)), new Set([0]));
    assert.equal(gate.most(), cpus);
  }
});

test('a make inside compiles has their slots', async () => {
  const making = gate.wrapper('making', 'exec make -s -j4 -f ../inside.mk');
  writeFileSync(join(base, 'inside.mk'), 'all: 1 2 3 4 5 6\n%:\n\tgcc -c $@.c\n');
  const env = pathOf(bin, making, compilers);
  const compiles = Array.from({ length: 2 * cpus }, () => gate.start(['-c', 'x.c'], env));
  assert.deepEqual(new Set(await statuses(compiles)), new Set([0]));
});

test('gcc links with -flto=8 in every slot at once', async () => {
  for (const name of ['a', 'b']) {
    writeFileSync(
      join(work, `${name}.c`),
      name === 'a' ? 'int b(void); int main(void) { return b(); }' : 'int b(void) { return 0; }',
    );
    execFileSync('gcc', ['-flto', '-O1', '-c', `${name}.c`], { cwd: work });
  }
  const link = (at: number) => gate.start(['-flto=8', '-O1', 'a.o', 'b.o', '-o', `p${at}`], pathOf(bin));
  assert.deepEqual(new Set(await statuses(Array.from({ length: 2 * cpus }, (_, at) => link(at)))), new Set([0]));
});

test('probes and pipelines do not wait, nor does anything with shoal switched off', async () => {
  mkdirSync(join(work, 'CMakeFiles/CMakeScratch/TryCompile-1'), { recursive: true });
  const holders = await gate.fill();
  const passing: readonly (readonly string[])[] = [
    ['--version'],
    ['-print-search-dirs'],
    ['-v'],
    ['-E', 'x.c', '-o', 'x.i'],
    ['-c', 'conftest.c'],
    ['-o', 'conftest', '-O2', 'conftest.cpp', '-lm'],
    ['-c', 'ztest4711.c'],
    ['-o', 'o', '-c', '/p/CMakeCCompilerId.c'],
    ['-c', 'CMakeCXXCompilerABI.cpp', '-o', 'o'],
    ['-c', 'sanitycheckc.c'],
    ['-c', '/b/CMakeFiles/CMakeTmp/src.c'],
    ['/b/meson-private/tmp1/testfile.c', '-o', 'o', '-c'],
    ['-Werror', '-c', '-x', 'c', '/dev/null', '-o', 'o'],
    ['-x', 'c', '-', '-c', '-o', 'o'],
    ['-S', 'x.c', '-o', '-'],
  ];
  for (const args of passing) assert.equal((await gate.start(args).end).status, 0, args.join(' '));
  const scratch = { PWD: join(work, 'CMakeFiles/CMakeScratch/TryCompile-1') };
  assert.equal((await gate.start(['-c', 'src.c'], scratch).end).status, 0);
  assert.equal((await gate.start(['-c', 'x.c'], { SHOAL_DISABLE: '1' }).end).status, 0);
  const waiting: readonly (readonly string[])[] = [
    ['-c', 'x.c'],
    ['-S', 'x.c'],
    ['-fsyntax-only', 'x.c'],
    ['x.o', '-o', 'program'],
    ['-c', 'my-conftest.c'],
    ['-c', 'ztest.c'],
    ['-c', '/b/CMakeTmpx/src.c'],
  ];
  const compiles = waiting.map((args) => gate.start(args));
  const theyWait = await Promise.all(compiles.map(gate.waits));
  assert.deepEqual(
    waiting.filter((_, at) => theyWait[at] !== true),
    [],
  );
  await Promise.all(holders.map(({ finish }) => finish()));
  assert.ok((await statuses(compiles)).every((status) => status === 0));
});

test('a command that is no compiler runs at once, whatever its options are called', async () => {
  const holders = await gate.fill();
  const ran = await gate.startCommand([join(bin, 'shoal'), 'sh', '-c', 'echo here', '-o', 'x']).end;
  assert.equal(ran.stdout, 'here\n');
  await Promise.all(holders.map(({ finish }) => finish()));
});

test('limits on descriptors and on the size of files change nothing', async () => {
  const holders = await gate.fill();
  const limited = (limit: string): Compile =>
    gate.startCommand(['/bin/sh', '-c', `ulimit ${limit}; exec "$@"`, 'sh', gcc, '-c', 'x.c'], { PAUSE_MS: '50' });
  const compiles = Array.from({ length: many }, () => limited('-n 50'));
  for (const compile of compiles.slice(-2)) assert.ok(await gate.waits(compile));
  await Promise.all(holders.map(({ finish }) => finish()));
  assert.deepEqual(new Set(await statuses(compiles)), new Set([0]));
  assert.equal(gate.most(), cpus);
  const ran = await gate.startCommand(['/bin/sh', '-c', `ulimit -f 0; exec "$@"`, 'sh', gcc, '-E', '-c', 'x.c']).end;
  const small = await gate.startCommand(['/bin/sh', '-c', `ulimit -f 0; exec "$@"`, 'sh', gcc, '-c', 'x.c']).end;
  assert.equal(small.signal, ran.signal);
});

test('a gate that is taken away is made anew, and nobody waits at the old one for long', async () => {
  const holders = await gate.fill();
  const waiting = Array.from({ length: 3 }, gate.held);
  await Promise.all(waiting.map(gate.waits));
  rmSync(join(runtime, 'gate'));
  assert.equal((await gate.start(['-c', 'x.c']).end).status, 0);
  await Promise.all(holders.map(({ finish }) => finish()));
  await waitUntil('a compile that had waited', 5000, () => waiting.some(gate.isRunning));
  await Promise.all(waiting.map(({ finish }) => finish()));
  assert.ok(gate.most() <= 2 * cpus);
});

test('where there can be no gate the compiler runs', async () => {
  mkdirSync(join(runtime, 'gate'));
  assert.equal((await gate.start(['-c', 'x.c']).end).status, 0);
  rmSync(join(runtime, 'gate'), { recursive: true });
});
