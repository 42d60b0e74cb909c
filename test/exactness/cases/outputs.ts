// Outputs: their names, their modes, what stood there before, and what a failing compile leaves.
import type { Case, End, Theme } from '../case.ts';

const c = 'int g(void);\nint f(int x) { int a[8] = {0}; return g() + a[x & 7]; }\n';
const good = { 'x.c': c };
const bad = { 'x.c': 'int f(void) { return undeclared; }\n' };
const badAssembly = { 'x.c': 'void f(void) { __asm__("no such instruction"); }\n' };
const old = { 'x.o': 'an older object', 'x.d': 'an older dependency file', 'x.su': 'old', 'x.s': 'old assembly' };

const names: readonly Case[] = [
  { name: 'without -o', files: good, run: '$CC -c x.c' },
  { name: 'without -o, of a source in a directory', files: { 'd/x.c': c }, run: '$CC -c d/x.c' },
  { name: 'joined to -o', files: good, run: '$CC -c x.c -oy.o' },
  {
    name: '--output',
    files: good,
    run: '$CC -c x.c --output y.o && $CC -c x.c --output=z.o',
    ends: ['remote', 'remote'],
  },
  {
    name: 'of odd names',
    files: good,
    run: '$CC -c x.c -o "a b" && $CC -c x.c -o "ü.o" && $CC -c x.c -o x && $CC -c x.c -o x.exe',
    ends: ['remote', 'remote', 'remote', 'remote'],
  },
  { name: 'of a name that begins with a dot', files: good, run: '$CC -c x.c -o .x.o' },
  { name: 'of a name that is an ending', files: good, run: '$CC -c x.c -o .o', ends: ['output-special'] },
  { name: 'of an absolute path', files: { ...good, 'd/': '' }, run: '$CC -c x.c -o "$PWD/d/y.o"' },
  { name: 'in a directory through dots', files: { ...good, 'd/': '' }, run: '$CC -c x.c -o d/../d/./y.o' },
  {
    name: 'in a directory that is missing',
    files: good,
    run: '$CC -c x.c -o none/y.o',
    ends: ['output-directory-missing'],
  },
  {
    name: 'in a directory behind a link',
    files: { ...good, 'd/': '', l: { link: 'd' } },
    run: '$CC -c x.c -o l/y.o',
    ends: ['output-link'],
  },
  {
    name: 'in a working directory behind a link',
    files: { 'd/x.c': c, l: { link: 'd' } },
    run: 'cd l && $CC -MD -c x.c -o y.o',
  },
  { name: 'two of -o', files: good, run: '$CC -c x.c -o y.o -o z.o' },
  { name: 'of assembly', files: good, run: '$CC -S x.c && $CC -S -O2 -g x.c -o y.asm', ends: ['remote', 'remote'] },
  { name: '-c and -S, -S and -c', files: good, run: '$CC -c -S x.c; $CC -S -c x.c -o y', ends: ['remote', 'remote'] },
  { name: 'of assembly on standard output', files: good, run: '$CC -S x.c -o -', ends: ['output-special'] },
  {
    name: 'on /dev/null',
    files: good,
    run: '$CC -c x.c -o /dev/null && ls -l /dev/null | cut -c1',
    ends: ['output-special'],
  },
  { name: 'on /dev/stdout', files: good, run: '$CC -S x.c -o /dev/stdout', ends: ['output-special'] },
  {
    name: 'on a FIFO',
    files: good,
    run: 'mkfifo y.s; cat y.s >got & $CC -S x.c -o y.s; wait',
    ends: ['output-special'],
  },
  { name: 'on a directory', files: { ...good, 'y.o/': '' }, run: '$CC -c x.c -o y.o', ends: ['output-special'] },
  { name: 'on the source', files: good, run: '$CC -c x.c -o x.c', ends: ['output-is-input'] },
  {
    name: 'on a header that it includes',
    files: { 'x.c': '#include "y.h"\nint x;\n', 'y.h': 'int y;\n' },
    run: '$CC -c x.c -o y.h',
  },
];

const existing: readonly Case[] = [
  { name: 'over an old one', files: { ...good, ...old }, run: '$CC -c x.c' },
  { name: 'over an old one of another mode', files: { ...good, ...old }, run: 'chmod 600 x.o; $CC -c x.c' },
  { name: 'over one that may not be written', files: { ...good, ...old }, run: 'chmod 400 x.o; $CC -c x.c' },
  {
    name: 'over one that may be executed',
    files: { ...good, ...old },
    run: 'chmod 755 x.o x.s x.d; $CC -c -MD x.c; $CC -S x.c',
    ends: ['remote', 'remote'],
  },
  {
    name: 'over a link',
    files: { ...good, 'y.o': 'old', 'x.o': { link: 'y.o' } },
    run: '$CC -c x.c',
    ends: ['output-link'],
  },
  {
    name: 'over a link that leads nowhere',
    files: { ...good, 'x.o': { link: 'none/y.o' } },
    run: '$CC -c x.c',
    ends: ['output-link'],
  },
  {
    name: 'over a link to a device',
    files: { ...good, 'x.o': { link: '/dev/null' } },
    run: '$CC -c x.c',
    ends: ['output-link'],
  },
  { name: 'over a hard link', files: { ...good, 'y.o': 'old' }, run: 'ln y.o x.o; $CC -c x.c', ends: ['output-link'] },
  {
    name: 'assembly over a hard link',
    files: { ...good, 'y.s': 'old' },
    run: 'ln y.s x.s; $CC -S x.c',
    ends: ['output-link'],
  },
  {
    name: 'in a directory that may not be written',
    files: { ...good, 'd/': '' },
    run: 'chmod 555 d; $CC -c x.c -o d/x.o; chmod 755 d',
  },
  { name: 'the same twice', files: good, run: '$CC -MD -g -c x.c; $CC -MD -g -c x.c', ends: ['remote', 'remote'] },
];

const masks: readonly Case[] = ['000', '022', '077', '027', '0777', '0111'].map((mask) => ({
  name: `umask ${mask}`,
  files: { ...good, 'x.i': 'int x;\n' },
  run: `umask ${mask}; $CC -MD -c x.c -o y.o; $CC -S x.c -o y.s; umask 022`,
  ends: ['remote', 'remote'],
}));

/** What stands there before, against what becomes of the compile. */
function failing(name: string, files: Case['files'], ends: readonly End[], more: Partial<Case> = {}): Case[] {
  return [
    { name, files, run: '$CC -MD -c x.c', ends, ...more },
    {
      name: `${name}, over old files`,
      files: { ...files, ...old },
      run: '$CC -MD -fstack-usage -c x.c -o x.o',
      ends,
      ...more,
    },
    { name: `${name}, of assembly over old files`, files: { ...files, ...old }, run: '$CC -MD -S x.c', ends, ...more },
  ];
}

const failures: readonly Case[] = [
  ...failing('an error', bad, ['remote']),
  ...failing('#error', { 'x.c': '#error "no"\n' }, ['remote']),
  ...failing('a syntax error', { 'x.c': 'int f( {\n' }, ['remote']),
  ...failing(
    'a warning that is an error',
    { 'x.c': '#pragma GCC diagnostic error "-Wunused-variable"\nvoid f(void) { int u; }\n' },
    ['remote'],
  ),
  ...failing('a header that is missing', { 'x.c': '#include "none.h"\n' }, ['remote-compile-failed']),
  {
    name: 'an assembler error',
    files: badAssembly,
    run: '$CC -MD -c x.c',
    ends: ['remote-compile-failed'],
    clangEnds: ['remote'],
  },
  {
    name: 'an assembler error, over old files',
    files: { ...badAssembly, ...old },
    run: '$CC -MD -c x.c',
    ends: ['remote-compile-failed'],
    clangEnds: ['remote'],
  },
  { name: 'an assembler error, as assembly', files: { ...badAssembly, ...old }, run: '$CC -MD -S x.c' },
  {
    name: 'errors, with split DWARF, over old files',
    files: { ...bad, 'x.o': 'old', 'x.dwo': 'old', 'x.d': 'old' },
    run: '$CC -MD -g -gsplit-dwarf -c x.c',
  },
  {
    name: 'errors, with coverage, over old files',
    files: { ...bad, 'x.o': 'old', 'x.gcno': 'old' },
    run: '$CC --coverage -c x.c',
  },
  {
    name: 'an error, then a repair',
    files: bad,
    run: '$CC -MD -c x.c; echo "int x;" >x.c; $CC -MD -c x.c',
    ends: ['remote', 'remote'],
  },
  {
    name: 'an error by an option',
    files: good,
    run: '$CC -Werror -Wunused -Wfoo-bar-baz -c x.c',
    ends: ['remote-compile-failed'],
  },
];

const beside: readonly Case[] = [
  { name: '-gsplit-dwarf', files: good, run: '$CC -g -gsplit-dwarf -c x.c' },
  {
    name: '-gsplit-dwarf, in a directory',
    files: { ...good, 'd/': '' },
    run: '$CC -g -gsplit-dwarf -c x.c -o d/y.v1.o',
  },
  { name: '-gsplit-dwarf, name without ending', files: good, run: '$CC -g -gsplit-dwarf -c x.c -o y' },
  {
    name: '-gsplit-dwarf over old files',
    files: { ...good, 'x.dwo': 'old', 'x.o': 'old' },
    run: 'chmod 600 x.dwo; $CC -g -gsplit-dwarf -c x.c',
  },
  { name: '-gsplit-dwarf of assembly', files: { ...good, 'd/': '' }, run: '$CC -g -gsplit-dwarf -S x.c -o d/x.s' },
  { name: '-gsplit-dwarf without -g', files: good, run: '$CC -gsplit-dwarf -c x.c' },
  { name: '-gsplit-dwarf of assembler', files: { 'x.s': '.text\n nop\n' }, run: '$CC -g -gsplit-dwarf -c x.s' },
  { name: '-gsplit-dwarf=single', files: good, run: '$CC -g -gsplit-dwarf=single -c x.c', on: 'clang' },
  { name: '-fstack-usage', files: good, run: '$CC -fstack-usage -c x.c' },
  { name: '-fstack-usage, in a directory', files: { ...good, 'd/': '' }, run: '$CC -fstack-usage -c x.c -o d/y.o' },
  { name: '-fstack-usage of assembly', files: { ...good, 'd/': '' }, run: '$CC -fstack-usage -S x.c -o d/y.s' },
  { name: '-fcallgraph-info', files: good, run: '$CC -fcallgraph-info -c x.c', on: 'gcc' },
  {
    name: '-fcallgraph-info=su,da',
    files: { ...good, 'd/': '' },
    run: '$CC -fcallgraph-info=su,da -c x.c -o d/y.o',
    on: 'gcc',
  },
  { name: '--coverage', files: good, run: '$CC --coverage -frandom-seed=1 -c x.c', on: 'gcc' },
  { name: '--coverage of clang', files: good, run: '$CC --coverage -c x.c', on: 'clang' },
  {
    name: '--coverage, in a directory',
    files: { ...good, 'd/': '' },
    run: '$CC --coverage -frandom-seed=1 -c x.c -o d/y.o',
    on: 'gcc',
  },
  {
    name: '-ftest-coverage -fprofile-arcs',
    files: good,
    run: '$CC -ftest-coverage -fprofile-arcs -frandom-seed=1 -c x.c',
    on: 'gcc',
  },
  { name: '-ftest-coverage alone', files: good, run: '$CC -ftest-coverage -c x.c -o y.o', on: 'clang' },
  {
    name: '-fprofile-dir with coverage',
    files: { ...good, 'd/': '' },
    run: '$CC --coverage -frandom-seed=1 -fprofile-dir=p -c x.c -o d/y.o',
    on: 'gcc',
  },
  {
    name: 'everything at once',
    files: { ...good, 'd/': '' },
    run: '$CC -MD -MP -g -gsplit-dwarf -fstack-usage --coverage -frandom-seed=1 -c x.c -o d/y.o',
    on: 'gcc',
  },
  { name: '-save-temps', files: good, run: '$CC -save-temps -c x.c', ends: ['save-temps'] },
  {
    name: '-save-temps=obj',
    files: { ...good, 'd/': '' },
    run: '$CC -save-temps=obj -c x.c -o d/x.o',
    ends: ['save-temps'],
  },
  {
    name: '-emit-llvm',
    files: good,
    run: '$CC -emit-llvm -c x.c && $CC -emit-llvm -S x.c',
    on: 'clang',
    ends: ['remote', 'remote'],
  },
  { name: '-aux-info', files: good, run: '$CC -aux-info x.aux -c x.c', on: 'gcc', ends: ['dump-files'] },
  {
    name: '-fdiagnostics-format=json-file',
    files: bad,
    run: '$CC -fdiagnostics-format=json-file -c x.c',
    on: 'gcc',
    ends: ['dump-files'],
  },
  {
    name: '-fprofile-note',
    files: good,
    run: '$CC --coverage -frandom-seed=1 -fprofile-note=p.gcno -c x.c',
    on: 'gcc',
    ends: ['dump-files'],
  },
  {
    name: '--serialize-diagnostics',
    files: bad,
    run: '$CC --serialize-diagnostics x.dia -c x.c',
    on: 'clang',
    ends: ['dump-files'],
  },
  { name: '-MJ', files: good, run: '$CC -MJ x.json -c x.c', on: 'clang', ends: ['dump-files'] },
  { name: '-fdump-ada-spec', files: good, run: '$CC -fdump-ada-spec -c x.c', on: 'gcc', ends: ['dump-files'] },
];

export const outputs: Theme = { name: 'output', cases: [...names, ...existing, ...masks, ...failures, ...beside] };
