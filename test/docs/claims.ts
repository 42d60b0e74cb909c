// What a page of the docs claims that tests show: `file` “name”, “name”; `file` “name” in a cell of a table.
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../../..', import.meta.url));

export type Claim = { readonly file: string; readonly name: string };

export function claimsIn(cell: string): Claim[] {
  let file = '';
  return [...cell.matchAll(/`([^`]+)`|“([^”]+)”/g)].flatMap(([, path, name]) => {
    if (path !== undefined) file = path;
    return name === undefined || file === '' ? [] : [{ file, name }];
  });
}

/** The cells of the rows of a page's tables, whose head begins with `head`. */
export function rowsOf(page: string, head: string): readonly (readonly string[])[] {
  return readFileSync(join(root, page), 'utf8')
    .split('\n')
    .filter((line) => line.startsWith('|') && !line.startsWith(`| ${head} `) && !/^\| -+ /.test(line))
    .map((line) => line.split(' | ').map((cell) => cell.replace(/^\| | \|$/g, '').trim()));
}

const texts = new Map<string, string>();

function textOf(file: string): string {
  const text = texts.get(file) ?? (existsSync(join(root, file)) ? readFileSync(join(root, file), 'utf8') : '');
  texts.set(file, text);
  return text;
}

/** The titles of a file’s tests, or the names of its cases or attacks, with … for what differs from one to the next. */
export function namesIn(file: string): Set<string> {
  const text = textOf(file);
  const titled =
    /(?:\b(?:test|one|twice|asked|linked|foreign|writing)\(|\bname:)\s*('(?:[^'\\\n]|\\.)+'|"(?:[^"\\\n]|\\.)+"|`[^`\n]+`)/g;
  const titles = [...text.matchAll(titled)].map(([, quoted = '']) => quoted.slice(1, -1).replace(/\$\{[^}]+\}/g, '…'));
  // The matrix has ordinary options as lines of a text.
  const lines = file.startsWith('test/exactness/cases/') ? text.split('\n').map((line) => line.trim()) : [];
  return new Set([...titles, ...lines]);
}
