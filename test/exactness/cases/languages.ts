// Languages: by the name's ending, by -x, by the driver; preprocessed or not; and what is no language of ours.
import type { Case, End, Theme } from '../case.ts';

const c = 'int f(int x) { return x + 1; }\n';
const cxx = 'namespace n { template <class T> T f(T x) { return x + 1; } }\nint g() { return n::f(2); }\n';
const objc = `#include "x.h"
@interface Root { int value; } - (int)value; + (Root *)make; @end
@implementation Root
- (int)value { return value + ONE; }
+ (Root *)make { return 0; }
@end
int f(Root *r) { return [r value]; }
`;
const preprocessed =
  '# 1 "x.c"\n# 1 "<built-in>"\n# 1 "x.c"\n# 1 "x.h" 1\nint from_header;\n# 2 "x.c" 2\nint f(void) { int unused; return from_header; }\n';
const assembler = '\t.text\n\t.globl f\nf:\n\tmovl $42, %eax\n\tret\n\t.section .note.GNU-stack,"",@progbits\n';
const header = { 'x.h': '#define ONE 1\nint from_header;\n' };

const remote: readonly End[] = ['remote'];

const named = (name: string, text: string, more: Partial<Case> = {}): Case => {
  const driver = /\.(?:C|cc|cp|cpp|cxx|c\+\+|CPP|CC|CXX|ii|mm|M|mii)$/.test(name) ? '$CXX' : '$CC';
  return {
    name: `by its ending, ${name}`,
    files: { ...header, [name]: text },
    run: `${driver} -Wall -g -c ${name}`,
    ...more,
  };
};

const byEnding: readonly Case[] = [
  ...['x.c', 'x.v2.c', 'ünï.c', "it's.c", 'a b.c'].map((name) => ({
    ...named(name, c),
    run: `$CC -Wall -g -c "${name}"`,
  })),
  ...['x.C', 'x.cc', 'x.cp', 'x.cpp', 'x.cxx', 'x.c++', 'x.CPP'].map((name) => named(name, cxx)),
  named('x.CC', cxx, { ends: ['other-language'], clangEnds: remote }),
  named('x.CXX', cxx, { ends: ['other-language'], clangEnds: remote }),
  named('x.m', objc),
  named('x.mm', objc),
  named('x.M', objc),
  named('x.i', preprocessed),
  named('x.ii', preprocessed),
  named('x.mi', preprocessed),
  named('x.mii', preprocessed),
  named('x.s', assembler),
  named(
    'x.S',
    `#include "x.h"\n#ifdef __ASSEMBLER__\n.long ONE\n#endif\n${assembler}`.replace('#include "x.h"', '#define ONE 1'),
  ),
  named('x.sx', `#define NAME f\n${assembler}`, { clangEnds: ['other-language'] }),
  named('x.f90', 'end\n', { ends: ['other-language'] }),
  named('x.ll', 'define i32 @f() { ret i32 0 }\n', { on: 'clang', ends: ['other-language'] }),
  named('x.txt', c, { ends: ['other-language'] }),
  named('x', c, { ends: ['other-language'] }),
  named('x.h', c, { ends: ['precompiled-header'], varying: ['x.h.gch', 'x.hpp.gch'] }),
  named('x.hpp', cxx, { ends: ['precompiled-header'], varying: ['x.h.gch', 'x.hpp.gch'] }),
];

const byOption = (language: string, text: string, more: Partial<Case> = {}): Case => ({
  name: `by -x ${language}`,
  files: { ...header, 'source.txt': text },
  run: `$CC -g -x ${language} -c source.txt -o x.o`,
  ...more,
});

const byX: readonly Case[] = [
  byOption('c', c),
  byOption('c++', cxx),
  byOption('objective-c', objc),
  byOption('objective-c++', objc),
  byOption('cpp-output', preprocessed),
  byOption('c++-cpp-output', preprocessed),
  byOption('objective-c-cpp-output', preprocessed, { on: 'gcc' }),
  byOption('objective-c++-cpp-output', preprocessed),
  byOption('assembler', assembler),
  byOption('assembler-with-cpp', `#define A 1\n${assembler}`),
  byOption('c-header', c, { ends: ['precompiled-header'], varying: ['x.o'] }),
  byOption('nonsense', c, { ends: ['other-language'] }),
  {
    ...byOption('none', c),
    name: 'by -x none, which ends another',
    files: { 'x.c': c },
    run: '$CC -x c++ -x none -c x.c',
  },
  { ...byOption('c', c), name: 'by -x after the source, which is late', files: { 'x.c': c }, run: '$CC -c x.c -x c++' },
  { ...byOption('c', c), name: 'by -xc joined', files: { 'x.txt': c }, run: '$CC -xc -c x.txt' },
];

const byDriver: readonly Case[] = [
  {
    name: 'C by g++ or clang++',
    files: { 'x.c': 'class x {}; int f() { return sizeof(x); }\n' },
    run: '$CXX -g -c x.c',
  },
  { name: 'C++ by gcc or clang', files: { 'x.cc': cxx }, run: '$CC -g -c x.cc' },
  { name: 'Objective-C by the C++ driver', files: { ...header, 'x.m': objc }, run: '$CXX -g -c x.m' },
  { name: 'preprocessed C by the C++ driver', files: { 'x.i': preprocessed }, run: '$CXX -c x.i' },
  { name: 'assembler by the C++ driver', files: { 'x.S': assembler }, run: '$CXX -c x.S' },
];

const texts: readonly Case[] = [
  { name: 'an empty source', files: { 'x.c': '' }, run: '$CC -g -c x.c' },
  { name: 'no newline at the end', files: { 'x.c': 'int x;' }, run: '$CC -g -Wall -pedantic -c x.c' },
  {
    name: 'lines that end in CRLF',
    files: {
      'x.h': '#define A \\\r\n  1\r\n',
      'x.c': '#include "x.h"\r\nint f(void) {\r\n int u;\r\n return A; }\r\n',
    },
    run: '$CC -Wall -g3 -c x.c',
  },
  {
    name: 'a byte order mark',
    files: { 'x.h': '\ufeffint y;\n', 'x.c': '\ufeff#include "x.h"\nint x;\n' },
    run: '$CC -g -c x.c',
  },
  {
    name: 'identifiers beyond ASCII',
    files: { 'x.c': 'int größe = 1; int \\u00e4 = 2; int f(void) { int ünused; return größe + ä; }\n' },
    run: '$CC -Wall -c x.c',
  },
  {
    name: 'bytes that are no UTF-8',
    files: {
      'x.c': {
        latin1: '/* \xe9\xff */ const char *s = "\xe9"; int f(void) { int u\u0000\n; return s; }\n'.replace(
          '\u0000',
          '',
        ),
      },
    },
    run: '$CC -Wall -c x.c',
  },
  { name: 'a NUL in a source', files: { 'x.c': 'int x;\0 int y;\n' }, run: '$CC -c x.c' },
  {
    name: 'raw strings and splices',
    files: { 'x.cc': 'const char *s = R"x(\n#include "none.h"\n)x";\nint \\\nx;\n' },
    run: '$CXX -c x.cc',
  },
  {
    name: 'already preprocessed, said by an option',
    files: { 'x.c': preprocessed },
    run: '$CC -fpreprocessed -g -c x.c',
    on: 'gcc',
  },
  {
    name: 'preprocessed, a warning that quotes the header',
    files: {
      'x.h': 'int from_header;\n',
      'x.c': 'int f(void) { int unused; return from_header; }\n',
      'x.i':
        '# 1 "x.c"\n# 1 "x.h" 1\nstatic int unused_function(void) { return 1; }\n# 2 "x.c" 2\nint f(void) { int unused; return 1; }\n',
    },
    run: '$CC -Wall -g -c x.i',
  },
  {
    name: 'a source named by an absolute path',
    files: { 'x.c': 'const char *f = __FILE__;\n' },
    run: '$CC -g -c "$PWD/x.c"',
  },
  {
    name: 'a source through dots',
    files: { 'd/': '', 'x.c': 'const char *f = __FILE__;\n' },
    run: '$CC -g -c ./d/.././x.c',
  },
  {
    name: 'a source from a directory beneath',
    files: { 'd/': '', 'x.c': '#include "x.h"\n', ...header },
    run: 'cd d && $CC -g -c ../x.c',
  },
];

const assemblers: readonly Case[] = [
  { name: '.incbin', files: { 'x.s': '.incbin "data.bin"\n', 'data.bin': 'bytes' }, run: '$CC -c x.s' },
  {
    name: '.incbin, found by -I',
    files: { 'x.S': '.incbin "data.bin", 1, 3\n', 'd/data.bin': 'bytes' },
    run: '$CC -Id -c x.S',
  },
  { name: '.include', files: { 'x.s': '.include "y.inc"\n', 'y.inc': '.long 1\n' }, run: '$CC -c x.s' },
  {
    name: '.include in an included file',
    files: { 'x.s': '.include "y.inc"\n', 'y.inc': '.include "z.inc"\n', 'z.inc': '.long 1\n' },
    run: '$CC -c x.s',
  },
  {
    name: '.incbin in C',
    files: { 'x.c': '__asm__(".incbin \\"data.bin\\"");\n', 'data.bin': 'bytes' },
    run: '$CC -c x.c',
  },
  {
    name: '.incbin of a name by a macro',
    files: { 'x.S': '#define NAME "data.bin"\n.incbin NAME\n', 'data.bin': 'bytes' },
    run: '$CC -c x.S',
    ends: ['incbin'],
  },
  { name: 'assembler with debug information', files: { 'x.s': assembler }, run: '$CC -g -c x.s' },
  {
    name: 'assembler that is wrong',
    files: { 'x.s': 'no such instruction\n', 'x.o': 'old' },
    run: '$CC -c x.s',
    ends: ['remote-compile-failed'],
    clangEnds: ['remote'],
  },
  {
    name: 'assembler options',
    files: { 'x.s': assembler },
    run: '$CC -Wa,--noexecstack,-g -Xassembler --fatal-warnings -c x.s',
    clangEnds: ['remote-compile-failed'],
  },
  {
    name: 'assembler with --defsym',
    files: { 'x.s': '.long A\n' },
    run: '$CC -Wa,--defsym,A=7 -c x.s',
    clangEnds: ['remote-compile-failed'],
  },
  {
    name: 'a listing',
    files: { 'x.s': assembler },
    run: '$CC -Wa,-al=x.lst -c x.s',
    on: 'gcc',
    ends: ['pass-through'],
  },
  {
    name: 'a listing on standard output',
    files: { 'x.c': c },
    run: '$CC -Wa,-adhln -g -c x.c',
    on: 'gcc',
    ends: ['pass-through'],
  },
  {
    name: 'include directories for the assembler',
    files: { 'x.s': '.include "y.inc"\n', 'd/y.inc': '.long 1\n' },
    run: '$CC -Wa,-Id -c x.s',
    ends: ['pass-through'],
  },
  {
    name: 'dependencies of assembler',
    files: { 'x.S': '#include "y.inc"\n', 'y.inc': '.long 1\n' },
    run: '$CC -MMD -c x.S',
  },
  { name: 'dependencies of plain assembler', files: { 'x.s': '.long 1\n' }, run: '$CC -MMD -c x.s' },
];

const invocations: readonly Case[] = [
  { name: 'several sources', files: { 'x.c': c, 'y.c': 'int y;\n' }, run: '$CC -c x.c y.c', ends: ['several-inputs'] },
  { name: 'standard input', files: { 'x.c': c }, run: '$CC -x c -c - -o x.o <x.c', ends: ['stdin-input'] },
  {
    name: 'a source that is a FIFO',
    files: {},
    run: 'mkfifo x.c; (echo "int x;" >x.c) & $CC -c x.c; wait',
    ends: ['special-input'],
  },
  {
    name: 'a source from /dev/fd',
    files: { 'y.c': c },
    run: '$CC -x c -c /dev/fd/3 -o x.o 3<y.c',
    ends: ['source-missing'],
  },
  { name: 'a source that is missing', files: {}, run: '$CC -c none.c', ends: ['source-missing'] },
  { name: 'a source that is a directory', files: { 'x.c/': '' }, run: '$CC -c x.c', ends: ['source-missing'] },
  {
    name: 'a source behind a link',
    files: { 'd/y.c': '#include "y.h"\n', 'd/y.h': 'wrong\n', 'y.h': 'int y;\n', 'x.c': { link: 'd/y.c' } },
    run: '$CC -g -c x.c',
  },
  { name: 'a link', files: { 'x.c': 'int main(void) { return 0; }\n' }, run: '$CC x.c -o x && ./x', ends: ['link'] },
  {
    name: 'preprocessing',
    files: { 'x.c': c },
    run: '$CC -E x.c && $CC -M x.c',
    ends: ['preprocess-only', 'preprocess-only'],
  },
  { name: 'syntax only', files: { 'x.c': c }, run: '$CC -fsyntax-only -Wall x.c', ends: ['syntax-only'] },
  {
    name: 'questions',
    files: {},
    run: '$CC --version && $CC -dumpmachine && $CC -print-search-dirs',
    ends: ['probe-conftest', 'probe-conftest', 'probe-conftest'],
  },
  { name: 'no input', files: {}, run: '$CC; $CC -c', ends: ['no-input', 'no-input'] },
  { name: 'an option without its value', files: { 'x.c': c }, run: '$CC -c x.c -o', ends: ['usage-error'] },
  { name: 'options after the source', files: { 'x.c': c }, run: '$CC x.c -O2 -o x.o -DX=1 -c' },
];

export const languages: Theme = {
  name: 'language',
  cases: [...byEnding, ...byX, ...byDriver, ...texts, ...assemblers, ...invocations],
};
