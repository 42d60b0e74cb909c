import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { admits, parsePrincipals, realmOf } from './principal-list.ts';

const own = 'LAB.TEST';

test('a list of those admitted names its own realm’s by name, others in full', () => {
  const list = parsePrincipals('white', '# the lab\nalice\n\n bob/admin@LAB.TEST \ncarol@FAR.TEST\n');
  const admitted = ['alice@LAB.TEST', 'bob/admin@LAB.TEST', 'carol@FAR.TEST'];
  for (const name of admitted) assert.ok(admits(list, name, own), name);
  for (const name of ['alice@FAR.TEST', 'bob@LAB.TEST', 'carol@LAB.TEST', 'alice', '@LAB.TEST', '']) {
    assert.ok(!admits(list, name, own), name);
  }
  assert.ok(!admits(list, 'alice@LAB.TEST', undefined));
});

test('a list of those refused names everybody of that name', () => {
  const list = parsePrincipals('black', 'alice\nbob@FAR.TEST\n');
  for (const name of ['alice@LAB.TEST', 'alice@FAR.TEST', 'bob@FAR.TEST']) assert.ok(!admits(list, name, own), name);
  for (const name of ['bob@LAB.TEST', 'carol@LAB.TEST']) assert.ok(admits(list, name, own), name);
});

test('an @ that is part of a name begins no realm', () => {
  const list = parsePrincipals('white', 'alice\n');
  assert.ok(!admits(list, String.raw`alice\@LAB.TEST`, own));
  assert.equal(realmOf(String.raw`a\@b@LAB.TEST`), own);
});

test('without a list everybody is admitted, with an empty one nobody', () => {
  const nobody = parsePrincipals('white', '');
  fc.assert(
    fc.property(fc.string(), (name) => {
      assert.ok(admits(undefined, name, own));
      assert.ok(!admits(nobody, name, own));
    }),
  );
});
