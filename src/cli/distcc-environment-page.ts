// docs/distcc-environment.md, from the table: `node dist/src/cli/distcc-environment-page.js > docs/distcc-environment.md`.
import { distccEnvironment, type Treatment } from '../distcc/environment.ts';

const treatments: Readonly<Record<Treatment, string>> = {
  'as-distcc': 'as in distcc',
  otherwise: 'otherwise',
  nothing: 'nothing',
  misspelt: 'misspelt',
};

/** Markdown as prettier leaves it: columns as wide as their widest cell. */
function table(rows: readonly (readonly string[])[]): string[] {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(' | ')} |`;
  const [head = [], ...body] = rows;
  return [line(head), line(widths.map((width) => '-'.repeat(width))), ...body.map(line)];
}

export function distccEnvironmentPage(): string {
  const rows = Object.entries(distccEnvironment).map(([name, { readers, meaning, treatment, here }]) => [
    `\`${name}\``,
    readers.join(', '),
    meaning,
    treatments[treatment],
    here,
  ]);
  return `${[
    "# distcc's environment variables",
    '',
    'Each variable that the programs of distcc 3.4 read or their manual pages name, and what becomes of it here. Where a page',
    "and the program disagree, the program is right: the page's name is taken for the same, and `shoal hosts --explain` and",
    "the build's summary point it out. Made from `src/distcc/environment.ts`.",
    '',
    ...table([['variable', 'read by', 'for', 'here', 'how'], ...rows]),
  ].join('\n')}\n`;
}

if (process.argv[1]?.endsWith('distcc-environment-page.js') === true) process.stdout.write(distccEnvironmentPage());
