// Headers and sources made, edited, removed between two compiles of one build.
import type { Case, Theme } from '../case.ts';

const main = '#include <x.h>\nint f(void) { return X; }\n';

const twice = (name: string, files: Case['files'], change: string, more: Partial<Case> = {}): Case => ({
  name,
  files,
  run: `$CC -MD -c -Ia -Ib x.c -o 1.o; ${change}; $CC -MD -c -Ia -Ib x.c -o 2.o`,
  ends: ['remote', 'remote'],
  ...more,
});

export const changes: Theme = {
  name: 'change',
  cases: [
    twice('a header edited in between', { 'x.c': main, 'a/x.h': '#define X 1\n' }, 'echo "#define X 2222" >a/x.h'),
    twice('a header edited, of the same size', { 'x.c': main, 'a/x.h': '#define X 1\n' }, 'echo "#define X 2" >a/x.h'),
    twice(
      'a header edited, of the same size and time',
      { 'x.c': main, 'a/x.h': '#define X 1\n' },
      'touch -r a/x.h t; echo "#define X 2" >a/x.h; touch -r t a/x.h',
    ),
    twice(
      'a header replaced by a rename',
      { 'x.c': main, 'a/x.h': '#define X 1\n', new: '#define X 2\n' },
      'mv new a/x.h',
    ),
    twice(
      'a header made in front of another',
      { 'x.c': main, 'a/': '', 'b/x.h': '#define X 1\n' },
      'echo "#define X 2" >a/x.h',
    ),
    twice(
      'a directory made in front of another',
      { 'x.c': main, 'b/x.h': '#define X 1\n' },
      'mkdir a; echo "#define X 2" >a/x.h',
    ),
    twice(
      'a header beside the source, in front of another',
      { 'x.c': '#include "x.h"\nint f = X;\n', 'b/x.h': '#define X 1\n' },
      'echo "#define X 2" >x.h',
    ),
    twice(
      'a header removed in front of another',
      { 'x.c': main, 'a/x.h': '#define X 2\n', 'b/x.h': '#define X 1\n' },
      'rm a/x.h',
    ),
    twice('a header removed', { 'x.c': main, 'a/x.h': '#define X 2\n' }, 'rm a/x.h', {
      ends: ['remote', 'remote-compile-failed'],
    }),
    twice(
      'a header made that was only asked for',
      { 'x.c': '#if __has_include(<x.h>)\nint yes;\n#else\nint no;\n#endif\n', 'a/': '' },
      'echo >a/x.h',
    ),
    twice(
      'a link turned elsewhere',
      { 'x.c': main, 'a/x.h': { link: '../1.h' }, '1.h': '#define X 1\n', '2.h': '#define X 2\n' },
      'ln -sf ../2.h a/x.h',
    ),
    twice(
      'a directory link turned elsewhere',
      { 'x.c': main, a: { link: 'c' }, 'c/x.h': '#define X 1\n', 'd/x.h': '#define X 2\n' },
      'ln -sfn d a',
    ),
    twice('a source edited, of the same size', { 'x.c': 'int f = 1;\n' }, 'echo "int f = 2;" >x.c'),
    twice(
      'a precompiled header made',
      { 'x.c': '#include "x.h"\nint f = X;\n', 'x.h': '#define X 1\n' },
      '$CC -x c-header x.h -o x.h.gch',
      { on: 'gcc', ends: ['remote', 'precompiled-header', 'precompiled-header'], varying: ['x.h.gch'] },
    ),
  ],
};
