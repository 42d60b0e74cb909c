// What surrounds a compile: its environment, limits and descriptors, and the files that hold its arguments.
import type { Case, Theme } from '../case.ts';

const x = { 'x.c': '#include <x.h>\nint f = X;\n' };
const c = { 'x.c': 'int f(int x) { int unused; return x; }\n' };
const h = (value: number): string => `#define X ${value}\n`;

const paths: readonly Case[] = [
  { name: 'CPATH', files: { ...x, 'd/x.h': h(1) }, run: '$CC -g -c x.c', env: { CPATH: 'd' } },
  {
    name: 'CPATH of several, an empty one',
    files: { ...x, 'x.h': h(1), 'd/x.h': h(2) },
    run: '$CC -c x.c',
    env: { CPATH: 'none::d' },
  },
  { name: 'CPATH that ends in a colon', files: { ...x, 'x.h': h(1) }, run: '$CC -c x.c', env: { CPATH: 'none:' } },
  { name: 'C_INCLUDE_PATH', files: { ...x, 'd/x.h': h(1) }, run: '$CC -Wall -c x.c', env: { C_INCLUDE_PATH: 'd' } },
  {
    name: 'C_INCLUDE_PATH after CPATH',
    files: { ...x, 'a/x.h': h(1), 'b/x.h': h(2) },
    run: '$CC -c x.c',
    env: { CPATH: 'a', C_INCLUDE_PATH: 'b' },
  },
  {
    name: 'CPLUS_INCLUDE_PATH',
    files: { 'x.cc': '#include <x.h>\n', 'd/x.h': 'int x;\n' },
    run: '$CXX -c x.cc',
    env: { CPLUS_INCLUDE_PATH: 'd', C_INCLUDE_PATH: 'none' },
  },
  {
    name: 'OBJC_INCLUDE_PATH',
    files: { 'x.m': '#import <x.h>\n', 'd/x.h': 'int x;\n' },
    run: '$CC -c x.m',
    env: { OBJC_INCLUDE_PATH: 'd' },
  },
  {
    name: 'OBJCPLUS_INCLUDE_PATH',
    files: { 'x.mm': '#import <x.h>\n', 'd/x.h': 'int x;\n' },
    run: '$CXX -c x.mm',
    env: { OBJCPLUS_INCLUDE_PATH: 'd' },
  },
  {
    name: 'C_INCLUDE_PATH for assembler',
    files: { 'x.S': '#include <x.h>\n', 'd/x.h': '.long 1\n' },
    run: '$CC -c x.S',
    env: { C_INCLUDE_PATH: 'd', CPLUS_INCLUDE_PATH: 'none' },
  },
  { name: 'LIBRARY_PATH', files: c, run: '$CC -c x.c', env: { LIBRARY_PATH: '/none', LPATH: '/none' } },
  {
    name: 'PATH that has no other tools',
    files: c,
    run: 'd=$(dirname "$(command -v $CC)"); PATH=$d:/usr/bin $CC -c x.c',
  },
  {
    name: 'GCC_EXEC_PREFIX',
    files: c,
    run: '$CC -c x.c',
    env: { GCC_EXEC_PREFIX: '/usr/lib/gcc/' },
    ends: ['environment'],
  },
  { name: 'COMPILER_PATH', files: c, run: '$CC -c x.c', env: { COMPILER_PATH: '/usr/bin' }, ends: ['environment'] },
  {
    name: 'CCC_OVERRIDE_OPTIONS',
    files: c,
    run: '$CC -c x.c',
    env: { CCC_OVERRIDE_OPTIONS: '# O2 +-g' },
    ends: ['environment'],
  },
  {
    name: 'CC_PRINT_OPTIONS',
    files: c,
    run: '$CC -c x.c',
    env: { CC_PRINT_OPTIONS: '1', CC_PRINT_OPTIONS_FILE: 'opts' },
    ends: ['environment'],
  },
  {
    name: 'CC_LOG_DIAGNOSTICS',
    files: c,
    run: '$CC -Wall -c x.c',
    env: { CC_LOG_DIAGNOSTICS: '1', CC_LOG_DIAGNOSTICS_FILE: 'log' },
    ends: ['environment'],
  },
  {
    name: 'GCC_COMPARE_DEBUG',
    files: c,
    run: '$CC -O2 -c x.c',
    env: { GCC_COMPARE_DEBUG: '-gtoggle' },
    ends: ['environment'],
  },
  {
    name: 'GCC_EXTRA_DIAGNOSTIC_OUTPUT',
    files: { 'x.c': 'struct s { int color; }; int f(struct s *p) { return p->colour; }\n' },
    run: '$CC -c x.c',
    env: { GCC_EXTRA_DIAGNOSTIC_OUTPUT: 'fixits-v2' },
  },
];

const times: readonly Case[] = [
  {
    name: 'LLVM_OVERRIDE_PRODUCER',
    files: c,
    run: '$CC -emit-llvm -c x.c',
    on: 'clang',
    env: { LLVM_OVERRIDE_PRODUCER: 'someone else' },
  },
  {
    name: 'TZ',
    files: { 'x.c': 'const char *s = __DATE__ __TIME__;\n' },
    run: '$CC -c x.c',
    env: { TZ: 'Asia/Tokyo', SOURCE_DATE_EPOCH: '1000000000' },
    clangEnds: ['timestamp-macro'],
    varying: ['x.o'],
  },
  {
    name: 'SOURCE_DATE_EPOCH that is wrong',
    clangEnds: ['timestamp-macro'],
    varying: ['x.o'],
    files: { 'x.c': 'const char *s = __DATE__;\n' },
    run: '$CC -c x.c',
    env: { SOURCE_DATE_EPOCH: 'soon' },
  },
  { name: 'TMPDIR', files: { ...c, 'tmp/': '' }, run: 'TMPDIR=$PWD/tmp $CC -c x.c' },
  { name: 'TMPDIR that is missing', files: c, run: 'TMPDIR=/none $CC -c x.c' },
  { name: 'a large environment', files: c, run: 'BIG=$(head -c 100000 /dev/zero | tr "\\0" a) $CC -c x.c' },
  {
    name: 'a scrubbed environment',
    files: c,
    run: 'env -i PATH="$PATH" ${SHOAL_SESSION:+SHOAL_SESSION=$SHOAL_SESSION} $CC -Wall -c x.c',
  },
  { name: 'LD_PRELOAD', files: c, run: '$CC -c x.c', env: { LD_PRELOAD: '' } },
  {
    name: 'MAKEFLAGS and a jobserver',
    files: c,
    run: '$CC -flto=jobserver -O2 -frandom-seed=1 -c x.c',
    on: 'gcc',
    env: { MAKEFLAGS: ' -j2 --jobserver-auth=3,4' },
  },
];

const limits: readonly Case[] = [
  { name: 'a limit on file size', files: c, run: 'ulimit -f 10000; $CC -c x.c', ends: ['limits'] },
  { name: 'a limit on CPU time', files: c, run: 'ulimit -t 100; $CC -c x.c', ends: ['limits'] },
  { name: 'a limit on memory', files: c, run: 'ulimit -v 4000000; $CC -c x.c', ends: ['limits'] },
  { name: 'a small stack', files: c, run: 'ulimit -s 4096; $CC -c x.c', ends: ['limits'] },
  { name: 'a small stack that may grow', files: c, run: 'ulimit -S -s 4096; $CC -c x.c' },
  { name: 'no core files', files: c, run: 'ulimit -c 0; $CC -c x.c' },
  { name: 'few descriptors', files: c, run: 'ulimit -S -n 64; $CC -c x.c' },
  { name: 'standard input closed', files: c, run: '$CC -Wall -c x.c <&-', ends: ['limits'] },
  { name: 'standard output closed', files: c, run: '$CC -Wall -c x.c >&-', ends: ['limits'] },
  { name: 'other descriptors open', files: c, run: '$CC -c x.c 5</dev/null 9>nine' },
  {
    name: 'several at once',
    files: { 'a.c': 'int a;\n', 'b.c': 'int b;\n', 'c.c': 'int c;\n' },
    run: '$CC -c a.c & $CC -c b.c & $CC -c c.c & wait',
    ends: ['remote', 'remote', 'remote'],
  },
  { name: 'in the background of a pipe', files: c, run: '$CC -S x.c -o x.s | cat; echo done' },
  { name: 'by its full path', files: c, run: '"$(command -v $CC)" -Wall -c x.c; none/$CC -c x.c' },
  {
    name: 'by a versioned name',
    files: c,
    run: 'case $CC in gcc) v=gcc-12;; *) v=clang-14;; esac; $v -g -Wall -c x.c',
  },
  {
    name: 'by the name cc or c++',
    files: { ...c, 'x.cc': 'int x;\n' },
    run: 'cc -g -c x.c; c++ -g -c x.cc',
    on: 'gcc',
    ends: ['remote', 'remote'],
  },
];

const args = (name: string, content: string, more: Partial<Case> = {}): Case => ({
  name: `response file, ${name}`,
  files: { ...c, 'a b.c': 'int ab;\n', args: content, 'd/': '' },
  run: '$CC @args -c x.c',
  ...more,
});

const responseFiles: readonly Case[] = [
  args('plain', '-O2 -Wall\n-g\n'),
  args('empty', ''),
  args('quoted', `-D'A=1 2' "-DB=\\"s\\"" -DC=\\ x -D"D='y'"\n`),
  args('with the source', '-c "a b.c" -o d/y.o', { run: '$CC @args' }),
  args('with the output', '-o d/y.o -MD'),
  args('nested', '-g @more\n', { files: { ...c, args: '-g @more\n', more: '-O2\n' } }),
  args('in a directory, nested from the working directory', '', {
    files: { ...c, 'd/args': '@d/more', 'd/more': '-O2' },
    run: '$CC @d/args -c x.c',
  }),
  args('missing', '', { run: '$CC @none -c x.c', ends: ['response-file'] }),
  args('in itself', '@args', { ends: ['response-file'] }),
  args('with an odd end', '-DA=1 "-DB=2', {}),
  args('with CRLF', '-O2\r\n-Wall\r\n'),
  args('a comment sign is none', '-DA=#1 # -O2', { ends: ['several-inputs'] }),
  args('of every option', '-O2 -g -MD -MF d/x.dep -Id -DX=1 -include a.h', {
    files: { ...c, args: '-O2 -g -MD -MF d/x.dep -Id -DX=1 -include a.h', 'a.h': 'int a;\n', 'd/': '' },
  }),
  args('between options', '-O2', { run: '$CC -g @args -c x.c -o y.o @args' }),
];

// A driver tells where it stands and by what name it was called.
const places: readonly Case[] = [
  { name: 'what it is', files: {}, run: '$CC -v; $CXX -v', ends: ['probe-conftest', 'probe-conftest'] },
  { name: 'what it is, by its full path', files: {}, run: '"$(command -v $CC)" -v', ends: ['probe-conftest'] },
  { name: 'what it does', files: c, run: '$CC -v -S x.c -o y.s', ends: ['verbose'] },
  { name: 'what it would do', files: c, run: '$CXX -### -S x.c -o y.s', ends: ['verbose'] },
  { name: 'where its parts are', files: {}, run: '$CC -print-search-dirs', ends: ['probe-conftest'] },
];

const passed: readonly Case[] = [
  { name: '-Wp,-D', files: { 'x.c': 'int f = A;\n' }, run: '$CC -Wp,-DA=1,-UB -c x.c' },
  { name: '-Wp,-D over -D', files: { 'x.c': 'int f = A;\n' }, run: '$CC -Wp,-DA=1 -DA=2 -c x.c' },
  { name: '-Xpreprocessor -D', files: { 'x.c': 'int f = A;\n' }, run: '$CC -Xpreprocessor -DA=1 -c x.c' },
  { name: '-Wp,-I', files: { ...x, 'd/x.h': h(1) }, run: '$CC -Wp,-Id -c x.c', ends: ['pass-through'] },
  {
    name: '-Wp,-include',
    files: { 'x.c': 'int f = X;\n', 'x.h': h(1) },
    run: '$CC -Wp,-include,x.h -c x.c',
    ends: ['pass-through'],
  },
  { name: '-Wp,-P', files: { 'x.c': 'int f;\n' }, run: '$CC -Wp,-w -c x.c', ends: ['pass-through'] },
  { name: '-Wa, of several', files: c, run: '$CC -Wa,--noexecstack,-mx86-used-note=yes -c x.c', on: 'gcc' },
  { name: '-Wa,@file', files: { ...c, more: '--noexecstack' }, run: '$CC -Wa,@more -c x.c', ends: ['pass-through'] },
  { name: '-Xassembler', files: c, run: '$CC -Xassembler --noexecstack -c x.c' },
  { name: '-Wl, and libraries', files: { ...c, 'l.a': 'x' }, run: '$CC -c x.c -Wl,-O1 -lm' },
  { name: 'an object among the inputs', files: { ...c, 'l.o': 'x' }, run: '$CC -c x.c l.o', ends: ['several-inputs'] },
];

export const environment: Theme = {
  name: 'environment',
  cases: [...paths, ...times, ...limits, ...responseFiles, ...places, ...passed],
};
