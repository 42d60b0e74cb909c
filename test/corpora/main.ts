// `npm run corpora [NAME…]`: real projects by the compiler alone and through a farm of two workers in network namespaces.
// A line for every project and compiler, with what differs; the table of docs/exactness.md gets the rows. NAME is a project
// (`zlib`), a compiler (`gcc-12`), or both (`zlib:gcc-12`). SHOAL_CORPORA_KEEP=DIR keeps what the last two builds left.
// Needs root and the packages of .ci/setup, and for the older compilers gcc-11, g++-11 and clang-13.
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { scratchDirectory } from '../../bench/scratch.ts';
import { publish, type Row, type Table } from '../exactness/page.ts';
import { farmFor } from '../farm/farm.ts';
import { compilers, recipes, type CompilerName, type Recipe } from './recipes.ts';
import { buildTwice, stayed, type Compared } from './twice.ts';

const names = process.argv.slice(2);
const compilerNames = Object.keys(compilers) as CompilerName[];

const table: Table = {
  name: 'corpora',
  page: 'docs/exactness.md',
  heading: [
    'project',
    'compiler',
    'compiles',
    'elsewhere',
    'stayed here',
    'files compared',
    'lines compared',
    'differences',
    'errors in logs',
    'alone',
    'farm',
  ],
  keys: recipes.flatMap(({ name }) => compilerNames.map((compiler) => [name, compiler])),
};

function wanted(recipe: string, compiler: string): boolean {
  return names.length === 0 || [recipe, compiler, `${recipe}:${compiler}`].some((name) => names.includes(name));
}

async function measure(recipe: Recipe, compiler: CompilerName, tree: string): Promise<Compared> {
  const ends: (() => Promise<void>)[] = [];
  try {
    const farm = await farmFor({ after: (end) => void ends.push(end) });
    return await buildTwice(farm, tree, recipe, compilers[compiler]);
  } finally {
    for (const end of ends) await end();
  }
}

function rowOf(recipe: string, compiler: string, compared: Compared): Row {
  const { counts, status, outputs, lines, differences, logErrors, homeMs, farmMs } = compared;
  const share = `${((counts.remote / Math.max(1, counts.files)) * 100).toFixed(1).replace('100.0', '100')} %`;
  const reasons = stayed(counts).map(([id, count]) => `${count} × ${id}`);
  const seconds = (ms: number): string => `${(ms / 1000).toFixed(0)} s`;
  const found = status === 0 ? differences.length : `does not build (${differences.length})`;
  const counted = [counts.files, share, reasons.join(', '), outputs, lines, found, logErrors.length].map(String);
  return [recipe, compiler, ...counted, seconds(homeMs), seconds(farmMs)];
}

const scratch = scratchDirectory();
const rows: Row[] = [];
for (const recipe of recipes) {
  const tree = join(scratch, recipe.name);
  for (const compiler of compilerNames.filter((name) => wanted(recipe.name, name))) {
    const compared = await measure(recipe, compiler, tree);
    rows.push(rowOf(recipe.name, compiler, compared));
    publish(table, rows);
    process.stdout.write(`${rows.at(-1)?.join(', ')}\n`);
    for (const line of [...compared.differences, ...compared.logErrors]) process.stdout.write(`  ${line}\n`);
  }
  rmSync(tree, { recursive: true, force: true });
}
