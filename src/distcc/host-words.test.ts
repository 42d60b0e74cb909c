import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { DistccHost } from './host-list.ts';
import { distccWordOf, parseDistccHosts, parseDistccWord, readDistccWords } from './host-words.ts';

const plain = { limit: 4, protocol: 1, auth: undefined, down: false } as const;
const tcp = (host: string, port = 3632): DistccHost['transport'] => ({ kind: 'tcp', host, port });
const ssh = (user: string | undefined, host: string, command?: string): DistccHost['transport'] => ({
  kind: 'ssh',
  user,
  host,
  command,
});

const right: readonly (readonly [string, DistccHost])[] = [
  ['a', { name: 'a', transport: tcp('a'), ...plain }],
  ['a:4200/3', { name: 'a:4200', transport: tcp('a', 4200), ...plain, limit: 3 }],
  ['a/3:4200', { name: 'a:4200', transport: tcp('a', 4200), ...plain, limit: 3 }],
  ['a/3:4200/5', { name: 'a:4200', transport: tcp('a', 4200), ...plain, limit: 5 }],
  ['a,lzo', { name: 'a', transport: tcp('a'), ...plain, protocol: 2 }],
  ['a/9,cpp,lzo', { name: 'a', transport: tcp('a'), ...plain, limit: 9, protocol: 3 }],
  ['a,auth', { name: 'a', transport: tcp('a'), ...plain, auth: { principal: undefined } }],
  [
    'a,auth=b,lzo,down',
    { name: 'a', transport: tcp('a'), limit: 4, protocol: 2, auth: { principal: 'b' }, down: true },
  ],
  ['[fe80::1]:33/2,lzo', { name: '[fe80::1]:33', transport: tcp('fe80::1', 33), ...plain, limit: 2, protocol: 2 }],
  ['@far', { name: '@far', transport: ssh(undefined, 'far'), ...plain }],
  [
    'me@far/2:/opt/distccd,lzo',
    { name: 'me@far:/opt/distccd', transport: ssh('me', 'far', '/opt/distccd'), ...plain, limit: 2, protocol: 2 },
  ],
  ['me@[::1]:d', { name: 'me@[::1]:d', transport: ssh('me', '::1', 'd'), ...plain }],
];

test('every form of host is understood', () => {
  for (const [word, host] of right) {
    const { meaning, mistakes } = parseDistccWord(word);
    assert.deepEqual(meaning, { kind: 'host', host }, word);
    assert.deepEqual(mistakes, [], word);
  }
});

test('a whole list: comments, local slots, order', () => {
  const parsed = parseDistccHosts(
    '--randomize localhost/3 a # me@no\n b,lzo\n--localslots=5\t--localslots_cpp=6 +zeroconf localhost',
  );
  assert.equal(parsed.kind, 'hosts');
  if (parsed.kind !== 'hosts') return;
  const { hosts, ...rest } = parsed.list;
  assert.deepEqual(
    hosts.map(({ name }) => name),
    ['a', 'b'],
  );
  assert.deepEqual(rest, { localhost: 5, localSlots: 5, localCppSlots: 6, randomize: true, zeroconf: true });
});

const wrong: readonly (readonly [list: string, marked: string, says: RegExp])[] = [
  ['a b,cpp c', ',cpp', /needs `,lzo`/],
  ['a,foo', ',foo', /no option/],
  ['a,', ',', /missing/],
  ['a,,lzo', ',', /missing/],
  ['a,auth=', ',auth=', /no name/],
  ['ok a/', '/', /missing/],
  ['a/x,lzo', '/x', /no number of jobs/],
  ['a/0', '/0', /no number/],
  ['a/-1', '/-1', /no number/],
  ['a:x', ':x', /no port/],
  ['a:3x', ':3x', /no port/],
  ['a:', ':', /missing/],
  ['a:70000', ':70000', /no port/],
  ['b ::1', '::1', /brackets/],
  ['fe80::1', 'fe80::1', /brackets/],
  ['[::1', '[::1', /closing/],
  ['[]', '[]', /IPv6/],
  ['/3', '/', /name is missing/],
  ['u@', 'u@', /name is missing/],
  ['--foo', '--foo', /no option/],
  ['--localslots', '--localslots', /needs a number/],
  ['--localslots=x', '=x', /no number of slots/],
  ['+foo', '+foo', /nothing that distcc knows/],
  ['distcc://a/4', 'distcc://a/4', /shoal’s own/],
  ['localhost/0', '/0', /no number/],
  ['-oProxyCommand=x@a', '-oProxyCommand=x', /no user/],
  ['me@-oProxyCommand=x', '-oProxyCommand=x', /no host/],
];

test('a mistake has its place, what it is, and a remedy', () => {
  for (const [list, marked, says] of wrong) {
    const parsed = parseDistccHosts(list);
    assert.equal(parsed.kind, 'invalid', list);
    if (parsed.kind !== 'invalid') continue;
    const { offset, length, what, remedy } = parsed.mistake;
    if (list !== 'u@') assert.equal(list.slice(offset, offset + length), marked, list);
    assert.match(what, says, list);
    assert.notEqual(remedy, '');
  }
});

test('what distcc reads otherwise than it looks keeps its meaning, with a warning', () => {
  const warnings: readonly (readonly [string, number, RegExp])[] = [
    ['a,lzo/3', 4, /not read/],
    ['a/5x', 5, /not read/],
    ['a:3/4/5', 4, /not read/],
    ['me@far:/opt/distccd/3', 4, /part of the command/],
    ['localhost,lzo', 4, /`localhost` is not a network host/],
    ['localhost:3', 4, /`localhost` is not a network host/],
  ];
  for (const [word, limit, says] of warnings) {
    const { meaning, mistakes } = parseDistccWord(word);
    assert.equal(meaning.kind === 'host' && meaning.host.limit, limit, word);
    assert.equal(mistakes[0]?.weight, 'warning', word);
    assert.match(mistakes[0]?.what ?? '', says, word);
  }
});

const text = fc.string({
  unit: fc.constantFrom(
    'a',
    'b',
    '1',
    '0',
    ':',
    '/',
    ',',
    '@',
    '[',
    ']',
    '#',
    '\n',
    ' ',
    '-',
    'lzo',
    ',cpp',
    '--localslots=',
    'localhost',
  ),
});

test('any text is read, and every mistake lies inside its word', () => {
  fc.assert(
    fc.property(text, (list) => {
      for (const word of readDistccWords(list)) {
        assert.equal(list.slice(word.offset, word.offset + word.text.length), word.text);
        for (const { offset, length } of word.mistakes) {
          assert.ok(offset >= word.offset && length >= 1);
          assert.ok(offset + length <= word.offset + word.text.length + 1);
        }
        assert.equal(
          word.meaning.kind === 'wrong',
          word.mistakes.some(({ weight }) => weight === 'error'),
        );
      }
    }),
    { numRuns: 2000 },
  );
});

test('a host is the same by either order of port and limit', () => {
  const numbers = fc.tuple(fc.integer({ min: 1, max: 65_535 }), fc.integer({ min: 1, max: 99 }));
  const options = fc.constantFrom('', ',lzo', ',lzo,cpp', ',auth=x', ',down');
  fc.assert(
    fc.property(numbers, options, ([port, limit], option) => {
      const one = parseDistccWord(`h:${port}/${limit}${option}`);
      assert.deepEqual(parseDistccWord(`h/${limit}:${port}${option}`).meaning, one.meaning);
      assert.equal(one.meaning.kind === 'host' && one.meaning.host.limit, limit);
    }),
  );
});

test('a host written again as a word is the same host', () => {
  fc.assert(
    fc.property(text, (list) => {
      for (const { meaning } of readDistccWords(list)) {
        if (meaning.kind !== 'host') continue;
        const again = parseDistccWord(distccWordOf(meaning.host)).meaning;
        assert.deepEqual(again.kind === 'host' && { ...again.host, name: '' }, { ...meaning.host, name: '' });
      }
    }),
    { numRuns: 2000 },
  );
});
