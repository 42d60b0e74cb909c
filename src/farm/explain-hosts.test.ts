import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { explainHosts, syntaxOf } from './explain-hosts.ts';

test("a list is shoal's own unless a word of it can only be distcc's", () => {
  assert.equal(syntaxOf('a b:8475/4'), 'shoal');
  assert.equal(syntaxOf('a,lzo'), 'distcc');
  assert.equal(syntaxOf('me@a'), 'distcc');
  assert.equal(syntaxOf('localhost/2 a'), 'distcc');
  assert.equal(syntaxOf('--randomize a'), 'distcc');
  assert.equal(syntaxOf('ssh://me@a grpcs://b'), 'shoal');
  assert.equal(syntaxOf('distcc://a/8,lzo b'), 'shoal');
});

const marked = (text: string): readonly string[] =>
  explainHosts(text).words.flatMap(({ mistakes }) =>
    mistakes.map(({ offset, length }) => text.slice(offset, offset + length)),
  );

test('what is wrong is marked in the text, in both syntaxes', () => {
  assert.deepEqual(marked('ok:8475 box:0 box/x'), [':0', '/x']);
  assert.deepEqual(marked('distcc://a/8,lzo distcc://b,cpp'), [',cpp']);
  assert.deepEqual(marked('distcc://a distcc://localhost/2'), ['localhost/2']);
  assert.deepEqual(marked('distcc://+zeroconf distcc://--randomize distcc://--localslots=2'), ['--localslots=2']);
  assert.deepEqual(marked('a,lzo  b,cpp # c,cpp'), [',cpp']);
  assert.deepEqual(marked('grpc://a b,lzo'), [',lzo']);
  assert.deepEqual(marked('a localhost:3632'), ['localhost:3632']);
});

test('each word has a meaning or a mistake, whatever the text', () => {
  fc.assert(
    fc.property(fc.string(), fc.constantFrom('shoal', 'distcc'), (text, syntax) => {
      for (const word of explainHosts(text, syntax).words) {
        assert.ok(word.meaning !== '' || word.mistakes.length > 0);
        assert.equal(text.slice(word.offset, word.offset + word.text.length), word.text);
      }
    }),
  );
});
