// `distcc` as a command: the launcher under that name, its statuses, where its hosts come from, what it leaves.
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, readdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { waitUntil } from '../../bench/wait.ts';
import { oneBox, type Env, type OneBox } from './one-box.ts';

let box: OneBox;
let distcc = '';

before(async () => {
  box = await oneBox('distcc');
  box.write({ 'x.c': '#include <stdio.h>\nint main(void) { puts("x"); return 0; }\n' });
  await box.shoal(['run', '--', 'gcc', '-c', 'x.c', '-o', 'reference.o']);
  distcc = box.launcher('distcc');
});

after(async () => {
  await box.shoal(['stop']);
  await box.remove();
});

const strict: Env = { DISTCC_FALLBACK: '0' };
const object = (name: string): Buffer => readFileSync(join(box.base, name));

test('the compiler may be named, left out, or be the name of a link', async () => {
  mkdirSync(join(box.base, 'masquerade'), { recursive: true });
  symlinkSync(distcc, join(box.base, 'distcc'));
  symlinkSync('../distcc', join(box.base, 'masquerade/gcc'));
  const ways: readonly (readonly string[])[] = [
    [distcc, 'gcc', '-c', 'x.c', '-o', 'a.o'],
    [distcc, '-c', 'x.c', '-o', 'b.o'],
    [distcc, 'x.c', '-c', '-o', 'c.o'],
    [join(box.base, 'masquerade/gcc'), '-c', 'x.c', '-o', 'd.o'],
  ];
  for (const way of ways) {
    const { status, stderr } = await box.run(way, strict);
    assert.deepEqual({ status, stderr }, { status: 0, stderr: '' }, way.join(' '));
    assert.ok(object(way.at(-1) ?? '').equals(object('reference.o')), way.join(' '));
  }
});

test("failures of its own have distcc's statuses", async () => {
  const status = async (words: readonly string[], env: Env = {}): Promise<number | null> =>
    (await box.run([distcc, ...words], env)).status;
  assert.equal(await status([]), 101);
  assert.equal(await status(['no-such-compiler', '-c', 'x.c']), 110);
  assert.equal(await status(['./no-such-compiler', '-c', 'x.c']), 110);
  assert.equal(await status(['gcc', '-c', 'x.c'], { ...strict, SHOAL_HOSTS: '' }), 116);
  assert.equal(await status(['gcc', '-c', 'x.c'], { SHOAL_HOSTS: '' }), 0);
  assert.equal(await status(['gcc', '-c', 'missing.c']), 1);
  const alone = await box.run([join(box.base, 'masquerade/gcc'), '-c', 'x.c'], { PATH: join(box.base, 'masquerade') });
  assert.equal(alone.status, 111, alone.stderr);
});

test('what stays is logged where DISTCC_LOG says, and what goes', async () => {
  await box.run([distcc, 'gcc', '-c', 'x.c'], { DISTCC_LOG: 'log' });
  await box.run([distcc, 'gcc', '-c', 'x.c'], { DISTCC_LOG: 'log', SHOAL_HOSTS: '' });
  const [went, stayed, ...more] = readFileSync(join(box.base, 'log'), 'utf8').trim().split('\n');
  assert.match(went ?? '', /^distcc\[\d+\] \(shoal\) compile x\.c on 127\.0\.0\.1:\d+: status 0$/);
  assert.match(stayed ?? '', /^distcc\[\d+\] \(shoal\) compile x\.c on localhost: no-worker/);
  assert.deepEqual(more, []);
});

test('DISTCC_VERBOSE=1 says it on stderr, or in the log alone where there is one', async () => {
  const said = async (words: readonly string[], env: Env): Promise<string> =>
    (await box.run(words, { DISTCC_VERBOSE: '1', ...env })).stderr;
  const compile = [distcc, 'gcc', '-c', 'x.c'];
  assert.match(await said(compile, {}), /^distcc\[\d+\] \(shoal\) compile x\.c on 127\.0\.0\.1:\d+: status 0\n$/);
  assert.match(
    await said(compile, { SHOAL_HOSTS: '' }),
    /^distcc\[\d+\] \(shoal\) compile x\.c on localhost: no-worker.*\n$/,
  );
  assert.match(
    await said([distcc, 'gcc', '-E', 'x.c'], {}),
    /^distcc\[\d+\] .* on localhost: preprocess-only \(x\.c\)\n$/,
  );
  assert.match(
    await said(compile, { ...strict, SHOAL_HOSTS: '' }),
    /^distcc\[\d+\] \(shoal\) compile x\.c: failed to distribute.*\nshoal: strict/,
  );
  assert.match(await said([distcc, 'gcc', '-c', 'missing.c'], {}), /^distcc\[\d+\].*\n.*error: missing\.c/);
  assert.equal(await said(compile, { DISTCC_LOG: 'verbose.log' }), '');
  assert.match(readFileSync(join(box.base, 'verbose.log'), 'utf8'), /compile x\.c on 127/);
  assert.equal(await said(compile, { DISTCC_VERBOSE: '0' }), '');
  assert.equal(await said([box.launcher('gcc'), '-c', 'x.c'], {}), '');
});

test('a job leaves no file of state behind', async () => {
  await box.run([distcc, 'gcc', '-c', 'x.c']);
  // The daemon sees the launcher's end a moment after us.
  await waitUntil('the state is removed', 5000, () => readdirSync(join(box.base, '.distcc/state')).length === 0);
});

test('what is shown of the hosts is what they are', async () => {
  const shown = async (words: readonly string[], env: Env): Promise<string> =>
    (await box.run([distcc, ...words], env)).stdout;
  assert.equal(await shown(['--show-hosts'], { DISTCC_HOSTS: 'a/3 localhost # b\nc,lzo' }), 'a/3\nlocalhost\nc,lzo\n');
  assert.equal(await shown(['-j'], { DISTCC_HOSTS: 'a/3 localhost c,lzo' }), '9\n');
  box.write({ 'd/hosts': 'from-a-file/7\n' });
  assert.equal(await shown(['-j'], { DISTCC_DIR: join(box.base, 'd') }), '7\n');
});

test('the files that a compile is sent with', async () => {
  box.write({ 'h.h': '', 'y.c': '#include "h.h"\n#include <stdio.h>\n' });
  const { stdout, status } = await box.run([distcc, '--scan-includes', 'gcc', '-c', 'y.c']);
  assert.equal(status, 0);
  const files = stdout.split('\n').filter((line) => line.startsWith('FILE'));
  assert.deepEqual(files.toSorted(), [`FILE      ${box.base}/h.h`, `FILE      ${box.base}/y.c`]);
  assert.match(stdout, /^SYSTEMDIR \/usr\/include$/m);
});

test('a list of hosts is explained word by word', async () => {
  const explain = (words: readonly string[], env: Env = {}) => box.shoal(['hosts', '--explain', ...words], env);
  const wrong = await explain(['red/4,lzo blue,cpp']);
  assert.equal(wrong.status, 1);
  assert.match(wrong.stdout, /^ {2}blue,cpp\n {6}\^{4} +`,cpp` needs `,lzo`/m);
  assert.equal((await explain(['red/4,lzo blue,lzo,cpp'])).status, 0);
  assert.match((await explain(['localhost,lzo'])).stdout, /`localhost` is not a network host: 127\.0\.0\.1 is/);
  const { stdout } = await explain([], { DISTCC_NO_CROSS_REWRITE: '1' });
  assert.match(stdout, /^SHOAL_HOSTS: /);
  assert.match(stdout, /DISTCC_NO_CROSS_REWRITE is a misprint of the manual page: write DISTCC_NO_REWRITE_CROSS/);
  const json = JSON.parse((await explain(['a,foo', '--json'])).stdout) as { words: { mistakes: unknown[] }[] };
  assert.equal(json.words[0]?.mistakes.length, 1);
});
