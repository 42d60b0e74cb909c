// What goes wrong beside a build: its proofs, its daemon, another build. The build goes on, and is told the truth.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { openRuntimeDir } from '../../src/trust/runtime-dir.ts';
import { oneBox, slowSource, type OneBox } from './one-box.ts';

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
