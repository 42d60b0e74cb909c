import assert from 'node:assert/strict';
import test from 'node:test';
import { argvForFiles, argvForSource, compilerName, withoutLocalWords } from './server-argv.ts';

const stripped = (line: string): string => withoutLocalWords(line.split(' ')).join(' ');

// What stock distcc 3.4 sent for each of these.
const seen: readonly (readonly [string, string])[] = [
  ['-O2 -g -Wall -Iinc -DX=1 -MD -MF x.d -c c.c -o c.o', '-O2 -g -Wall -c c.c -o c.o'],
  ['-I inc -include inc/own.h -isystem inc -idirafter inc -c c.c', '-c c.c'],
  ['-Wp,-MD,y.d -std=gnu11 -iquote inc -c c.c -o o/c.o', '-std=gnu11 -iquote inc -c c.c -o o/c.o'],
  ['-D X=2 -U Y -L. -lfoo -Wl,-z -c c.c', '-c c.c'],
  ['-c x.cc -stdlib=libc++ -undef -nostdinc++', '-c x.cc'],
  ['-MD -MT foo -MQ bar -MP -MG -c c.c', '-c c.c'],
  ['-frecord-gcc-switches -ffile-prefix-map=/tmp=x -c c.c', '-frecord-gcc-switches -ffile-prefix-map=/tmp=x -c c.c'],
  ['-o -I -c c.c', '-o -I -c c.c'],
];

test('what only the preprocessor and the linker look at is left out', () => {
  for (const [line, expected] of seen) assert.equal(stripped(line), expected, line);
});

test('the output is always named', () => {
  const command = { name: 'gcc', words: ['-Iinc', '-c', 'x/c.c'], object: 'c.o' };
  assert.deepEqual(argvForSource(command), ['gcc', '-c', 'x/c.c', '-o', 'c.o']);
  assert.deepEqual(argvForFiles(command), ['gcc', '-Iinc', '-c', 'x/c.c', '-o', 'c.o']);
  const named = { ...command, words: ['-c', 'c.c', '-oc.o'] };
  assert.deepEqual(argvForFiles(named), ['gcc', '-c', 'c.c', '-oc.o']);
});

test('clang is told what it compiled for, unless it is told already', () => {
  const command = { name: 'clang', words: ['-c', 'c.c'], object: 'c.o', target: 'x86_64-pc-linux-gnu' };
  const target = ['-target', 'x86_64-pc-linux-gnu'];
  assert.deepEqual(argvForSource(command), ['clang', '-c', 'c.c', '-o', 'c.o', ...target]);
  const words = ['--target=arm-linux-gnueabi', '-c', 'c.c'];
  assert.deepEqual(argvForSource({ ...command, words }), ['clang', ...words, '-o', 'c.o']);
  // What it compiles for follows from its name.
  const name = 'aarch64-linux-gnu-clang';
  assert.deepEqual(argvForSource({ ...command, name }), [name, '-c', 'c.c', '-o', 'c.o']);
  assert.ok(argvForSource({ ...command, name: 'clang++-14' }).includes('-target'));
});

test('a compiler goes by its full name where this box has it', () => {
  const target = 'x86_64-linux-gnu';
  const name = (name: string, family: 'gcc' | 'clang' = 'gcc', there = true): string =>
    compilerName({ name, family, cplusplus: name.includes('+') }, { target, isThere: () => there });
  assert.equal(name('gcc'), 'x86_64-linux-gnu-gcc');
  assert.equal(name('g++'), 'x86_64-linux-gnu-g++');
  assert.equal(name('gcc-12'), 'x86_64-linux-gnu-gcc-12');
  assert.equal(name('cc'), 'x86_64-linux-gnu-gcc');
  assert.equal(name('c++'), 'x86_64-linux-gnu-g++');
  assert.equal(name('gcc', 'gcc', false), 'gcc');
  assert.equal(name('arm-linux-gnueabi-gcc'), 'arm-linux-gnueabi-gcc');
  assert.equal(name('clang', 'clang'), 'clang');
  assert.equal(name('c++', 'clang'), 'clang++');
});
