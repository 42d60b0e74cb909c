// clang under other names than its own: it takes its target from them, and configuration files.
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import test, { after, before } from 'node:test';
import type { OneBox } from './one-box.ts';

let box: OneBox;
let path = '';
const place = mkdtempSync(join(tmpdir(), 'shoal-clang-'));
const bin = join(place, 'bin');

before(async () => {
  const real = realpathSync(execFileSync('sh', ['-c', 'command -v clang'], { encoding: 'utf8' }).trim());
  chmodSync(place, 0o755); // The worker reads it as nobody.
  mkdirSync(bin);
  copyFileSync(real, join(bin, 'clang'));
  symlinkSync(join(dirname(real), '../lib'), join(place, 'lib'));
  for (const prefix of ['aarch64', 'x86_64']) symlinkSync('clang', join(bin, `${prefix}-linux-gnu-clang`));
  path = `${bin}:${process.env['PATH'] ?? ''}`;
  process.env['PATH'] = path; // The worker's, too: it is to have this compiler.
  const { oneBox } = await import('./one-box.ts');
  box = await oneBox('clang');
  box.write({
    'x.c': '#include <own.h>\nint a = OWN;\n#ifdef CONFIGURED\nint b = 1;\n#endif\n',
    'root/usr/include/own.h': '#define OWN 1\n',
    'root/usr/include/aarch64-linux-gnu/own.h': '#define OWN 2\n',
  });
});
after(async () => {
  await box.remove();
  rmSync(place, { recursive: true });
});

async function compare(name: string, expected: Readonly<Record<string, number>>): Promise<void> {
  const line = `${name} --sysroot=root -c x.c -o x.o`;
  const object = (): Buffer => readFileSync(join(box.base, 'x.o'));
  assert.equal(spawnSync('sh', ['-c', line], { cwd: box.base, env: { PATH: path } }).status, 0);
  const here = object();
  const { ran, summary } = await box.built(line, { PATH: path });
  assert.deepEqual([ran.status, summary.reasons], [0, expected], ran.stderr);
  assert.ok(object().equals(here), name);
}

test('a name with a target in front: its headers are those of that target', async () => {
  await compare('aarch64-linux-gnu-clang', {});
  await compare('clang', {});
});

test('a configuration file keeps the compile here, from when it is there until it is gone', async () => {
  const file = join(bin, 'x86_64-linux-gnu-clang.cfg');
  await compare('x86_64-linux-gnu-clang', {});
  writeFileSync(file, '-DCONFIGURED\n');
  await compare('x86_64-linux-gnu-clang', { 'own-parts': 1 });
  await compare('clang', {});
  rmSync(file);
  await compare('x86_64-linux-gnu-clang', {});
});
