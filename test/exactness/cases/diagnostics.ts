// Diagnostics: in a pipe and on a terminal, in colour, in other locales, long, and of odd bytes.
import type { Case, Theme } from '../case.ts';

const files = {
  'x.c': `#include "x.h"
#define TWICE(x) ((x) + (x))
int f(const char *s, unsigned n) { int unused; if (s = 0) return TWICE(s); return n < 0 ? undeclared_name : 1; }
`,
  'x.h': 'static int never_called(int a) { return a == "x"; }\n',
};
const warning = { 'x.c': 'int f(unsigned n) { int unused; return n < 0; }\n' };

const one = (name: string, run: string, more: Partial<Case> = {}): Case => ({ name, files, run, ...more });
/** Runs a line on a terminal of a size; what it prints there goes to standard output. */
const onTerminal = (line: string, columns = 80): string => {
  return `script -qefc 'stty cols ${columns} rows 24; ${line}' /dev/null </dev/null`;
};

const terminal: readonly Case[] = [
  one('on a terminal', onTerminal('$CC -Wall -Wextra -c x.c'), { env: { TERM: 'xterm' } }),
  one('on a narrow terminal', onTerminal('$CC -Wall -Wextra -c x.c', 40), { env: { TERM: 'xterm' } }),
  one('on a terminal that cannot', onTerminal('$CC -Wall -c x.c'), { env: { TERM: 'dumb' } }),
  one('on a terminal without TERM', onTerminal('unset TERM; $CC -Wall -c x.c')),
  one('on a terminal that knows links', onTerminal('$CC -Wall -Wextra -c x.c'), {
    env: { TERM: 'xterm-256color', COLORTERM: 'truecolor', VTE_VERSION: '6800' },
  }),
  one('on a terminal, links wanted', onTerminal('$CC -Wall -c x.c'), {
    env: { TERM: 'xterm', GCC_URLS: 'st', TERM_URLS: 'bel' },
  }),
  one('on a terminal, COLUMNS set', onTerminal('$CC -Wall -c x.c'), { env: { TERM: 'xterm', COLUMNS: '30' } }),
  one("on a terminal, colours of one's own", onTerminal('$CC -Wall -c x.c'), {
    env: { TERM: 'xterm', GCC_COLORS: 'error=01;35:warning=07' },
  }),
  one('on a terminal, colours off', onTerminal('$CC -Wall -c x.c'), {
    env: { TERM: 'xterm', GCC_COLORS: '', NO_COLOR: '1' },
  }),
  one('on a terminal, a warning only', onTerminal('$CC -Wall -Wextra -c x.c'), {
    files: warning,
    env: { TERM: 'xterm' },
  }),
  one('only standard output on a terminal', onTerminal('$CC -Wall -Wextra -c x.c 2>err'), { env: { TERM: 'xterm' } }),
  one('only standard error on a terminal', onTerminal('$CC -Wall -Wextra -c x.c >out'), { env: { TERM: 'xterm' } }),
  one('-fdiagnostics-color=never on a terminal', onTerminal('$CC -Wall -fdiagnostics-color=never -c x.c'), {
    env: { TERM: 'xterm' },
  }),
];

const forms: readonly Case[] = [
  one('in a pipe', '$CC -Wall -Wextra -c x.c'),
  one('-fdiagnostics-color=always', '$CC -Wall -fdiagnostics-color=always -c x.c'),
  one('-fdiagnostics-color', '$CC -Wall -fdiagnostics-color -c x.c'),
  one('-fdiagnostics-color=auto', '$CC -Wall -fdiagnostics-color=auto -c x.c'),
  one('-fno-diagnostics-show-option', '$CC -Wall -fno-diagnostics-show-option -c x.c'),
  one(
    '-fdiagnostics-show-location=every-line',
    '$CC -Wall -fmessage-length=40 -fdiagnostics-show-location=every-line -c x.c',
    { on: 'gcc' },
  ),
  one('-fno-diagnostics-show-caret', '$CC -Wall -fno-diagnostics-show-caret -c x.c', { on: 'gcc' }),
  one('-fdiagnostics-format=json', '$CC -Wall -fdiagnostics-format=json -c x.c', {
    on: 'gcc',
    ends: ['remote-compile-failed'],
  }),
  one('-fdiagnostics-format=json, a warning', '$CC -Wall -fdiagnostics-format=json -c x.c', {
    on: 'gcc',
    files: warning,
  }),
  one('-fdiagnostics-parseable-fixits', '$CC -Wall -fdiagnostics-parseable-fixits -c x.c'),
  one('-fdiagnostics-generate-patch', '$CC -Wall -fdiagnostics-generate-patch -c x.c', { on: 'gcc' }),
  one('-fdiagnostics-urls=always', '$CC -Wall -fdiagnostics-urls=always -c x.c', { on: 'gcc' }),
  one('-fdiagnostics-plain-output', '$CC -Wall -fdiagnostics-plain-output -c x.c', { on: 'gcc' }),
  one('-fmessage-length=20', '$CC -Wall -fmessage-length=20 -c x.c'),
  one('-fdiagnostics-show-template-tree', '$CXX -fdiagnostics-show-template-tree -c x.cc', {
    files: { 'x.cc': 'template <class A, class B> struct p {};\np<int, char> a; p<int, long> b = a;\n' },
  }),
  one('-fmax-errors=1, -ferror-limit', '$CC -ferror-limit=1 -c x.c', { on: 'clang' }),
  one('-Wfatal-errors', '$CC -Wfatal-errors -c x.c'),
  one('-Wsystem-headers', '$CC -Wsystem-headers -Wall -Wextra -pedantic -std=c90 -c x.c', {
    files: { 'x.c': '#include <stdlib.h>\n#include <sys/types.h>\n' },
  }),
  one('in a macro of a header', '$CC -Wall -Wextra -c x.c', {
    files: {
      'x.c': '#include "m.h"\nint f(int *p) { return SET(p, "s"); }\n',
      'm.h': '#define INNER(a, b) ((a) = (b))\n#define SET(a, b) INNER(a, b) + *a\n',
    },
  }),
  one('#pragma message and #warning', '$CC -c x.c', {
    files: { 'x.c': '#pragma message "hello"\n#warning careful\nint x;\n' },
  }),
  one('a note from an included file', '$CC -Wall -c d/x.c', {
    files: {
      'd/x.c': '#include "a.h"\n',
      'd/a.h': '#include "../b.h"\n',
      'b.h': 'int f(void) { return undeclared; }\n',
    },
  }),
  one('of a template', '$CXX -Wall -c x.cc', {
    files: { 'x.cc': 'template <class T> void f(T t) { t.none(); }\nvoid g() { f(1); f("a"); }\n' },
  }),
  one('standard error closed', '$CC -Wall -c x.c 2>&-', { ends: ['limits'] }),
  one('both streams in one', '$CC -Wall -H -c x.c >all 2>&1'),
  one('standard error in a file', 'echo first >log; $CC -Wall -c x.c 2>>log; echo last >>log'),
];

const locales: readonly Case[] = ['C', 'C.UTF-8', 'POSIX', 'de_DE.UTF-8', 'en_US.UTF-8', 'none_NONE.UTF-8'].map(
  (locale) => ({
    ...one(`LC_ALL=${locale}`, '$CC -Wall -Wextra -c x.c'),
    env: { LC_ALL: locale },
  }),
);

const others: readonly Case[] = [
  ...locales.map((locale) =>
    locale.name.endsWith('de_DE.UTF-8')
      ? { ...locale, ends: ['remote-compile-failed'] as const, clangEnds: ['remote'] as const }
      : locale,
  ),
  one('LANGUAGE', '$CC -Wall -Wextra -c x.c', { files: warning, env: { LC_ALL: 'de_DE.UTF-8', LANGUAGE: 'fr:de' } }),
  one('LC_MESSAGES apart from LC_CTYPE', '$CC -Wall -Wextra -c x.c', {
    files: warning,
    env: { LANG: 'C', LC_ALL: '', LC_MESSAGES: 'de_DE.UTF-8', LC_CTYPE: 'C' },
  }),
  one('LC_CTYPE apart from LC_MESSAGES', '$CC -Wall -Wextra -c x.c', {
    files: warning,
    env: { LANG: '', LC_ALL: '', LC_CTYPE: 'C.UTF-8' },
  }),
  one('German, a warning', '$CC -Wall -Wextra -c x.c', { files: warning, env: { LC_ALL: 'de_DE.UTF-8' } }),
  one('bytes that are no UTF-8', '$CC -Wall -c x.c', {
    files: { 'x.c': { latin1: 'int f(void) { int u; return "\xe9\xff\xfe" + undeclared\xe9; }\n' } },
  }),
  one('bytes that are no UTF-8, under C.UTF-8', '$CC -Wall -c x.c', {
    files: { 'x.c': { latin1: '#warning \xe9\xff\nint f(void) { int u; return 0; }\n' } },
    env: { LC_ALL: 'C.UTF-8' },
  }),
  one('control characters', '$CC -Wall -c x.c', { files: { 'x.c': '#warning \u0001\u001b[31m\u0007\nint x;\n' } }),
  one(
    'a megabyte of warnings',
    'i=0; while [ $i -lt 2500 ]; do echo "int f$i(void) { int unused_variable_$i; char *p = $i + 1; return p; }"; i=$((i+1)); done >x.c; $CC -Wall -c x.c',
    { files: {} },
  ),
  one(
    'a line of 100 KB',
    `printf 'int f(void) { return undeclared + %s1; }\\n' "$(head -c 100000 /dev/zero | tr '\\0' ' ')" >x.c; $CC -Wall -c x.c`,
    { files: {} },
  ),
  one(
    'many errors',
    'i=0; while [ $i -lt 300 ]; do echo "int f$i = undeclared_$i;"; i=$((i+1)); done >x.c; $CC -c x.c',
    { files: {} },
  ),
];

export const diagnostics: Theme = { name: 'diagnostics', cases: [...terminal, ...forms, ...others] };
