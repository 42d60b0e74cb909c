import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { DistccError } from './errors.ts';
import type { SentFile } from './request.ts';
import { pathBelowRoot, sentTree } from './sent-tree.ts';

const file = (path: string): SentFile => ({ kind: 'file', path, content: Buffer.from(path) });
const link = (path: string, target: string): SentFile => ({ kind: 'link', path, target });

test('absolute paths, spelled anyhow, become paths below a root', () => {
  assert.equal(pathBelowRoot('/home/u//p/./x.c'), 'home/u/p/x.c');
  assert.equal(pathBelowRoot('/'), '');
});

test('a path that leaves the root, or is none, is refused', () => {
  const long = `/${'x'.repeat(256)}`;
  for (const path of ['', 'x.c', './x.c', '/a/../b', '/..', '/dev/null', '/proc/self', long, `/${'d/'.repeat(2500)}`]) {
    assert.throws(() => pathBelowRoot(path), { code: 'PROTOCOL' }, path);
  }
});

test('links stay as they are; those that lead to their own path mean the server’s', () => {
  const tree = sentTree([
    file('/p/x.c'),
    link('/usr/include', '../../../../../../../../usr/include'),
    link('/p/up', '../../../etc/passwd'),
    link('/p/abs', '/q'),
  ]);
  assert.deepEqual([...tree.files.keys()], ['p/x.c']);
  assert.deepEqual(
    [...tree.links],
    [
      ['p/up', '../../../etc/passwd'],
      ['p/abs', '/q'],
    ],
  );
  assert.deepEqual([...tree.left], ['usr/include']);
});

test('names in each other’s way are refused', () => {
  const clashes = [
    [file('/a'), file('/a')],
    [file('/a'), file('/a/b')],
    [link('/a', 'b'), file('/a/b')],
    [file('/a/b/c'), link('/a', '/x')],
    [link('/a', ''), file('/b')],
    [file('/'), file('/b')],
  ];
  for (const sent of clashes) assert.throws(() => sentTree(sent), { code: 'PROTOCOL' }, JSON.stringify(sent));
});

test('whatever is sent, what comes of it is inside the root and can be laid out', () => {
  const name = fc.oneof(fc.constantFrom('..', '.', '', 'a', 'b', 'dev', 'usr'), fc.string({ maxLength: 5 }));
  const path = fc.array(name, { maxLength: 5 }).map((names) => `/${names.join('/')}`);
  const sent = fc.oneof(
    path.map(file),
    fc.tuple(path, path).map(([at, to]) => link(at, to)),
  );
  fc.assert(
    fc.property(fc.array(sent, { maxLength: 6 }), (sent) => {
      try {
        const { files, links } = sentTree(sent);
        const paths = [...files.keys(), ...links.keys()];
        for (const path of paths) {
          assert.ok(
            path.split('/').every((name) => name !== '' && name !== '.' && name !== '..'),
            path,
          );
          assert.ok(!paths.some((other) => other.startsWith(`${path}/`)), path);
        }
      } catch (error) {
        assert.ok(error instanceof DistccError, String(error));
      }
    }),
    { numRuns: 1000 },
  );
});
