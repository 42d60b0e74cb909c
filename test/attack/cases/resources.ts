// More than its share: of processes, memory, disk, time, output.
import assert from 'node:assert/strict';
import { grpcCode } from '../../../src/reapi/errors.ts';
import { processesWith } from '../../sandbox/fixture.ts';
import { compileOf, home, overBound, programOf, refused, shellOf, tooLong, within, type Attack } from '../ground.ts';

const bounded = { kind: 'bounded' } as const;
const out = { outputs: ['out'] };

/** Doubles an array 26 times over. */
const macroBomb = `${Array.from({ length: 26 }, (_, at) => `#define M${at + 1} M${at}, M${at}`).join('\n')}\n#define M0 1\nint a[] = { M26 };\n`;

// Doubles nothing 30 times over, in no memory.
const endless = `${Array.from({ length: 30 }, (_, at) => `#define N${at + 1} N${at} N${at}`).join('\n')}\n#define N0\nN30\n`;

export const resources: readonly Attack[] = [
  {
    name: 'a fork bomb',
    action: (ground) => programOf(ground, ['forks'], within(1)),
    gets: tooLong,
    check: () => assert.deepEqual(processesWith('/attacker\0forks'), []),
  },
  {
    name: 'a fork bomb whose first process ends',
    action: () => shellOf('( b() { b | b & }; b; b ) 2>/dev/null; exit 0', within(2)),
    gets: { kind: 'nothing' },
  },
  {
    name: 'a memory bomb of the preprocessor',
    action: (ground) => compileOf(ground, ['-c', 'x.c', '-o', 'x.o'], { 'x.c': macroBomb }, within(20)),
    gets: bounded,
  },
  {
    name: 'a memory bomb of several processes',
    action: (ground) => programOf(ground, ['memory', '4'], within(3)),
    gets: bounded,
  },
  {
    name: 'a disk filler',
    action: () => shellOf('cat /dev/urandom > fill'),
    gets: overBound,
  },
  {
    name: 'a file that includes itself',
    action: (ground) =>
      compileOf(
        ground,
        ['-fmax-include-depth=1000000', '-c', 'x.c', '-o', 'x.o'],
        { 'x.c': '#include "x.c"\n' },
        within(2),
      ),
    gets: bounded,
  },
  {
    name: 'an include that never ends',
    action: (ground) =>
      compileOf(ground, ['-include', '/dev/urandom', '-c', 'x.c', '-o', 'x.o'], { 'x.c': '' }, within(2)),
    gets: bounded,
  },
  {
    name: 'a compiler that never ends',
    action: (ground) => compileOf(ground, ['-c', 'x.c', '-o', 'x.o'], { 'x.c': endless }, within(1)),
    gets: bounded,
  },
  {
    name: 'an output without end',
    action: () => shellOf('yes'),
    gets: overBound,
  },
  {
    name: '200 MB of nothing as an output, beside things that are no files',
    action: (ground) =>
      programOf(ground, ['odd'], { tree: { attacker: { program: ground.attacker }, 'out/keep': '' }, ...out }),
    gets: overBound,
  },
  {
    name: 'devices, pipes and marks of absence are no outputs',
    action: (ground) =>
      programOf(ground, ['odd'], {
        tree: { attacker: { program: ground.attacker }, 'out/keep': '' },
        outputs: ['out/absent', 'out/disk', 'out/fifo', 'out/null'],
      }),
    gets: { kind: 'nothing' },
    check: (outcome) => assert.ok(outcome.kind === 'done' && outcome.result.outputFiles.length === 0),
  },
  {
    name: 'directories a thousand deep as outputs',
    action: (ground) =>
      programOf(ground, ['deep', '1000'], { tree: { attacker: { program: ground.attacker }, 'out/keep': '' }, ...out }),
    gets: overBound,
  },
  {
    name: 'arguments beyond what a program can be given',
    action: (ground) =>
      programOf(
        ground,
        Array.from({ length: 30 }, () => 'x'.repeat(100_000)),
      ),
    gets: { kind: 'status', code: grpcCode.INTERNAL, message: /Argument list too long/ },
  },
  {
    name: 'one argument of 200 kB',
    action: (ground) => programOf(ground, ['x'.repeat(200_000)]),
    gets: { kind: 'status', code: grpcCode.INTERNAL },
  },
  {
    name: 'more words than the sandbox takes',
    action: (ground) =>
      programOf(
        ground,
        Array.from({ length: 200_000 }, () => ''),
      ),
    gets: { kind: 'status', code: grpcCode.INTERNAL },
  },
  {
    name: 'a command of more than 4 MB',
    action: (ground) => programOf(ground, ['x'.repeat(5 << 20)]),
    gets: refused,
  },
  {
    name: 'a time beyond an hour',
    action: () => shellOf('true', within(1e6)),
    gets: refused,
  },
  {
    name: 'a time below zero',
    action: () => shellOf('true', within(-1)),
    gets: refused,
  },
  {
    name: 'a tree without end: a name of 100,000 bytes',
    action: () => ({ argv: ['/bin/true'], tree: { ['n'.repeat(100_000)]: 'x' } }),
    gets: refused,
  },
  {
    name: 'a tree two thousand directories deep',
    action: () => ({ argv: ['/bin/true'], tree: { [`${'d/'.repeat(2000)}x`]: 'x' } }),
    gets: refused,
  },
  {
    name: 'variables that are none',
    action: () => shellOf('true', { env: { 'LD_PRELOAD=x': 'y' } }),
    gets: refused,
  },
  {
    name: 'outputs of one name twice',
    action: () => shellOf('true', { outputs: ['a', 'a'] }),
    gets: refused,
  },
  {
    name: 'a toolchain that is another client’s tree',
    action: (ground) =>
      compileOf(
        ground,
        ['-c', 'x.c'],
        { 'x.c': '' },
        {
          properties: [
            { name: 'shoal-cwd', value: home },
            { name: 'shoal-root', value: 'input' },
            { name: 'toolchain', value: `${'0'.repeat(64)}/42` },
          ],
        },
      ),
    gets: { kind: 'status', code: grpcCode.FAILED_PRECONDITION },
  },
  {
    name: 'properties of another worker',
    action: () => shellOf('true', { properties: [{ name: 'dockerPrivileged', value: 'true' }] }),
    gets: refused,
  },
];

/** They take their time: making the files does. */
export const crowds: readonly Attack[] = [
  {
    name: 'as many files as there can be',
    action: (ground) => programOf(ground, ['inodes']),
    gets: overBound,
  },
  {
    name: '100,000 files as outputs',
    action: (ground) =>
      programOf(ground, ['many', '100000'], {
        tree: { attacker: { program: ground.attacker }, 'out/keep': '' },
        ...out,
      }),
    gets: overBound,
  },
];
