import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { understand } from './command-line.ts';
import { optionTable } from './option-table.ts';
import type { CommandLine, Family, TranslationUnit, Verdict } from './translation-unit.ts';

const responseFiles: Readonly<Record<string, string>> = { args: '-O2 "-DA=1 2" -o b.o', self: '@self' };

function verdictOn(line: string, env: Readonly<Record<string, string>> = {}): Verdict {
  const argv = line.split(' ');
  const family: Family = argv[0]?.startsWith('clang') === true ? 'clang' : 'gcc';
  const request: CommandLine = {
    argv,
    env: new Map(Object.entries(env)),
    family,
    cplusplusDriver: argv[0]?.endsWith('++') === true,
    readResponseFile: (path) => responseFiles[path],
  };
  return understand(request);
}

function unitOf(line: string, env: Readonly<Record<string, string>> = {}): TranslationUnit {
  const verdict = verdictOn(line, env);
  if (verdict.kind === 'here') assert.fail(`${line}: ${verdict.reason} (${verdict.detail})`);
  return verdict.unit;
}

test('the table is sorted, each option once', () => {
  const names = optionTable.map(([name]) => name);
  assert.deepEqual(names, [...new Set(names)].toSorted());
});

// What a command compiles, and everything that it leaves: `r` replaces what is there, `t` writes into it.
const outputs: readonly (readonly [line: string, language: string, files: string])[] = [
  ['gcc -c x.c', 'c', 'x.o:r'],
  ['gcc -c d/x.v2.c', 'c', 'x.v2.o:r'],
  ['gcc -S x.c', 'c', 'x.s:t'],
  ['clang -S x.c', 'c', 'x.s:r'],
  ['gcc -c x.c -od/y.o', 'c', 'd/y.o:r'],
  ['gcc -c x.c --output=y', 'c', 'y:r'],
  ['gcc -c -S x.c', 'c', 'x.s:t'],
  ['g++ -c x.c', 'c++', 'x.o:r'],
  ['gcc -c x.cc', 'c++', 'x.o:r'],
  ['clang++ -c x.m', 'objective-c++', 'x.o:r'],
  ['g++ -c x.m', 'objective-c', 'x.o:r'],
  ['gcc -c x.mii', 'objective-c++', 'x.o:r'],
  ['gcc -c x.S', 'assembler-with-cpp', 'x.o:r'],
  ['gcc -x c++ -c x.txt', 'c++', 'x.o:r'],
  ['gcc -xc -c x.txt -x none', 'c', 'x.o:r'],
  ['gcc -MD -c x.c -o d/y.o', 'c', 'd/y.o:r d/y.d:t'],
  ['gcc -MMD -MF d -c x.c', 'c', 'x.o:r d:t'],
  ['gcc -MD -MF - -c x.c', 'c', 'x.o:r'],
  ['gcc -MT t -MQ q -MP -MD -c x.c', 'c', 'x.o:r x.d:t'],
  ['gcc -Wp,-MMD,d/.x.d -c x.c -o x.o', 'c', 'x.o:r d/.x.d:t'],
  ['gcc -Wp,-MD -Wp,x.dep -c x.c', 'c', 'x.o:r x.dep:t'],
  ['gcc -Xpreprocessor -MD -Xpreprocessor x.dep -c x.c', 'c', 'x.o:r x.dep:t'],
  ['clang -Wp,-MD,x.dep -c x.c', 'c', 'x.o:r x.dep:t'],
  // What a kernel's build asks of clang before version 16.
  ['clang -enable-trivial-auto-var-init-zero-knowing-it-will-be-removed-from-clang -c x.c', 'c', 'x.o:r'],
  ['gcc -g -gsplit-dwarf -c x.c -o d/y', 'c', 'd/y:r d/y.dwo:r'],
  ['clang -g -gsplit-dwarf -c x.c -o d/y.o', 'c', 'd/y.o:r d/y.dwo:t'],
  ['clang -g -gsplit-dwarf -S x.c -o d/y.s', 'c', 'd/y.s:r d/y.dwo:t x.dwo:t'],
  ['gcc -fstack-usage -fcallgraph-info=su -c x.c', 'c', 'x.o:r x.su:t x.ci:t'],
  ['gcc --coverage -c x.c -o d/y.o', 'c', 'd/y.o:r d/y.gcno:t'],
  ['clang -emit-llvm -c x.c', 'c', 'x.bc:r'],
  ['gcc @args -c x.c', 'c', 'b.o:r'],
];

for (const [line, language, files] of outputs) {
  test(`${line} leaves ${files}`, () => {
    const unit = unitOf(line);
    assert.equal(unit.language, language);
    assert.equal(unit.outputs.map(({ path, how }) => `${path}:${how.charAt(0)}`).join(' '), files);
  });
}

// Where it looks for headers: quote | angle | system | after.
const searches: readonly (readonly [line: string, env: Readonly<Record<string, string>>, directories: string])[] = [
  ['gcc -Ia -I b -iquote q -isystem s -idirafter z -c x.c', {}, 'q|a b|s|z'],
  ['gcc --include-directory=a --include-directory b -c x.c', {}, '|a b||'],
  ['gcc -iprefix p/ -iwithprefix w -iwithprefixbefore b -c x.c', {}, '|p/b|p/w|'],
  ['clang -iprefix p/ -iwithprefix w -c x.c', {}, '|||p/w'],
  ['gcc --sysroot=/r -I=/i -c x.c', {}, '|/r/i||'],
  ['gcc --sysroot=/r -isysroot /h -I=/i -c x.c', {}, '|/h/i||'],
  ['gcc -Ia -c x.c', { CPATH: 'e::f', C_INCLUDE_PATH: 'g', CPLUS_INCLUDE_PATH: 'h' }, '|a e . f|g|'],
  ['g++ -c x.cc', { C_INCLUDE_PATH: 'g', CPLUS_INCLUDE_PATH: 'h' }, '||h|'],
];

for (const [line, env, directories] of searches) {
  test(`${line} with ${JSON.stringify(env)} looks in ${directories}`, () => {
    const { search } = unitOf(line, env);
    assert.equal(
      [search.quote, search.angle, search.system, search.after].map((list) => list.join(' ')).join('|'),
      directories,
    );
  });
}

const stays: readonly (readonly [line: string, reason: string])[] = [
  ['gcc x.c', 'link'],
  ['gcc -c -E x.c', 'preprocess-only'],
  ['gcc -M -MF d x.c', 'preprocess-only'],
  ['gcc -fsyntax-only x.c', 'syntax-only'],
  ['gcc --version', 'probe-conftest'],
  ['gcc -c conftest.c', 'probe-conftest'],
  ['gcc -c ztest123.c', 'probe-conftest'],
  ['gcc', 'no-input'],
  ['gcc -c x.c -o', 'usage-error'],
  ['gcc -c x.c y.c', 'several-inputs'],
  ['gcc -xc -c -', 'stdin-input'],
  ['gcc -c x.h', 'precompiled-header'],
  ['gcc x.h -o x.h.gch', 'precompiled-header'],
  ['gcc -c x.CC', 'other-language'],
  ['clang -c x.sx', 'other-language'],
  ['gcc -S x.c -o -', 'output-special'],
  ['gcc -c x.c -o /dev/null', 'output-special'],
  ['gcc -c x.c -o .o', 'output-special'],
  ['gcc -c x.c -MD -MF /dev/stdout', 'output-special'],
  ['gcc @missing -c x.c', 'response-file'],
  ['gcc @self -c x.c', 'response-file'],
  ['gcc --no-such -c x.c', 'unknown-option'],
  ['gcc -I- -c x.c', 'unknown-option'],
  ['gcc -fnew-thing=/a/path -c x.c', 'unknown-option'],
  ['gcc -march=native -c x.c', 'native-arch'],
  ['gcc -fexec-charset=IBM1047 -c x.c', 'charset'],
  ['gcc -fexec-charset=UTF-16 -c x.c', 'charset'],
  ['gcc -finput-charset=UTF-16LE -c x.c', 'charset'],
  ['gcc -save-temps -c x.c', 'save-temps'],
  ['gcc -gen-decls -c x.m', 'dump-files'],
  ['gcc -fstats -c x.c', 'verbose'],
  ['gcc -Wa,-al=l -c x.c', 'pass-through'],
  ['gcc -Xassembler -Idir -c x.c', 'pass-through'],
  ['gcc -Wp,-Idir -c x.c', 'pass-through'],
  ['clang -Wp,-MD,x.dep,-MQ,t -c x.c', 'pass-through'],
  ['clang -Wp,-MD -Wp,x.dep -c x.c', 'pass-through'],
  ['clang -Xclang -load -c x.c', 'pass-through'],
  ['clang -fmodules -c x.c', 'modules'],
  ['gcc -B. -c x.c', 'own-parts'],
  ['gcc -I=/i -c x.c', 'own-parts'],
  ['gcc -iwithprefix i -c x.c', 'own-parts'],
  ['gcc -fplugin=p -c x.c', 'plugin'],
  ['gcc -fprofile-use -c x.c', 'profile-use'],
];

for (const [line, reason] of stays) {
  test(`${line} stays: ${reason}`, () => {
    const verdict = verdictOn(line);
    assert.equal(verdict.kind === 'here' ? verdict.reason : 'travels', reason);
  });
}

test('a variable that moves the compiler keeps everything here', () => {
  const verdict = verdictOn('gcc -c x.c', { COMPILER_PATH: '/x' });
  assert.deepEqual(verdict, { kind: 'here', reason: 'environment', detail: 'COMPILER_PATH' });
});

test('no command line makes it throw, and what travels has an output and one source', () => {
  const name = fc.constantFrom(
    ...optionTable.map(([option]) => option),
    '-',
    '@args',
    '@self',
    'x.c',
    'y.cc',
    'z.s',
    '',
  );
  const word = fc.oneof(
    name,
    fc.tuple(name, fc.string({ maxLength: 6 })).map((parts) => parts.join('')),
    fc.string(),
  );
  const property = fc.property(
    fc.array(word, { maxLength: 12 }),
    fc.constantFrom<Family>('gcc', 'clang'),
    fc.boolean(),
    (words, family, cplusplusDriver) => {
      const readResponseFile = (path: string): string | undefined => responseFiles[path];
      const env = new Map([['CPATH', ':']]);
      const verdict = understand({ argv: ['cc', ...words], env, family, cplusplusDriver, readResponseFile });
      if (verdict.kind === 'here') return;
      assert.ok(verdict.unit.outputs.length > 0 && verdict.unit.outputs[0]?.path === verdict.unit.object);
      assert.ok(verdict.unit.source !== '-');
    },
  );
  fc.assert(property, { numRuns: 3000 });
});
