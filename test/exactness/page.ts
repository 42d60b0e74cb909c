// A table of measurements on a page of the documentation, between two comments: the rows of one run take their places, and
// those that the run did not make stay.
import { readFileSync, writeFileSync } from 'node:fs';

export type Row = readonly string[];

export type Table = {
  /** The page has `<!-- NAME -->` before the table and `<!-- end of NAME -->` after it. */
  readonly name: string;
  readonly page: string;
  readonly heading: Row;
  /** The first cells of every row that there may be, in order; they tell rows apart. */
  readonly keys: readonly Row[];
};

export function publish({ name, page, heading, keys }: Table, rows: readonly Row[]): void {
  const [begin, end] = [`<!-- ${name} -->`, `<!-- end of ${name} -->`];
  const [before = '', rest = ''] = readFileSync(page, 'utf8').split(begin);
  const [table = '', after] = rest.split(end);
  if (after === undefined) throw new Error(`${page} has no place for the ${name}`);
  const known = [...rows, ...rowsOf(table)];
  const chosen = keys.map((key) => known.find((row) => key.every((cell, at) => row[at] === cell)));
  const all = [heading, heading.map(() => '---'), ...chosen.filter((row) => row !== undefined)];
  const widths = heading.map((_, at) => Math.max(...all.map((line) => line[at]?.length ?? 0)));
  const padded = (cell: string, at: number): string => cell.padEnd(widths[at] ?? 0, cell === '---' ? '-' : ' ');
  const made = all.map((line) => `| ${line.map(padded).join(' | ')} |`).join('\n');
  writeFileSync(page, `${before}${begin}\n\n${made}\n\n${end}${after}`);
}

function rowsOf(table: string): Row[] {
  const lines = table.trim().split('\n').slice(2);
  return lines.map((line) =>
    line
      .split('|')
      .slice(1, -1)
      .map((cell) => cell.trim()),
  );
}
