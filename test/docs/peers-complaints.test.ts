// docs/internals/peers-complaints.md claims what tests show: every row must name some, and each must exist.
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../../..', import.meta.url));
const page = readFileSync(join(root, 'docs/internals/peers-complaints.md'), 'utf8');

type Claim = { readonly file: string; readonly name: string };

/** `file` “name”, “name”; `file` “name” */
function claimsIn(cell: string): Claim[] {
  let file = '';
  return [...cell.matchAll(/`([^`]+)`|“([^”]+)”/g)].flatMap(([, path, name]) => {
    if (path !== undefined) file = path;
    return name === undefined || file === '' ? [] : [{ file, name }];
  });
}

const rows = page
  .split('\n')
  .filter((line) => line.startsWith('|') && !/^\| (complaint|-+) /.test(line))
  .map((line) => line.split(' | ').map((cell) => cell.replace(/^\| | \|$/g, '').trim()));

const texts = new Map<string, string>();

function textOf(file: string): string {
  const text = texts.get(file) ?? (existsSync(join(root, file)) ? readFileSync(join(root, file), 'utf8') : '');
  texts.set(file, text);
  return text;
}

/** The titles of a file's tests, or the names of its cases, with … for what differs from one to the next. */
function namesIn(file: string): Set<string> {
  const text = textOf(file);
  const titled = /(?:\b(?:test|one|twice)\(|\bname:)\s*('(?:[^'\\\n]|\\.)+'|"(?:[^"\\\n]|\\.)+"|`[^`\n]+`)/g;
  const titles = [...text.matchAll(titled)].map(([, quoted = '']) => quoted.slice(1, -1).replace(/\$\{[^}]+\}/g, '…'));
  // The matrix has ordinary options as lines of a text.
  const lines = file.startsWith('test/exactness/cases/') ? text.split('\n').map((line) => line.trim()) : [];
  return new Set([...titles, ...lines]);
}

test('every complaint on the page names tests, and each of them exists', () => {
  assert.ok(rows.length > 40, `${rows.length} rows`);
  for (const [complaint = '', , shown = ''] of rows) {
    const claims = claimsIn(shown);
    assert.ok(claims.length > 0, `no test for: ${complaint}`);
    for (const { file, name } of claims) {
      assert.match(file, /^(?:src|test)\/.*(?:\.(?:test|slow)|cases\/[a-z]+|chaos\/deeds)\.ts$/);
      assert.ok(namesIn(file).has(name), `${file} has no test “${name}”`);
    }
  }
});
