import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { environmentFor, environmentObstacle, knownVariables, searchFromEnvironment } from './environment.ts';

// Events of gcc's line table, spelled like locale categories.
const lineTable = /^LC_(?:ENTER|LEAVE|RENAME|MODULE)/;

test('the table is sorted', () => {
  assert.deepEqual(knownVariables, knownVariables.toSorted());
});

test("every variable that gcc's programs are known to read has a row", () => {
  const cc1 = execFileSync('gcc', ['-print-prog-name=cc1'], { encoding: 'utf8' }).trim();
  const driver = execFileSync('sh', ['-c', 'readlink -f "$(command -v gcc)"'], { encoding: 'utf8' }).trim();
  const known = new Set(knownVariables);
  for (const program of [driver, cc1]) {
    const text = readFileSync(program).toString('latin1');
    // The families of gcc's manual, as whole strings of the binary.
    const names =
      text.match(/(?<=\0)(?:(?:GCC|LC|DEPENDENCIES|SUNPRO|TERM)_[A-Z_]{3,40}|[A-Z]*_INCLUDE_PATH)(?=\0)/g) ?? [];
    const unknown = [...new Set(names)].filter((name) => !known.has(name) && !lineTable.test(name));
    assert.deepEqual(unknown, [], program);
  }
});

test('what a compiler reads goes along, anything else stays out of the action', () => {
  const env = new Map([
    ['LANG', 'C.UTF-8'],
    ['HOSTNAME', 'box'],
    ['LIBRARY_PATH', '/lib'],
  ]);
  const found = environmentFor(env);
  assert.deepEqual(found, { kind: 'variables', variables: [{ name: 'LANG', value: 'C.UTF-8' }] });
});

test('a variable that moves the compiler or its outputs keeps the job here', () => {
  assert.equal(environmentObstacle(new Map([['GCC_EXEC_PREFIX', '/x']])), 'GCC_EXEC_PREFIX');
  assert.equal(environmentFor(new Map([['DEPENDENCIES_OUTPUT', 'x.d']])).kind, 'here');
});

test('include paths of the environment are split as gcc splits them', () => {
  const env = new Map([
    ['CPATH', '/a::/b'],
    ['C_INCLUDE_PATH', '/c'],
    ['CPLUS_INCLUDE_PATH', '/d'],
  ]);
  assert.deepEqual(searchFromEnvironment(env, 'c'), { angle: ['/a', '.', '/b'], system: ['/c'] });
  assert.deepEqual(searchFromEnvironment(env, 'c++').system, ['/d']);
});
