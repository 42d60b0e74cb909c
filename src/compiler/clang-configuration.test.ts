import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { builtinIncludes } from './builtin-includes.ts';
import { clangConfiguration } from './clang-configuration.ts';
import type { Toolchain } from './toolchain.ts';

/** A program that says so, and another name of it. */
function pretender(t: TestContext, body: string) {
  const directory = mkdtempSync(join(tmpdir(), 'shoal-clang-'));
  t.after(() => rmSync(directory, { recursive: true }));
  const driver = join(directory, 'clang');
  const compiler = join(directory, 'arm-clang');
  writeFileSync(driver, `#!/bin/sh\n{ ${body}\n} >&2\n`, { mode: 0o755 });
  symlinkSync('clang', compiler);
  return { directory, compiler, toolchain: { family: 'clang', driver, digest: { hash: 'a' } } as unknown as Toolchain };
}

const pathEnv = '/usr/bin:/bin';

test('what clang reads beside its command line is what it says under the name that it is called by', async (t) => {
  const { directory, compiler, toolchain } = pretender(
    t,
    'echo "System configuration file directory: /etc/clang"; echo "Configuration file: $HOME/${0##*/}.cfg"',
  );
  assert.deepEqual(await clangConfiguration(toolchain, compiler, { pathEnv, home: '/home/me' }), {
    file: '/home/me/arm-clang.cfg',
    directories: [directory, '/etc/clang'],
  });
  const { compiler: plain, toolchain: other } = pretender(t, 'echo "clang version 14.0.6"');
  assert.equal((await clangConfiguration(other, plain, { pathEnv })).file, undefined);
});

test('clang is asked for its directories under the name that it is called by: its target follows from that', async (t) => {
  const { compiler, toolchain } = pretender(
    t,
    `echo '#include <...> search starts here:'; echo " /usr/include/\${0##*/}"; echo 'End of search list.'`,
  );
  const probe = { compiler, language: 'c', options: [], cwd: '/' } as const;
  const { directories } = await builtinIncludes(toolchain, probe, { env: new Map([['PATH', pathEnv]]) });
  assert.deepEqual(directories, ['/usr/include/arm-clang']);
});
