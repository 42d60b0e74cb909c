// What a build starts is loaded once a build, and counts in its CPU: the daemon is one file, and neither it nor the command
// line nor a worker's keeper brings along the libraries that only servers and joining need (@grpc/grpc-js alone: 25 ms).
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { packageRoot } from '../../src/native.ts';

const bundles = join(packageRoot(), 'dist/shoal');

/** The bundle's files and packages that are loaded with one of its files. */
function loadedWith(name: string): { readonly files: ReadonlySet<string>; readonly packages: ReadonlySet<string> } {
  const files = new Set<string>();
  const packages = new Set<string>();
  const visit = (file: string): void => {
    if (files.has(file)) return;
    files.add(file);
    const text = readFileSync(join(bundles, file), 'utf8');
    for (const [, id = ''] of text.matchAll(/^(?:(?:import|export) [^;"]*?from|import) "([^"]+)"/gm)) {
      if (id.startsWith('./')) visit(id.slice(2));
      else if (!id.startsWith('node:')) packages.add(id);
    }
  };
  visit(`${name}.js`);
  return { files, packages };
}

for (const name of ['main', 'run', 'daemon', 'worker']) {
  test(`${name}.js loads no package`, () => {
    assert.deepEqual([...loadedWith(name).packages], []);
  });
}

test('the daemon is one file', () => {
  assert.deepEqual([...loadedWith('daemon').files], ['daemon.js']);
});

test("the worker's front loads its gRPC server from the library", () => {
  assert.deepEqual([...loadedWith('front').packages], ['@grpc/grpc-js']);
});
