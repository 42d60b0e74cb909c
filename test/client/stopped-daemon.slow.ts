// A daemon that is stopped: everybody waits for it once, and not for long. Its waits of ten seconds and more are why this is
// no fast test.
import assert from 'node:assert/strict';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { waitUntil } from '../../bench/wait.ts';
import { openRuntimeDir } from '../../src/trust/runtime-dir.ts';
import { daemonPid, oneBox, type OneBox } from './one-box.ts';

const { path: runtime } = openRuntimeDir();
let box: OneBox;

before(async () => {
  box = await oneBox('stopped');
  box.write({ 'a.c': 'int a;\n' });
  // Puts the launchers in their place.
  await box.built('gcc -c a.c');
});

after(() => box.remove());

test('a daemon that stands still holds up nobody for long, and stop ends it', async () => {
  assert.equal((await box.run([box.launcher('gcc'), '-c', 'a.c'])).status, 0);
  const pid = await daemonPid(box);
  process.kill(pid, 'SIGSTOP');
  const compile = async (): Promise<number> => {
    const startedMs = performance.now();
    assert.equal((await box.run([box.launcher('gcc'), '-c', 'a.c', '-o', 'still.o'])).status, 0);
    return performance.now() - startedMs;
  };
  const commands = [['status'], ['explain', 'last'], ['hosts'], ['run', '--', 'gcc', '-c', 'a.c']];
  const [first, status, explain, hosts, build] = await Promise.all([
    compile(),
    ...commands.map((one) => box.shoal(one)),
  ]);
  assert.ok((first ?? Infinity) < 20_000, `${String(first)} ms`);
  for (const asked of [status, explain, hosts]) {
    assert.equal(asked?.status, 1);
    assert.match(asked?.stderr ?? '', /the client daemon has not answered for 10 s; `shoal stop` ends it/);
  }
  assert.equal(build?.status, 0, build?.stderr);
  assert.match(build?.stderr ?? '', /has not answered.*; until then builds run here/);
  const second = await compile();
  assert.ok(second < 3000, `the next compile does not wait: ${second} ms`);
  const stopped = await box.shoal(['stop']);
  assert.equal(stopped.status, 0);
  assert.match(stopped.stderr, new RegExp(`process ${pid}\\) did not answer, and was killed`));
  assert.deepEqual(readdirSync(runtime), ['worker.sock']);
});

test('compiles that no daemon could count are in the summary all the same', async () => {
  // The daemon stands still, so the first waits for it; then it is gone, and another counts what comes.
  const line =
    'gcc -c a.c -o 1.o; touch first; until [ -f stands ]; do sleep 0.05; done; gcc -c a.c -o 2.o; touch second; until [ -f again ]; do sleep 0.05; done; gcc -c a.c -o 3.o';
  const building = box.built(line);
  await waitUntil('the first', 10_000, () => existsSync(join(box.base, 'first')));
  const pid = await daemonPid(box);
  process.kill(pid, 'SIGSTOP');
  box.write({ stands: '' });
  await waitUntil('the second', 20_000, () => existsSync(join(box.base, 'second')));
  process.kill(pid, 'SIGKILL');
  await waitUntil('another', 10_000, async () => (await box.shoal(['status'])).stdout.includes(': 1 builds'));
  await waitUntil('its word', 10_000, () => !existsSync(join(runtime, 'daemon.stuck')));
  box.write({ again: '' });
  const { ran, summary } = await building;
  assert.equal(ran.status, 0, ran.stderr);
  assert.deepEqual([summary.files, summary.local, summary.fallbacks, summary.reasons], [2, 1, 1, { 'no-daemon': 1 }]);
  assert.deepEqual(
    readdirSync(runtime).filter((name) => name.startsWith('lone')),
    [],
  );
});
