// Whole projects, with the build files that they come with: through the farm they leave and say what the compiler alone
// leaves and says, no compile stays here, and no log has a complaint. `npm run corpora` has more of them.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import test from 'node:test';
import { farmFor } from '../farm/farm.ts';
import { compilers, recipes, type CompilerName } from './recipes.ts';
import { buildTwice, stayed } from './twice.ts';

const cases: readonly { readonly project: string; readonly compiler: CompilerName }[] = [
  { project: 'linux-tinyconfig', compiler: 'gcc-12' },
  { project: 'zlib', compiler: 'gcc-12' },
  { project: 'zlib', compiler: 'clang-14' },
  { project: 'xz', compiler: 'gcc-12' },
  { project: 'json-c', compiler: 'clang-14' },
  { project: 'json-c-launcher', compiler: 'gcc-12' },
  { project: 'pixman', compiler: 'gcc-12' },
];

for (const { project, compiler } of cases) {
  test(`${project} by ${compiler} is the same through the farm`, async (t) => {
    const recipe = recipes.find(({ name }) => name === project);
    assert.ok(recipe !== undefined);
    const farm = await farmFor(t);
    const tree = join(farm.directory, project);
    const { counts, status, differences, logErrors, ...facts } = await buildTwice(
      farm,
      tree,
      recipe,
      compilers[compiler],
    );
    assert.deepEqual(differences, []);
    assert.equal(status, 0);
    assert.deepEqual(logErrors, []);
    assert.deepEqual(stayed(counts), []);
    assert.equal(counts.remote, counts.files);
    t.diagnostic(JSON.stringify({ ...counts, ...facts }));
  });
}
