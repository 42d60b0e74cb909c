// Programs that once came out otherwise elsewhere than at home, were not covered by their closures, or stayed at home
// without need; cut down by hand.
import { outputs, type Program } from './program.ts';

function kept(name: string, files: Program['files'], driver = 'gcc'): Program {
  const argv = [driver, '-I.', '-MD', '-g3', '-c', 'm.c', '-o', `${outputs}/m.o`];
  return { name, files, links: {}, directories: [], older: [], argv };
}

const quoting = '#define STR(x) STR_(x)\n#define STR_(x) #x\n';

export const keptPrograms: readonly Program[] = [
  kept('a header that macros name, with letters beyond ASCII', {
    'm.c': `${quoting}#define D a/ü.h\n#include STR(D)\n`,
    'a/ü.h': 'int x;\n',
  }),
  kept(
    'a macro with letters beyond ASCII that names a header',
    { 'm.c': '#include "d.h"\n#include ü\n', 'd.h': '#define ü "x.h"\n', 'x.h': 'int x;\n' },
    'clang',
  ),
  kept('a definition behind a comment of two lines', {
    'm.c': '#define D "y.h"\n#undef D\n#/* 1\n2 */define/* 3\n4 */D "x.h"\n#include D\n',
    'x.h': 'int x;\n',
    'y.h': 'int y;\n',
  }),
  kept('header names without their ends', {
    'm.c': '#define D <x.h//>\n#include D\n#include <y.h\n#if __has_include(<z.h\n#endif\n',
    'x.h': 'int x;\n',
    'y.h': 'int y;\n',
    'z.h': 'int z;\n',
  }),
  kept('a header that a macro asks for', {
    'm.c': '#define HAS(x) __has_include(x)\n#if HAS("x.h")\nint x;\n#endif\n',
    'x.h': '',
  }),
  kept('an include by a macro that is defined nowhere, not reached', {
    'm.c': '#ifdef D\n#include D\n#endif\n#if 0\n#include D(x.h)\n#endif\nint x;\n',
  }),
  kept('an include by a macro that is defined nowhere, reached', { 'm.c': '#include D\nint x;\n' }),
];
