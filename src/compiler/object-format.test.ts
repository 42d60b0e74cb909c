import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { objectFlaw, type ObjectMaker } from './object-format.ts';

const directory = mkdtempSync(join(tmpdir(), 'shoal-objects-'));
after(() => rmSync(directory, { recursive: true }));
writeFileSync(join(directory, 'x.c'), 'int shoal(void) { return 1; }\n');
writeFileSync(join(directory, 'x.s'), '\t.text\nshoal:\t.byte 1\n');
const target = /^Target: (\S+)$/m.exec(
  execFileSync('/bin/sh', ['-c', 'gcc -v 2>&1'], { encoding: 'utf8', env: { ...process.env, LC_ALL: 'C' } }),
)?.[1];

function maker(argv: readonly string[], more: Partial<ObjectMaker> = {}): ObjectMaker {
  return { family: 'gcc', target: target ?? '', compiler: '/usr/bin/gcc', argv: ['gcc', ...argv], ...more };
}

function made(argv: readonly string[]): Buffer {
  execFileSync('gcc', [...argv, '-o', 'x.o'], { cwd: directory, stdio: 'ignore' });
  return readFileSync(join(directory, 'x.o'));
}

/** With other bytes at a place. */
function altered(object: Buffer, at: number, ...bytes: readonly number[]): Buffer {
  const copy = Buffer.from(object);
  copy.set(bytes, at);
  return copy;
}

test('what gcc makes here is right, whatever it was told', () => {
  assert.match(target ?? '', /linux/);
  const lines = ['-c x.c', '-c x.s', '-c -g -gdwarf-5 x.c', '-c -flto x.c', '-c -flto -ffat-lto-objects x.c'];
  const x86 = process.arch === 'x64' ? ['-c -m32 x.c', '-c -mx32 x.c', '-c -Wa,--32 x.s'] : [];
  for (const line of [...lines, ...x86]) {
    const argv = line.split(' ');
    assert.equal(objectFlaw(maker(argv), made(argv)), undefined, line);
  }
});

test('what is cut short anywhere, or is no object, is not taken', () => {
  const object = made(['-c', 'x.c']);
  const plain = maker(['-c', 'x.c']);
  for (let length = 0; length < object.length; length += 1)
    assert.notEqual(objectFlaw(plain, object.subarray(0, length)), undefined, `${length} of ${object.length} bytes`);
  for (const text of ['', '!<arch>\n', 'BC', 'int x;'.repeat(40)])
    assert.equal(objectFlaw(plain, Buffer.from(text)), 'is no object file');
  assert.equal(objectFlaw(plain, altered(object, 16, 2, 0)), 'is no relocatable object');
  assert.equal(objectFlaw(plain, readFileSync(process.execPath).subarray(0, 10_000)), 'is no relocatable object');
});

test('an object for another machine is taken only where an option or a name may have asked for one', () => {
  const sixtyFour = Buffer.alloc(64 + 64);
  sixtyFour.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  sixtyFour.writeUInt16LE(1, 16);
  sixtyFour.writeBigUInt64LE(64n, 40);
  sixtyFour.writeUInt16LE(64, 58);
  const of = (machine: number): Buffer => altered(sixtyFour, 18, machine, 0);
  const [x86, arm] = [of(62), of(183)];
  const linux = { target: 'x86_64-pc-linux-gnu' };
  const clang = { ...linux, family: 'clang', compiler: '/usr/bin/clang' } as const;
  const isTaken = (argv: string, object: Buffer, more: Partial<ObjectMaker>): boolean =>
    objectFlaw({ ...maker([]), ...more, argv: argv.split(' ') }, object) === undefined;
  assert.ok(isTaken('gcc -c x.c', x86, linux));
  assert.ok(!isTaken('gcc -c x.c', arm, linux));
  assert.ok(!isTaken('gcc -c x.c', altered(x86, 5, 2), linux), 'the other byte order');
  assert.ok(isTaken('gcc -c x.c', arm, { target: 'aarch64-linux-gnu' }));
  assert.ok(!isTaken('clang -c x.c', arm, clang));
  assert.ok(isTaken('clang --target=aarch64-linux-gnu -c x.c', arm, clang));
  assert.ok(isTaken('clang -target aarch64-linux-gnu -c x.c', arm, clang));
  assert.ok(isTaken('aarch64-linux-gnu-clang -c x.c', arm, clang), 'clang listens to its name');
  assert.ok(isTaken('clang -flto -c x.c', Buffer.from('4243c0de', 'hex'), clang));
  assert.ok(isTaken('gcc -c x.c', Buffer.from('6486'.padEnd(200, '0'), 'hex'), { target: 'x86_64-w64-mingw32' }));
  assert.ok(isTaken('gcc -c x.c', arm, { target: 'something-new-elf' }));
  assert.ok(isTaken('gcc -c x.c', arm, { target: '' }));
});
