// Files of the box, of the worker, of other jobs: through the compiler and around it.
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { grpcCode } from '../../../src/reapi/errors.ts';
import { compileOf, home, programOf, refused, shellOf, type Attack, type Ground } from '../ground.ts';

const secretsOf = ({ outside, key, storedBlob, running }: Ground): readonly string[] => {
  return ['/etc/shadow', '/etc/passwd', join(outside, 'secret'), key, storedBlob, join(running.stateDir, 'lock')];
};

/** In gcc's words, as's and clang's. */
const absent = /no such file|not found|could not find|permission denied|not a directory/i;

/** One compile that asks for each of the secrets in its own way, and is told that there is no such file. */
function asked(name: string, args: (path: string) => readonly string[], source: (path: string) => string): Attack {
  return {
    name,
    action: (ground) => {
      const paths = secretsOf(ground);
      const text = paths.map(source).join('\n');
      const found = paths.flatMap(args);
      return compileOf(ground, [...found, '-c', 'x.c'], { 'x.c': `${text}\nint f;\n` });
    },
    gets: { kind: 'fails', stderr: absent },
  };
}

const nothing = (): readonly string[] => [];
const noText = (): string => '';

/** A source that is a symbolic link in the input root. */
function linked(name: string, target: (ground: Ground) => string): Attack {
  return {
    name,
    action: (ground) => compileOf(ground, ['-c', 'x.c', '-o', 'x.o'], { 'x.c': { target: target(ground) }, 'y.h': '' }),
    gets: { kind: 'fails', stderr: absent },
  };
}

const up = '../'.repeat(30);

export const reading: readonly Attack[] = [
  asked('#include of secrets', nothing, (path) => `#include "${path}"`),
  asked('#include of secrets, by way of ..', nothing, (path) => `#include "${up}${path.slice(1)}"`),
  asked('.incbin of secrets', nothing, (path) => `__asm__(".incbin \\"${path}\\"");`),
  asked('-include of secrets', (path) => ['-include', path], noText),
  asked('-imacros of secrets', (path) => ['-imacros', path], noText),
  asked('secrets as linker and other inputs', (path) => ['-x', 'c', path], noText),
  {
    name: '#include through the leader’s root and descriptors',
    action: (ground) => {
      const ways = [
        '/proc/1/root/etc/shadow',
        '/proc/1/cwd/s/key',
        '/proc/self/fd/0/../shadow',
        '/proc/1/environ',
        '/proc/1/fd/1',
      ];
      const text = ways.map((path) => `#include "${path}"`).join('\n');
      return compileOf(ground, ['-c', 'x.c', '-o', 'x.o'], { 'x.c': text });
    },
    gets: { kind: 'fails', stderr: absent },
  },
  linked('a source that is an absolute link to shadow', () => '/etc/shadow'),
  linked('a source that is a link to shadow by way of ..', () => `${up}etc/shadow`),
  linked('a source that is a link to the worker’s key', ({ key }) => key),
  linked('a source that is a link to another client’s blob', ({ storedBlob }) => storedBlob),
  linked('a source that is a link into the leader’s root', () => '/proc/1/root/etc/shadow'),
  {
    name: 'an include directory that is a link to the root',
    action: (ground) => {
      const files = { 'x.c': '#include "inc/etc/shadow"\n', inc: { target: '/' } };
      return compileOf(ground, ['-c', 'x.c', '-o', 'x.o'], files);
    },
    gets: { kind: 'fails', stderr: absent },
  },
  {
    name: 'an output that is a link to a secret comes back as a link',
    action: ({ key }) => shellOf(`ln -s ${key} o; ln -s /etc/shadow d`, { outputs: ['d', 'o'] }),
    gets: { kind: 'nothing' },
    check: (outcome) => {
      assert.ok(outcome.kind === 'done');
      assert.deepEqual([outcome.result.outputFiles, outcome.result.outputSymlinks.length], [[], 2]);
    },
  },
  {
    name: 'an output below a directory that is a link to the box',
    action: ({ outside }) => shellOf(`ln -s ${outside} out; ln -s /etc etc`, { outputs: ['etc/shadow', 'out/secret'] }),
    gets: { kind: 'nothing' },
    check: (outcome) => assert.ok(outcome.kind === 'done' && outcome.result.outputFiles.length === 0),
  },
  {
    name: 'a program that opens every secret by name',
    action: (ground) => {
      assert.ok(existsSync(ground.storedBlob));
      return programOf(ground, [
        'open',
        ...secretsOf(ground),
        '/s',
        '/h',
        '/j',
        '/proc/kcore',
        '/proc/kallsyms',
        '/dev/mem',
      ]);
    },
    gets: { kind: 'nothing' },
  },
  {
    name: 'a program that walks all it can reach finds what it brought',
    action: (ground) => programOf(ground, ['walk', '/']),
    gets: { kind: 'nothing', stdout: /^\/attacker\n(\/proc.*\n)*$/ },
  },
  {
    name: 'a plain action that walks all it can reach finds the tools and what it brought',
    action: ({ attacker }) => ({ argv: ['./attacker', 'walk', '/'], tree: { attacker: { program: attacker } } }),
    gets: { kind: 'nothing', stdout: /^(\/build\/attacker\n|\/etc\/ld\.so\.cache\n)*$/ },
  },
  {
    name: 'processes in sight, their memory, environment, roots and descriptors',
    action: (ground) => programOf(ground, ['processes']),
    gets: { kind: 'nothing' },
  },
  {
    name: 'a tree with .. as a name',
    action: () => ({ argv: ['/bin/true'], tree: { '..': 'x' } }),
    gets: refused,
  },
  {
    name: 'a tree whose directory is .. ',
    action: () => ({ argv: ['/bin/true'], tree: { '../../etc/x': 'x' } }),
    gets: refused,
  },
  {
    name: 'a tree with an empty name',
    action: () => ({ argv: ['/bin/true'], tree: { 'a//b': 'x' } }),
    gets: refused,
  },
  {
    name: 'a tree with a NUL in a name',
    action: () => ({ argv: ['/bin/true'], tree: { 'a\0b': 'x' } }),
    gets: refused,
  },
  {
    name: 'outputs outside of the root',
    action: () => shellOf('true', { outputs: ['../../etc/shadow'] }),
    gets: refused,
  },
  {
    name: 'absolute outputs',
    action: () => shellOf('true', { outputs: ['/etc/shadow'] }),
    gets: refused,
  },
  {
    name: 'a working directory outside of the root',
    action: () => shellOf('cat etc/shadow', { command: { workingDirectory: '../..' } }),
    gets: refused,
  },
  {
    name: 'a working directory of .. in an exact root',
    action: (ground) =>
      programOf(ground, ['open', 'etc/shadow'], {
        properties: [
          { name: 'shoal-cwd', value: '/../../..' },
          { name: 'shoal-root', value: 'input' },
        ],
      }),
    gets: refused,
  },
  {
    name: 'a working directory that is a link',
    action: (ground) => {
      const tree = { attacker: { program: ground.attacker }, [home.slice(1)]: { target: '/proc/1/root' } };
      const properties = [
        { name: 'shoal-cwd', value: home },
        { name: 'shoal-root', value: 'input' },
      ];
      return programOf(ground, ['open', 'etc/shadow'], { tree, properties });
    },
    gets: { kind: 'status', code: grpcCode.INTERNAL },
  },
];
