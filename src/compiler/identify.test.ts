import assert from 'node:assert/strict';
import { existsSync, lstatSync } from 'node:fs';
import { test } from 'node:test';
import { identifyToolchain } from './identify.ts';
import { searchedPath } from './toolchain-members.ts';

const paths = ['/usr/bin:/bin', '/bin:/usr/bin', '/usr/local/bin:/usr/bin', '/sbin:/usr/sbin:/bin:/usr/bin'];

test('a compiler is the same, whatever a PATH calls the directory of its assembler', async () => {
  const found = await Promise.all(paths.map((pathEnv) => identifyToolchain('/usr/bin/gcc', { pathEnv })));
  const digests = found.map((one) => (one.kind === 'toolchain' ? one.digest.hash : one.why));
  assert.deepEqual([...new Set(digests)], [digests[0]]);
  const [first] = found;
  assert.ok(first?.kind === 'toolchain');
  if (lstatSync('/bin').isSymbolicLink() && existsSync('/usr/bin/as')) {
    assert.ok(
      first.tree.symlinks.some(({ path }) => path === '/bin'),
      'a job whose PATH has /bin alone finds the assembler',
    );
  }
});

test('what of a PATH a compiler depends on is told by the directories themselves', () => {
  assert.equal(new Set(['/usr/bin:/bin', '/bin:/usr/bin', '/nowhere:relative:/usr/bin'].map(searchedPath)).size, 1);
});
