// Includes: every way to name a header and a directory, and headers that change between two compiles.
import type { Case, Theme } from '../case.ts';

const main = '#include <x.h>\nint f(void) { return X; }\n';

const simple: readonly Case[] = [
  { name: '-I', files: { 'x.c': main, 'd/x.h': '#define X 1\n' }, run: '$CC -g3 -Id -c x.c' },
  { name: '-I separate, absolute', files: { 'x.c': main, 'd/x.h': '#define X 1\n' }, run: '$CC -g -I "$PWD/d" -c x.c' },
  {
    name: '-I of a directory that is missing',
    files: { 'x.c': main, 'd/x.h': '#define X 1\n' },
    run: '$CC -Inone -Id -Wmissing-include-dirs -c x.c',
  },
  { name: '-I of a file', files: { 'x.c': main, 'd/x.h': '#define X 1\n', file: '' }, run: '$CC -Ifile -Id -c x.c' },
  {
    name: '-I twice, the first wins',
    files: { 'x.c': main, 'a/x.h': '#define X 1\n', 'b/x.h': '#define X 2\n' },
    run: '$CC -Ia -Ib -c x.c',
  },
  {
    name: '-I through dots',
    files: { 'x.c': main, 'a/b/': '', 'c/x.h': '#define X 1\n' },
    run: '$CC -g -Ia/b/../../c -c x.c',
  },
  {
    name: '-I with a slash at its end',
    files: { 'x.c': '#include <x.h>\n#warning\n', 'd/x.h': 'static int unused(void) { return 1; }\n' },
    run: '$CC -Wall -Id// -c x.c',
  },
  {
    name: '-I-',
    files: { 'x.c': main, 'd/x.h': '#define X 1\n' },
    run: '$CC -I- -Id -c x.c',
    ends: ['unknown-option'],
  },
  {
    name: '-iquote',
    files: { 'x.c': '#include "x.h"\nint f = X;\n', 'd/x.h': '#define X 1\n' },
    run: '$CC -iquote d -c x.c',
  },
  {
    name: '-isystem, whose warnings are not shown',
    files: { 'x.c': main, 'd/x.h': '#define X 1\nstatic int unused(void) { int i; return 1; }\n' },
    run: '$CC -Wall -isystem d -c x.c',
  },
  {
    name: '-idirafter',
    files: { 'x.c': '#include <stddef.h>\n#include <x.h>\n', 'd/x.h': '', 'd/stddef.h': '#error wrong\n' },
    run: '$CC -idirafter d -c x.c',
  },
  {
    name: '-iprefix',
    files: { 'x.c': main, 'd/e/x.h': '#define X 1\n' },
    run: '$CC -iprefix d/ -iwithprefix e -c x.c',
  },
  {
    name: '-iwithprefixbefore',
    files: { 'x.c': main, 'd/e/x.h': '#define X 1\n' },
    run: '$CC -iprefix d/ -iwithprefixbefore e -c x.c',
  },
  { name: '-iwithprefix alone', files: { 'x.c': 'int x;\n' }, run: '$CC -iwithprefix e -c x.c', ends: ['own-parts'] },
  {
    name: '--sysroot',
    files: { 'x.c': main, 'root/usr/include/x.h': '#define X 1\n' },
    run: '$CC --sysroot=root -c x.c',
  },
  {
    name: '--sysroot, absolute',
    files: { 'x.c': main, 'root/usr/include/x.h': '#define X 1\n' },
    run: '$CC --sysroot "$PWD/root" -g -c x.c',
  },
  {
    name: '-isysroot',
    files: { 'x.c': main, 'root/usr/include/x.h': '#define X 1\n' },
    run: '$CC -isysroot root -c x.c',
    clangEnds: ['remote-compile-failed'],
  },
  {
    name: '-I= under a sysroot',
    files: { 'x.c': main, 'root/inc/x.h': '#define X 1\n' },
    run: '$CC --sysroot=root -I=/inc -c x.c',
  },
  {
    name: '-iwithsysroot',
    files: { 'x.c': 'int x;\n' },
    run: '$CC -iwithsysroot /inc -c x.c',
    on: 'clang',
    ends: ['unknown-option'],
  },
  {
    name: '-nostdinc',
    files: { 'x.c': '#include <stddef.h>\nint f = X;\n', 'd/stddef.h': '#define X 1\n' },
    run: '$CC -nostdinc -Id -c x.c',
  },
  {
    name: '--include-directory',
    files: { 'x.c': main, 'd/x.h': '#define X 1\n' },
    run: '$CC --include-directory d -c x.c && $CC --include-directory=d -c x.c -o y.o',
    ends: ['remote', 'remote'],
  },
  { name: '-include', files: { 'x.c': 'int f = X;\n', 'x.h': '#define X 1\n' }, run: '$CC -g -include x.h -c x.c' },
  {
    name: '-include joined, of a path',
    files: { 'x.c': 'int f = X;\n', 'd/x.h': '#define X 1\n' },
    run: '$CC -included/x.h -c x.c',
  },
  {
    name: '-include found by -I',
    files: { 'x.c': 'int f = X;\n', 'd/x.h': '#define X 1\n' },
    run: '$CC -Id -include x.h -c x.c',
  },
  {
    name: '-include from a directory beneath',
    files: { 'd/x.c': 'int f = X;\n', 'x.h': '#define X 1\n', 'd/x.h': '#define X 2\n' },
    run: '$CC -include x.h -c d/x.c',
  },
  {
    name: '--include',
    files: { 'x.c': 'int f = X;\n', 'x.h': '#define X 1\n' },
    run: '$CC --include x.h -c x.c && $CC --include=x.h -c x.c',
    ends: ['remote', 'remote'],
  },
  {
    name: '-imacros',
    files: { 'x.c': 'int f = X;\n', 'x.h': '#define X 1\nsyntax error\n' },
    run: '$CC -imacros x.h -c x.c',
  },
  {
    name: '-include of the source itself',
    files: { 'x.c': '#ifndef A\n#define A\n#else\nint x;\n#endif\n' },
    run: '$CC -include x.c -c x.c',
  },
  {
    name: '-H',
    files: { 'x.c': main, 'd/x.h': '#include "y.h"\n', 'd/y.h': '#define X 1\n' },
    run: '$CC -H -Id -c x.c',
  },
  {
    name: '#include_next',
    files: { 'x.c': '#include <x.h>\nint f = X;\n', 'a/x.h': '#include_next <x.h>\n', 'b/x.h': '#define X 1\n' },
    run: '$CC -Ia -Ib -c x.c',
  },
  {
    name: '#include_next of a system header',
    files: { 'x.c': '#include <limits.h>\nint f = INT_MAX;\n', 'a/limits.h': '#include_next <limits.h>\n' },
    run: '$CC -Ia -MD -c x.c',
  },
  { name: '#import', files: { 'x.m': '#import "x.h"\n#import "x.h"\n', 'x.h': 'int x = 1;\n' }, run: '$CC -c x.m' },
  {
    name: '#import in C',
    files: { 'x.c': '#import "x.h"\n#import "x.h"\n', 'x.h': 'int x = 1;\n' },
    run: '$CC -c x.c',
  },
  {
    name: 'nested, from their own directories',
    files: {
      'x.c': '#include "a/b/x.h"\n',
      'a/b/x.h': '#include "y.h"\n#include "../z.h"\n',
      'a/b/y.h': 'int y;\n',
      'a/z.h': 'int z;\n',
    },
    run: '$CC -g -MD -c x.c',
  },
  {
    name: 'a header without ending, one of odd names',
    files: {
      'x.c': '#include "config"\n#include "a b.inc"\n#include "ü.h"\n#include <smart1,2.h>\n',
      config: 'int a;\n',
      'a b.inc': 'int b;\n',
      'ü.h': 'int c;\n',
      'smart1,2.h': 'int d;\n',
    },
    run: '$CC -MD -g -I. -c x.c',
  },
  {
    name: 'a header by an absolute path',
    files: {},
    run: 'echo "#include \\"$PWD/y.h\\"" >x.c; echo "int y;" >y.h; $CC -g -MD -c x.c',
  },
  {
    name: 'a data file',
    files: { 'x.c': 'int t[] = {\n#include "t.inc"\n};\n', 't.inc': '1, 2, 3\n' },
    run: '$CC -c x.c',
  },
  {
    name: 'a file included twice',
    files: { 'x.c': '#define N a\n#include "t.inc"\n#undef N\n#define N b\n#include "t.inc"\n', 't.inc': 'int N;\n' },
    run: '$CC -g -c x.c',
  },
  {
    name: 'a source that includes another',
    files: { 'x.c': '#include "y.c"\n', 'y.c': 'int y;\n' },
    run: '$CC -g -MD -c x.c',
  },
  {
    name: 'a header that is missing',
    files: { 'x.c': '#include "none.h"\n' },
    run: '$CC -c x.c',
    ends: ['remote-compile-failed'],
  },
  {
    name: 'a header that is missing, under a false condition',
    files: { 'x.c': '#if 0\n#include "none.h"\n#endif\nint x;\n' },
    run: '$CC -c x.c',
  },
  {
    name: 'a header that is a directory',
    files: { 'x.c': '#include <x.h>\nint f = X;\n', 'a/x.h/': '', 'b/x.h': '#define X 1\n' },
    run: '$CC -Ia -Ib -c x.c',
  },
  { name: 'an empty header', files: { 'x.c': '#include "x.h"\nint x;\n', 'x.h': '' }, run: '$CC -MD -g -c x.c' },
  {
    name: 'a header that may not be read',
    files: { 'x.c': '#include "x.h"\nint f = X;\n', 'x.h': '#define X 1\n' },
    run: 'chmod 0 x.h; $CC -c x.c',
  },
  { name: 'recursion without end', files: { 'x.c': '#include "x.c"\n' }, run: '$CC -c x.c' },
];

const asked: readonly Case[] = [
  {
    name: '__has_include of what is there',
    files: {
      'x.c': '#if __has_include("x.h") && __has_include(<stddef.h>)\nint yes;\n#else\nint no;\n#endif\n',
      'x.h': 'never read\n',
    },
    run: '$CC -MD -c x.c',
  },
  {
    name: '__has_include of what is not there',
    files: { 'x.c': '#if __has_include("none.h") || __has_include(<none/none.h>)\nint yes;\n#else\nint no;\n#endif\n' },
    run: '$CC -MD -c x.c',
  },
  {
    name: '__has_include of a directory',
    files: { 'x.c': '#if __has_include("d")\nint yes;\n#else\nint no;\n#endif\n', 'd/': '' },
    run: '$CC -c x.c',
  },
  {
    name: '__has_include_next',
    files: { 'x.c': '#include <x.h>\n', 'a/x.h': '#if __has_include_next(<x.h>)\nint yes;\n#endif\n', 'b/x.h': '' },
    run: '$CC -Ia -Ib -c x.c',
  },
  {
    name: '__has_include of a macro',
    files: { 'x.c': '#define H "x.h"\n#if __has_include(H)\nint yes;\n#endif\n', 'x.h': '' },
    run: '$CC -c x.c',
  },
  {
    name: '__has_include in a macro',
    files: {
      'x.c': '#define HAS(x) __has_include(x)\n#if HAS("x.h")\nint yes;\n#else\nint no;\n#endif\n',
      'x.h': '',
    },
    run: '$CC -c x.c',
  },
  {
    name: '__has_include under another name',
    files: { 'x.c': '#define HAS __has_include\n#if HAS("x.h")\nint yes;\n#endif\n', 'x.h': '' },
    run: '$CC -c x.c',
  },
  {
    name: '__has_include of a name made a string',
    files: {
      'x.c': '#define S_(x) #x\n#define S(x) S_(x)\n#if __has_include(S(d/x.h))\nint yes;\n#endif\n',
      'd/x.h': '',
    },
    run: '$CC -c x.c',
  },
  {
    name: '__has_include in a macro of a macro that takes the name apart',
    files: {
      'x.c': '#include "d.h"\n#define WITH(y) HAS(y)\n#if defined __has_include && WITH(x)\nint yes;\n#endif\n',
      'd.h': '#define HAS(x) __has_include(<d/x.h>)\n',
      'd/x.h': '',
    },
    run: '$CC -I. -c x.c',
  },
  {
    name: 'an include by a macro',
    files: { 'x.c': '#define H "x.h"\n#include H\n', 'x.h': 'int x;\n' },
    run: '$CC -MD -c x.c',
  },
  {
    name: 'an include by a macro of the command line',
    files: { 'x.c': '#include H\n', 'x.h': 'int x;\n' },
    run: `$CC '-DH="x.h"' -c x.c && $CC '-DH=<stddef.h>' -c x.c`,
    ends: ['remote', 'remote'],
  },
  {
    name: 'an include by pasted and quoted macros',
    files: {
      'x.c': '#define STR(x) #x\n#define XSTR(x) STR(x)\n#define NAME(a) XSTR(a.h)\n#include NAME(x)\n',
      'x.h': 'int x;\n',
    },
    run: '$CC -c x.c',
  },
  {
    name: 'an include whose macro is not defined',
    files: { 'x.c': '#ifdef H\n#include H\n#endif\nint x;\n' },
    run: '$CC -c x.c',
  },
  {
    name: 'an include whose macro is not defined, reached',
    files: { 'x.c': '#include H\nint x;\n' },
    run: '$CC -c x.c',
  },
  {
    name: 'an include by __FILE__',
    files: { 'x.c': '#ifndef A\n#define A\n#include __FILE__\n#endif\nint x;\n' },
    run: '$CC -c x.c',
    ends: ['computed-include'],
  },
  {
    name: 'directives that are written oddly',
    files: {
      'x.c': '  #  /* c */ include /* d */ "x.h"\n%:include "y.h"\n#inc\\\nlude "z.h"\n',
      'x.h': 'int x;\n',
      'y.h': 'int y;\n',
      'z.h': 'int z;\n',
    },
    run: '$CC -c x.c',
  },
  { name: 'a trigraph', files: { 'x.c': '??=include "x.h"\n', 'x.h': 'int x;\n' }, run: '$CC -std=c99 -c x.c' },
  {
    name: '#pragma GCC dependency',
    files: { 'x.c': '#pragma GCC dependency "x.h"\nint x;\n', 'x.h': '' },
    run: '$CC -c x.c',
    ends: ['pragma-dependency'],
  },
  {
    name: '#pragma once',
    files: {
      'x.c': '#include "x.h"\n#include "x.h"\n#include "d/x.h"\n',
      'x.h': '#pragma once\nint x = 1;\n',
      'd/x.h': '#pragma once\nint y = 1;\n',
    },
    run: '$CC -MD -c x.c',
  },
  {
    name: '#pragma once in files of equal content',
    files: {
      'x.c': '#include "a/x.h"\n#include "b/x.h"\n',
      'a/x.h': '#pragma once\nstatic int N(void);\n',
      'b/x.h': '#pragma once\nstatic int N(void);\n',
    },
    run: 'touch -d @1000000 a/x.h; touch -d @1000001 b/x.h; $CC -MD -Wall -c x.c',
  },
  {
    name: '#pragma once in files of equal content and time',
    files: {
      'x.c': '#include "a/x.h"\n#include "b/x.h"\n',
      'a/x.h': '#pragma once\nstatic int N(void);\n',
      'b/x.h': '#pragma once\nstatic int N(void);\n',
    },
    run: 'touch -d @1000000 a/x.h b/x.h; $CC -MD -Wall -c x.c',
  },
  {
    name: 'equal headers that include their own neighbours',
    files: {
      'x.c': '#include "a/g.h"\n#include "b/g.h"\n',
      'a/g.h': '#include "impl.h"\n',
      'b/g.h': '#include "impl.h"\n',
      'a/impl.h': 'int a;\n',
      'b/impl.h': 'int b;\n',
    },
    run: 'touch -d @1000000 a/g.h b/g.h; $CC -MD -c x.c',
  },
  {
    name: '__DATE__ and __TIME__',
    files: { 'x.c': 'const char *s = __DATE__ __TIME__;\n' },
    run: '$CC -c x.c',
    ends: ['timestamp-macro'],
    varying: ['x.o'],
  },
  {
    name: '__DATE__ with SOURCE_DATE_EPOCH',
    files: { 'x.c': 'const char *s = __DATE__ __TIME__;\n' },
    run: '$CC -c x.c',
    env: { SOURCE_DATE_EPOCH: '1000000000' },
    clangEnds: ['timestamp-macro'],
    varying: ['x.o'],
  },
  {
    name: '__TIMESTAMP__',
    files: { 'x.c': 'const char *s = __TIMESTAMP__;\n' },
    run: 'touch -d @1000000 x.c; $CC -c x.c',
    ends: ['timestamp-macro'],
  },
  {
    name: '__FILE__, __BASE_FILE__, __COUNTER__, __INCLUDE_LEVEL__',
    files: {
      'x.c': '#include "d/x.h"\n',
      'd/x.h':
        'const char *s[] = {__FILE__, __BASE_FILE__};\nint c[] = {__COUNTER__, __COUNTER__, __INCLUDE_LEVEL__};\n',
    },
    run: '$CC -c x.c',
  },
];

const links: readonly Case[] = [
  {
    name: 'a header behind a link',
    files: {
      'x.c': '#include "x.h"\n',
      'x.h': { link: 'd/y.h' },
      'd/y.h': '#include "z.h"\n',
      'd/z.h': 'int wrong;\n',
      'z.h': 'int right;\n',
    },
    run: '$CC -MD -g -c x.c',
  },
  {
    name: 'a directory behind a link',
    files: {
      'x.c': '#include <x.h>\nint f = X;\n',
      inc: { link: 'd/e' },
      'd/e/x.h': '#include "../z.h"\n',
      'd/z.h': '#define X 1\n',
      'z.h': '#define X 2\n',
    },
    run: '$CC -MD -g -Iinc -c x.c',
  },
  {
    name: 'links to links, absolute ones too',
    files: { 'x.c': '#include "a.h"\n', 'a.h': { link: 'b.h' }, 'd/c.h': 'int c;\n' },
    run: 'ln -s "$PWD/d/c.h" b.h; $CC -MD -c x.c',
  },
  {
    name: 'a link that leads nowhere',
    files: { 'x.c': '#include <x.h>\nint f = X;\n', 'a/x.h': { link: 'none' }, 'b/x.h': '#define X 1\n' },
    run: '$CC -Ia -Ib -c x.c',
  },
  {
    name: 'links in a circle',
    files: { 'x.c': '#include <x.h>\nint f = X;\n', 'a/x.h': { link: 'x.h' }, 'b/x.h': '#define X 1\n' },
    run: '$CC -Ia -Ib -c x.c',
    clangEnds: ['remote-compile-failed'],
  },
  {
    name: 'the working directory behind a link',
    files: { 'd/x.c': 'const char *f = __FILE__;\n', l: { link: 'd' } },
    run: 'cd l && $CC -g -c x.c',
  },
  {
    name: 'the working directory behind a link, absolute source',
    files: { 'd/x.c': 'const char *f = __FILE__;\n', l: { link: 'd' } },
    run: 'cd l && $CC -g -c "$PWD/x.c"',
  },
  {
    name: 'a PWD that is wrong',
    files: { 'x.c': 'int x;\n' },
    run: 'PWD=/none $CC -g -c x.c; unset PWD; $CC -g -c x.c -o y.o',
    ends: ['remote', 'remote'],
  },
  {
    name: 'a hard link to a header',
    files: {
      'x.c': '#include "a.h"\n#include "b.h"\n',
      'a.h': '#ifndef A\n#define A\nint a;\n#else\nint b;\n#endif\n',
    },
    run: 'ln a.h b.h; $CC -MD -c x.c',
    clangEnds: ['hard-links'],
  },
  {
    name: 'a hard link to a header with #pragma once',
    files: { 'x.c': '#include "a.h"\n#include "b.h"\n', 'a.h': '#pragma once\nint a = 1;\n' },
    run: 'ln a.h b.h; $CC -MD -c x.c',
    clangEnds: ['hard-links'],
  },
];

export const includes: Theme = { name: 'include', cases: [...simple, ...asked, ...links] };
