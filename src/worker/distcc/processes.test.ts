import assert from 'node:assert/strict';
import test from 'node:test';
import { processesNow, processIn } from './processes.ts';

test('a name with blanks and parentheses does not move the fields', () => {
  const stat = `12 (a) D (b)) S 1 ${Array.from({ length: 19 }, () => '0').join(' ')} 77 0`;
  assert.deepEqual(processIn(stat), { name: '(a) D (b))', state: 'S', pages: 77 });
});

test('this process is one of them', () => {
  const { largestKb, largest } = processesNow();
  assert.ok(largestKb > 1000);
  assert.match(largest, /^\(.*\)$/);
});
