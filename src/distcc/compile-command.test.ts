import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { DistccError } from './errors.ts';
import { preprocessedExtension, readCommand, withDependencies, withPlaces } from './compile-command.ts';

const words = (line: string): string[] => line.split(' ');

test('source and output of the commands that clients send', () => {
  const rows: readonly (readonly [string, string, string])[] = [
    ['gcc -c x.c', 'x.c', 'x.o'],
    ['gcc -c src/x.cpp', 'src/x.cpp', 'x.o'],
    ['gcc -S x.c', 'x.c', 'x.s'],
    ['gcc -S -c x.c', 'x.c', 'x.s'],
    ['gcc -c x.c -o y.obj', 'x.c', 'y.obj'],
    ['gcc -oy.o -c x.c', 'x.c', 'y.o'],
    ['gcc -MD -MF x.c -MT y.c -c z.c -o z.o', 'z.c', 'z.o'],
    ['clang -target x86_64-linux-gnu -c x.mm', 'x.mm', 'x.o'],
  ];
  for (const [line, input, output] of rows) {
    const command = readCommand(words(line));
    assert.deepEqual([command.input, command.output], [input, output], line);
  }
});

test('commands that clients keep are refused', () => {
  const lines = [
    'gcc',
    'gcc x.c',
    'gcc -c',
    'gcc -c x.c y.c',
    'gcc -c x.c -o x.o y.o',
    'gcc -c x.c -o -',
    'gcc -c x.c -o',
    'gcc -E x.c',
    'gcc -M -c x.c',
    'gcc -MM -c x.c',
    'gcc -x c -c x.c',
    'gcc -c x.c -fplugin=./evil.so',
    'gcc --coverage -c x.c',
  ];
  for (const line of lines) assert.throws(() => readCommand(words(line)), { code: 'REFUSED' }, line);
});

test('source and output go elsewhere, all other words stay', () => {
  const placed = (line: string): string => withPlaces(readCommand(words(line)), '/tmp/in.i', '/tmp/out.o').join(' ');
  assert.equal(placed('gcc -O2 -c x.c -o x.o -g'), 'gcc -O2 -c /tmp/in.i -g -o /tmp/out.o');
  assert.equal(placed('gcc -ox.o -c x.c'), 'gcc -c /tmp/in.i -o /tmp/out.o');
  assert.equal(placed('gcc -c x.c'), 'gcc -c /tmp/in.i -o /tmp/out.o');
  assert.equal(placed('gcc -c x.c -MT -o -o x.o'), 'gcc -c /tmp/in.i -MT -o -o /tmp/out.o');
});

test('dependencies go where they are read from', () => {
  const moved = (line: string): string => withDependencies(words(line), '/tmp/x.d').join(' ');
  assert.equal(moved('gcc -c x.c'), 'gcc -c x.c -MMD -MF /tmp/x.d');
  assert.equal(moved('gcc -MD -MF a.d -MT -MF -c x.c'), 'gcc -MD -MT -MF -c x.c -MF /tmp/x.d');
  assert.equal(moved('gcc -MMD -MFa.d -c x.c'), 'gcc -MMD -c x.c -MF /tmp/x.d');
});

test('preprocessed sources keep their language', () => {
  const names = { 'a.c': '.i', 'a.cc': '.ii', 'a.C': '.ii', 'a.m': '.mi', 'a.mm': '.mii', 'a.S': '.s', 'a.ii': '.ii' };
  for (const [name, extension] of Object.entries(names)) assert.equal(preprocessedExtension(name), extension, name);
});

test('any words are a command with one source, which is the one that is replaced, or refused', () => {
  const word = fc.oneof(
    fc.constantFrom('-c', '-S', '-o', 'x.c', 'y.o', '-MF', '-MD', '-MT', '-ox', '-O2', '-', '', 'dir/z.cc', '-g'),
    fc.string({ maxLength: 6 }),
  );
  fc.assert(
    fc.property(fc.array(word, { minLength: 1, maxLength: 9 }), (argv) => {
      try {
        const command = readCommand(argv);
        assert.equal(argv[command.inputAt], command.input);
        const placed = withPlaces(command, '/in.c', '/out.o');
        const again = readCommand(placed);
        assert.deepEqual([again.input, again.output], ['/in.c', '/out.o']);
      } catch (error) {
        assert.ok(error instanceof DistccError, String(error));
      }
    }),
    { numRuns: 2000 },
  );
});
