// Identity: what a compile through the farm leaves and says equals, byte for byte, what the same command line leaves and
// says at home, over whole real projects and over sources that do not compile.
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import test from 'node:test';
import { layOut, type CompileLine, type ProjectName } from '../../bench/corpus.ts';
import type { LineEnd } from './compile-lines.ts';
import { differences } from './differences.ts';
import { corpus, farmFor, type Farm } from './farm.ts';

const width = 6;
const program = join(import.meta.dirname, 'compile-lines.js');

type Both = {
  readonly home: Record<string, LineEnd>;
  readonly farm: Record<string, LineEnd>;
  /** Files that differ between the two. */
  readonly files: readonly string[];
  readonly summary: Summary;
};
/** Strict unless some of the failures have to be confirmed at home. */
type Work = { readonly tree: string; readonly lines: readonly CompileLine[]; readonly strict: boolean };

type Summary = {
  readonly files: number;
  readonly remote: number;
  readonly failed: number;
  readonly reasons: Readonly<Record<string, number>>;
};

const cases: readonly {
  readonly projects: readonly ProjectName[];
  readonly flags: readonly string[];
  readonly everyNth: number;
}[] = [
  { projects: ['leveldb', 'abseil', 're2', 'sqlite'], flags: ['-O0', '-g', '-Wall', '-Wextra'], everyNth: 1 },
  { projects: ['leveldb', 'abseil', 're2'], flags: ['-O2', '-Wall', '-Wextra', '-fPIC'], everyNth: 12 },
];

for (const { projects, flags, everyNth } of cases) {
  const which = everyNth === 1 ? 'every file' : `every ${everyNth}th file`;
  test(`${which} of ${projects.join(', ')} with ${flags.join(' ')} compiles elsewhere as at home`, async (t) => {
    const farm = await farmFor(t);
    const tree = layOut(join(farm.directory, 'tree'), corpus(), { projects, flags, everyNth });
    const {
      home,
      farm: away,
      files,
      summary,
    } = await compileTwice(farm, { tree: tree.directory, lines: tree.lines, strict: true });
    assert.deepEqual(away, home);
    assert.deepEqual(files, []);
    assert.equal(summary.remote, tree.lines.length, JSON.stringify(summary));
    const warned = Object.values(home).filter(({ stderr }) => stderr !== '').length;
    t.diagnostic(`${tree.lines.length} files, ${warned} with warnings`);
  });
}

const sources: Readonly<Record<string, string>> = {
  'error.cc': 'int f() { return undeclared; }\n',
  'two-errors.cc': '#include <string>\nstd::string s = 5;\nint f( { }\n',
  'missing.cc': '#include "there/is/no/such.h"\n',
  'fatal.c': '#error "this is the end"\n',
  'assembler.c': 'void f(void) { __asm__("no such instruction"); }\n',
  'warning.c': '#include <stdio.h>\nint f(int x) { int y; printf("%s", x); return y; }\n',
  'templates.cc': '#include <vector>\nstruct A {}; bool b = std::vector<A>{} < std::vector<A>{};\n',
  'pragma.c': '#pragma message "seen at\\tcompile time"\nint x;\n',
  'utf8.cc': 'const char *größe = "ü"; int π = größe;\n',
};

test('sources that do not compile, or warn, say and leave what they do at home, old objects included', async (t) => {
  const farm = await farmFor(t);
  const tree = join(farm.directory, 'tree');
  for (const [name, text] of Object.entries(sources)) write(join(tree, name), text);
  const lines = Object.keys(sources).flatMap((name) => [line(tree, name, 'new'), line(tree, name, 'old')]);
  const { home, farm: away, files, summary } = await compileTwice(farm, { tree, lines, strict: false });
  assert.deepEqual(away, home);
  assert.deepEqual(files, []);
  const failing = Object.values(home).filter(({ status }) => status !== 0).length;
  assert.ok(failing >= 10, `${failing} fail`);
  // A missing header may be the farm's doing, and the assembler names no source: only those are confirmed at home.
  // On a busy machine some are done sooner here, which is a choice and no trouble.
  const chosen = summary.remote + (summary.reasons['sooner-here'] ?? 0);
  assert.ok(summary.remote > 0 && chosen >= lines.length - 4, JSON.stringify(summary));
  t.diagnostic(JSON.stringify(summary));
});

function line(tree: string, name: string, state: 'new' | 'old'): CompileLine {
  const output = `build/${state}/${name}.o`;
  const compiler = name.endsWith('.c') ? 'gcc' : 'g++';
  return { directory: tree, file: name, arguments: [compiler, '-Wall', '-MMD', '-c', name, '-o', output], output };
}

/** Compiles at home, then through the farm, and says what each said and left. */
async function compileTwice(farm: Farm, { tree, lines, strict }: Work): Promise<Both> {
  const list = join(farm.directory, 'lines.json');
  writeFileSync(list, JSON.stringify(lines));
  const answers = { home: join(farm.directory, 'home.json'), farm: join(farm.directory, 'farm.json') };
  const argv = (answer: string): readonly string[] => [process.execPath, program, list, answer, String(width)];

  prepare(tree, lines);
  const athome = await farm.run({ argv: argv(answers.home), cwd: tree });
  assert.equal(athome.status, 0, athome.output);
  renameSync(join(tree, 'build'), join(tree, 'build-at-home'));

  prepare(tree, lines);
  const summary = join(farm.directory, 'summary.json');
  const env = { SHOAL_SUMMARY: summary, SHOAL_STRICT: strict ? '1' : undefined };
  const away = await farm.shoal(['run', '--', ...argv(answers.farm)], { cwd: tree, env });
  assert.equal(away.status, 0, away.output);

  assert.deepEqual(farm.remains(), []);
  const read = (file: string): unknown => JSON.parse(readFileSync(file, 'utf8'));
  return {
    home: read(answers.home) as Both['home'],
    farm: read(answers.farm) as Both['farm'],
    files: differences(join(tree, 'build-at-home'), join(tree, 'build')),
    summary: read(summary) as Summary,
  };
}

/** Output directories; where a line's output is under `old`, an object and a dependency file of an earlier build. */
function prepare(tree: string, lines: readonly CompileLine[]): void {
  for (const { output } of lines) {
    mkdirSync(join(tree, dirname(output)), { recursive: true });
    if (!output.startsWith('build/old/')) continue;
    write(join(tree, output), 'an older object');
    write(join(tree, output.replace(/\.o$/, '.d')), 'an older dependency file');
  }
}

function write(path: string, text: string): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
}
