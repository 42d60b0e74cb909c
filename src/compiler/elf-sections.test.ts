import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { differingSection } from './elf-sections.ts';

const directory = mkdtempSync(join(tmpdir(), 'shoal-elf-'));
test.after(() => rmSync(directory, { recursive: true, force: true }));

function compiled(text: string): Buffer {
  const [source, object] = [join(directory, 'x.c'), join(directory, 'x.o')];
  writeFileSync(source, text);
  assert.equal(spawnSync('gcc', ['-c', source, '-o', object]).status, 0);
  return readFileSync(object);
}

test('the section in which two objects differ is named', () => {
  const one = compiled('int x = 1; int f(void) { return 1; }\n');
  assert.equal(differingSection(one, compiled('int x = 1; int f(void) { return 2; }\n')), '.text');
  assert.equal(differingSection(one, compiled('int x = 3; int f(void) { return 1; }\n')), '.data');
  const headers = Buffer.from(one);
  headers[9] = 1;
  assert.equal(differingSection(one, headers), 'the headers');
  assert.equal(differingSection(one, Buffer.from('no object')), 'the file');
});

test('no damage to an object makes the comparison fail', () => {
  const one = compiled('int x = 1; int f(void) { return 1; }\n');
  const damage = fc.array(fc.tuple(fc.nat(one.length - 1), fc.nat(255)), { minLength: 1, maxLength: 20 });
  fc.assert(
    fc.property(damage, fc.nat(one.length), (changes, length) => {
      const other = Buffer.from(one);
      for (const [at, value] of changes) other[at] = value;
      return differingSection(one, other.subarray(0, length)).length >= 0;
    }),
  );
});
