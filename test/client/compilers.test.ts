// Compilers that do not answer at first, and builds that change where compilers are looked for.
import assert from 'node:assert/strict';
import { chmodSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { oneBox, type OneBox } from './one-box.ts';

let box: OneBox;

before(async () => {
  box = await oneBox('compilers');
  box.write({ 'a.c': 'int a;\n' });
});

after(() => box.remove());

const kept = (): readonly string[] => readdirSync(join(box.base, 'cache/shoal/toolchains'));

test('a build that changes its PATH with every compile asks its compiler once', async () => {
  assert.equal((await box.built('gcc -c a.c')).summary.files, 1);
  const before = kept();
  const line = 'for i in 1 2 3 4 5 6 7 8; do mkdir -p $i; PATH=$PATH:/opt/$i/bin:$PWD/$i gcc -c a.c || exit 1; done';
  const { ran, summary } = await box.built(line);
  assert.deepEqual([ran.status, summary.files, summary.local], [0, 8, 0], ran.stderr);
  assert.deepEqual(kept(), before);
});

test('a compiler that once could not be asked is asked again, and what ran here meanwhile is counted as such', async () => {
  // As a process that the kernel would not give: it says nothing and has failed.
  const driver = `#include <string.h>
    #include <unistd.h>
    int main(int count, char **words) {
      for (int i = 1; i < count; i++) if (!strcmp(words[i], "-v") && !access("${box.base}/fail", F_OK)) return 1;
      words[0] = "/usr/bin/gcc";
      return execv(words[0], words);
    }`;
  box.write({ 'driver.c': driver, 'own/none': '', fail: '' });
  assert.equal((await box.run(['gcc', 'driver.c', '-o', 'own/gcc'])).status, 0);
  chmodSync(join(box.base, 'own/gcc'), 0o755);
  const line = 'gcc -c a.c; rm fail; sleep 1; gcc -c a.c && gcc -c a.c -o b.o';
  const { ran, summary } = await box.built(line, { PATH: `${join(box.base, 'own')}:${process.env['PATH'] ?? ''}` });
  assert.equal(ran.status, 0, ran.stderr);
  // The worker lacks this driver: that it is a toolchain is seen by that.
  assert.deepEqual(summary.reasons, { 'compiler-silent': 1, 'no-toolchain': 2 }, ran.stderr);
  assert.equal(summary.fallbacks, 3);
});

test('where the home directory can be neither found nor made, the build runs all the same, and soon', async () => {
  const nowhere = { HOME: '/proc/nowhere', XDG_CACHE_HOME: '', XDG_STATE_HOME: '' };
  const startedMs = performance.now();
  const ran = await box.shoal(['run', '--', 'gcc', '-c', 'a.c', '-o', 'home.o'], nowhere);
  assert.equal(ran.status, 0, ran.stderr);
  assert.ok(performance.now() - startedMs < 20_000);
});
