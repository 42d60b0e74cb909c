import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import fc from 'fast-check';
import { isAside } from './aside.ts';
import { loadFarmMemory, newFarmMemory, saveFarmMemory } from './memory.ts';
import { rememberWork } from './work.ts';

const directory = mkdtempSync(join(tmpdir(), 'shoal-memory-'));
after(() => rmSync(directory, { recursive: true, force: true }));
const path = join(directory, 'farm.json');

const savedHost = (saved: Record<string, unknown>): object => saved['home'] as object;

/** A memory of two hosts, one of them set aside, and two compiles, with something of its file replaced. */
function loadedWith(damage: (saved: Record<string, unknown>) => void) {
  const memory = newFarmMemory();
  const by = memory.host('good');
  memory.host('liar');
  memory.asides.set('liar', { why: 'its object differs', leftMs: 24 * 3_600_000, atMs: performance.now() });
  for (const key of ['a.o', 'b.o']) {
    rememberWork(memory.works, { key, kind: 'c', size: 1 }, { compileMs: 100, by, peakKb: 5000 });
  }
  saveFarmMemory(memory, path);
  const saved = JSON.parse(readFileSync(path, 'utf8')) as Record<string, unknown>;
  damage(saved);
  writeFileSync(path, JSON.stringify(saved));
  return loadFarmMemory(path);
}

test('an entry that is damaged costs that entry alone', () => {
  const { works, asides, hosts } = loadedWith((saved) => {
    (saved['hosts'] as unknown[][])[0] = ['good', { ...savedHost(saved), pace: [1e15, 1] }];
    (saved['works'] as unknown[][])[0] = ['a.o', null, 5000, 'good'];
    (saved['kinds'] as unknown[])[0] = null;
    saved['home'] = 7;
  });
  assert.notEqual(isAside(asides, 'liar'), undefined);
  assert.deepEqual([...works.past.keys()], ['b.o']);
  assert.deepEqual([...hosts.keys()], ['liar']);
});

test('whatever stands in the place of a part, a host that was set aside stays so unless it is that part', () => {
  const parts = fc.constantFrom('hosts', 'works', 'kinds', 'home', 'savedAtMs');
  fc.assert(
    fc.property(parts, fc.jsonValue(), (part, value) => {
      const { asides } = loadedWith((saved) => (saved[part] = part === 'savedAtMs' ? JSON.stringify(value) : value));
      assert.notEqual(isAside(asides, 'liar'), undefined);
    }),
    { numRuns: 200 },
  );
});
