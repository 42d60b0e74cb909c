import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  appendFileSync,
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { NativeError, buildNative, ensureNative } from './native.ts';

const names = ['HOME', 'PATH', 'XDG_CACHE_HOME'] as const;
const before = names.map((name) => process.env[name]);
let base: string;
let root: string;
let cache: string;

const writeSource = (name: string, text: string): void => writeFileSync(join(root, 'launcher', name), text);
const printing = (text: string): string => `#include <stdio.h>\nint main(void) { return puts("${text}") < 0; }\n`;
const carried = (): string => join(root, 'native', process.arch);
const output = (program: string): string => execFileSync(program, { encoding: 'utf8' }).trim();

beforeEach(() => {
  base = mkdtempSync(join(tmpdir(), 'shoal-native-'));
  root = join(base, 'package');
  cache = join(base, 'cache');
  mkdirSync(join(root, 'launcher'), { recursive: true });
  process.env['XDG_CACHE_HOME'] = cache;
  writeSource('shoal.c', printing('launcher'));
  writeSource('init.c', 'int part(void);\nint main(void) { return part(); }\n');
  writeSource('init_part.c', '#include <stdio.h>\nint part(void) { return puts("init") < 0; }\n');
});

afterEach(() => {
  for (const [at, name] of names.entries()) {
    const value = before[at];
    if (value === undefined) delete process.env[name];
    else process.env[name] = value;
  }
  rmSync(base, { recursive: true });
});

test('the programs are compiled at first use, into the cache, with what the launcher reads beside itself', async () => {
  const { launcher, init } = await ensureNative(root);
  assert.equal(dirname(dirname(launcher)), join(cache, 'shoal'));
  assert.deepEqual([output(launcher), output(init)], ['launcher', 'init']);
  const sidecar = join(dirname(launcher), 'shoal.install');
  assert.equal(readFileSync(sidecar, 'utf8'), `${process.execPath}\0${join(root, 'dist/shoal/main.js')}\0`);
  assert.equal(statSync(sidecar).mode & 0o022, 0);
  const { ino } = statSync(launcher);
  assert.deepEqual(await ensureNative(root), { launcher, init });
  assert.equal(statSync(launcher).ino, ino, 'not compiled again');
});

test('of several first uses at once one is kept, and nothing is left of the others', async () => {
  const all = await Promise.all(Array.from({ length: 4 }, () => ensureNative(root)));
  assert.equal(new Set(all.map(({ launcher }) => launcher)).size, 1);
  assert.equal(output(all[0]?.launcher ?? ''), 'launcher');
  assert.equal(readdirSync(join(cache, 'shoal')).length, 1);
});

test('a package that carries the programs needs no compiler', async () => {
  await buildNative(carried(), root);
  process.env['PATH'] = base;
  const { launcher } = await ensureNative(root);
  assert.equal(launcher, join(carried(), 'shoal'));
  assert.equal(statSync(carried()).mode & 0o777, 0o755);
});

test('programs older than their sources are not used, and are built anew in their place', async () => {
  await buildNative(carried(), root);
  writeSource('shoal.c', printing('newer'));
  const { launcher } = await ensureNative(root);
  assert.equal(dirname(dirname(launcher)), join(cache, 'shoal'));
  assert.equal(output(launcher), 'newer');
  const built = await buildNative(carried(), root);
  assert.equal(output(built.launcher), 'newer');
  assert.deepEqual(readdirSync(dirname(carried())), [process.arch]);
  assert.equal((await ensureNative(root)).launcher, built.launcher);
});

test('carried programs with the sidecar of another machine, or one open to others, are copied, not compiled', async () => {
  await buildNative(carried(), root);
  appendFileSync(join(carried(), 'shoal'), 'carried');
  process.env['PATH'] = base;
  const sidecar = join(carried(), 'shoal.install');
  const right = readFileSync(sidecar);
  const spoilers = [
    (): void => writeFileSync(sidecar, '/other/node\0/other/main.js\0'),
    (): void => rmSync(sidecar),
    (): void => {
      writeFileSync(sidecar, right);
      chmodSync(sidecar, 0o664);
    },
  ];
  for (const spoil of spoilers) {
    spoil();
    rmSync(cache, { recursive: true, force: true });
    const { launcher, init } = await ensureNative(root);
    assert.equal(dirname(dirname(launcher)), join(cache, 'shoal'));
    assert.ok(readFileSync(launcher).subarray(-7).equals(Buffer.from('carried')));
    assert.deepEqual([output(launcher), output(init)], ['launcher', 'init']);
    assert.deepEqual(readFileSync(join(dirname(launcher), 'shoal.install')), right);
    assert.deepEqual(await ensureNative(root), { launcher, init });
  }
});

test('without a compiler that can, the error names those tried, and nothing is left', async () => {
  writeSource('shoal.c', 'int main(void) { return missing; }\n');
  await assert.rejects(
    ensureNative(root),
    (error) => error instanceof NativeError && /musl-gcc: .*gcc: .*cc: /.test(error.message),
  );
  assert.deepEqual(readdirSync(join(cache, 'shoal')), []);
});

test('a compiler on PATH that is a launcher asks no daemon for this', async () => {
  const gcc = execFileSync('/bin/sh', ['-c', 'command -v gcc'], { encoding: 'utf8' }).trim();
  const bin = join(base, 'bin');
  mkdirSync(bin);
  for (const name of ['musl-gcc', 'gcc']) {
    writeFileSync(join(bin, name), `#!/bin/sh\necho "$SHOAL_DISABLE" >>${base}/asked\nexec ${gcc} "$@"\n`, {
      mode: 0o755,
    });
  }
  process.env['PATH'] = `${bin}:${process.env['PATH']}`;
  await ensureNative(root);
  assert.equal(readFileSync(join(base, 'asked'), 'utf8'), '1\n1\n1\n');
});

test('an XDG_CACHE_HOME that is empty or relative is as good as none', async () => {
  process.env['HOME'] = base;
  for (const value of ['', 'relative']) {
    process.env['XDG_CACHE_HOME'] = value;
    const { launcher } = await ensureNative(root);
    assert.equal(dirname(dirname(launcher)), join(base, '.cache/shoal'));
  }
});
