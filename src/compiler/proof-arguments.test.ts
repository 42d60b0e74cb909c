import assert from 'node:assert/strict';
import { test } from 'node:test';
import { proofArguments } from './proof-arguments.ts';

const files = { object: '/t/a.o', dependencies: '/t/a.d' };
const object = { path: 'x.o', kind: 'object', how: 'replace' } as const;
const dependencies = { path: 'x.d', kind: 'dependencies', how: 'truncate' } as const;
const dwo = { path: 'x.dwo', kind: 'dwo', how: 'replace' } as const;

const proof = (line: string, outputs: Parameters<typeof proofArguments>[1]['outputs']): string | undefined =>
  proofArguments(line.split(' '), { outputs }, files)?.join(' ');

test('the second compile writes elsewhere, wherever the first was told to write', () => {
  assert.equal(proof('gcc -c x.c -o x.o', [object]), '-c x.c -o /t/a.o');
  assert.equal(proof('gcc -ox.o -c x.c', [object]), '-c x.c -o /t/a.o');
  assert.equal(proof('gcc -c x.c', [object]), '-c x.c -o /t/a.o');
  const both = [object, dependencies];
  assert.equal(proof('gcc -MD -MF x.d -c x.c', both), '-MD -MF x.d -c x.c -o /t/a.o -MF /t/a.d');
});

test('what cannot be done elsewhere in the same way is not proved', () => {
  assert.equal(proof('gcc -gsplit-dwarf -c x.c', [object, dwo]), undefined);
  assert.equal(proof('gcc -c x.c @more', [object]), undefined);
  assert.equal(proof('gcc -Wp,-MD,x.d -c x.c', [object, dependencies]), undefined);
  assert.equal(proof('gcc -frecord-gcc-switches -c x.c', [object]), undefined);
});
