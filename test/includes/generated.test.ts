import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import fc from 'fast-check';
import { realFiles } from '../../src/includes/files.ts';
import { createIncludeView } from '../../src/includes/view.ts';
import { shortcomings } from './coverage.ts';
import { generatedSearch, generatedTrees, layOutTree } from './generated-tree.ts';

const home = realpathSync(mkdtempSync(join(tmpdir(), 'shoal-includes-')));
after(() => rmSync(home, { recursive: true }));

/** The headers that gcc says it opened. */
function opened(cwd: string): Set<string> {
  const options = generatedSearch.map((path) => `-I${path}`);
  const run = spawnSync('gcc', ['-M', '-MG', '-H', '-w', ...options, 'a.c'], { cwd, encoding: 'utf8' });
  const lines = run.stderr.split('\n').filter((line) => /^[.!x]+ /.test(line));
  const names = lines.map((line) => line.replace(/^\S+ /, ''));
  return new Set(names.map((name) => (name.startsWith('/') ? name : `${cwd}/${name}`)));
}

test('the closure of a generated tree holds every header that gcc opens', () => {
  const view = createIncludeView(realFiles);
  let trees = 0;
  let headers = 0;
  fc.assert(
    fc.property(generatedTrees, (tree) => {
      const cwd = join(home, String(trees++));
      layOutTree(cwd, tree);
      const found = opened(cwd);
      headers += found.size;
      const closure = view.closure({
        epoch: trees,
        cwd,
        source: 'a.c',
        forced: [],
        extraInputs: [],
        quoteDirs: [],
        searchDirs: generatedSearch,
        macros: [],
        toolchain: { key: 'none', isInside: () => false },
        sourceDateEpoch: false,
        preprocessed: false,
      });
      if (closure.kind === 'here') assert.equal(closure.reason, 'computed-include');
      else assert.deepEqual(shortcomings(closure, { found, missing: new Set() }, cwd), []);
      rmSync(cwd, { recursive: true });
    }),
    { numRuns: 40 },
  );
  assert.ok(headers > 2 * trees, `${headers} headers in ${trees} trees`);
});
