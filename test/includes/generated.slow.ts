// As generated.test.ts, with many more trees, clang too, and strace as the witness: also what was only asked for counts.
import assert from 'node:assert/strict';
import { mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import fc from 'fast-check';
import { realFiles } from '../../src/includes/files.ts';
import { createIncludeView } from '../../src/includes/view.ts';
import { shortcomings } from './coverage.ts';
import { generatedSearch, generatedTrees, layOutTree } from './generated-tree.ts';
import { lookedAt } from './strace.ts';

const home = realpathSync(mkdtempSync(join(tmpdir(), 'shoal-includes-')));
after(() => rmSync(home, { recursive: true }));

for (const compiler of ['gcc', 'clang']) {
  test(`the closure of a generated tree holds all that ${compiler} looks at, and nothing that it looks for in vain`, () => {
    const view = createIncludeView(realFiles);
    const counts = { trees: 0, found: 0, missing: 0, here: 0 };
    fc.assert(
      fc.property(generatedTrees, (tree) => {
        const cwd = join(home, compiler + String(counts.trees++));
        layOutTree(cwd, tree);
        const options = generatedSearch.map((path) => `-I${path}`);
        const looked = lookedAt([compiler, '-M', '-MG', '-w', ...options, 'a.c'], cwd);
        const closure = view.closure({
          epoch: counts.trees,
          cwd,
          source: 'a.c',
          forced: [],
          extraInputs: [],
          quoteDirs: [],
          searchDirs: generatedSearch,
          macros: [],
          toolchain: { key: 'none', isInside: (path) => path.startsWith('/usr') },
          sourceDateEpoch: false,
          preprocessed: false,
        });
        if (closure.kind === 'here') {
          assert.equal(closure.reason, 'computed-include');
          counts.here++;
        } else {
          counts.found += [...looked.found].filter((path) => path.startsWith(cwd)).length;
          counts.missing += looked.missing.size;
          assert.deepEqual(shortcomings(closure, looked, cwd), []);
        }
        rmSync(cwd, { recursive: true });
      }),
      { numRuns: 150 },
    );
    console.info(compiler, counts);
    assert.ok(counts.found > 5 * counts.trees && counts.here < counts.trees / 2);
  });
}
