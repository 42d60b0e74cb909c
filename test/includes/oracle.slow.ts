// The oracle: what the compilers really look at, by strace, over real sources. Every path of the tree that was found is in
// the closure with the same bytes, and nothing is in it where a compiler found nothing.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { layOut, type ProjectName } from '../../bench/corpus.ts';
import { realFiles } from '../../src/includes/files.ts';
import { createIncludeView } from '../../src/includes/view.ts';
import { shortcomings } from './coverage.ts';
import { lookedAt } from './strace.ts';

const home = realpathSync(mkdtempSync(join(tmpdir(), 'shoal-oracle-')));
after(() => rmSync(home, { recursive: true }));
const cache = process.env['SHOAL_CORPUS_CACHE'] ?? join(home, 'packages');

function builtinDirectories(compiler: string): string[] {
  const { stderr } = spawnSync(compiler, ['-xc++', '-E', '-v', '/dev/null'], { encoding: 'utf8' });
  const list =
    /search starts here:\n([^]*)End of search list/.exec(stderr.split('#include "..."').at(-1) ?? '')?.[1] ?? '';
  return list
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line.startsWith('/'));
}

const compilers: readonly { readonly c: string; readonly cxx: string }[] = [
  { c: 'gcc', cxx: 'g++' },
  { c: 'clang', cxx: 'clang++' },
];

// Where it costs little, the assembler is watched too.
const syntaxOnly: readonly string[] = ['-O0', '-fsyntax-only'];

const projects: readonly {
  readonly name: ProjectName;
  readonly everyNth: number;
  readonly flags: readonly string[];
}[] = [
  { name: 'leveldb', everyNth: 2, flags: ['-O1', '-g'] },
  { name: 'abseil', everyNth: 4, flags: syntaxOnly },
  { name: 're2', everyNth: 2, flags: syntaxOnly },
  { name: 'sqlite', everyNth: 1, flags: syntaxOnly },
];

for (const { c, cxx } of compilers) {
  for (const { name, everyNth, flags } of projects) {
    test(`${name}: the closure holds all that ${cxx} looks at, and nothing that it looks for in vain`, () => {
      const root = join(home, `${name}-${cxx}`);
      const tree = layOut(root, cache, { projects: [name], flags, everyNth });
      const view = createIncludeView(realFiles);
      const counts = { units: 0, found: 0, missing: 0, inClosure: 0 };
      for (const line of tree.lines) {
        const [driver, ...args] = line.arguments;
        const looked = lookedAt([driver === 'g++' ? cxx : c, ...args.filter((word) => word !== '-MD')], line.directory);
        assert.equal(looked.status, 0, looked.stderr);
        const closure = view.closure({
          epoch: ++counts.units,
          cwd: line.directory,
          source: line.file,
          forced: [],
          extraInputs: [],
          quoteDirs: [],
          searchDirs: [
            ...args.filter((word) => word.startsWith('-I')).map((word) => word.slice(2)),
            ...builtinDirectories(cxx),
          ],
          macros: [],
          toolchain: { key: cxx, isInside: (path) => path === '/usr' || path.startsWith('/usr/') },
          sourceDateEpoch: false,
          preprocessed: false,
        });
        assert.ok(
          closure.kind === 'closure',
          closure.kind === 'here' ? `${line.file}: ${closure.reason} ${closure.detail}` : '',
        );
        assert.deepEqual(shortcomings(closure, looked, root), [], line.file);
        counts.found += new Set(
          [...looked.found]
            .filter((path) => path.startsWith(`${root}/`) && /\.\w+$/.test(path))
            .map((path) => realpathSync(path)),
        ).size;
        counts.missing += looked.missing.size;
        counts.inClosure += closure.files.length;
      }
      console.info(`${name}, ${cxx}:`, counts);
    });
  }
}
