import assert from 'node:assert/strict';
import test from 'node:test';
import { takeDistccFlags } from './distcc-flags.ts';

const taken = (line: string) => takeDistccFlags(line === '' ? [] : line.split(' '));

/** What is wrong with them. */
const wrong = (line: string): string => {
  const answer = taken(line);
  return typeof answer === 'string' ? answer : JSON.stringify(answer);
};

test('distcc’s flags are taken out of a worker’s', () => {
  assert.deepEqual(taken('--slots 4'), { rest: ['--slots', '4'], distcc: undefined });
  const here = { listen: [{ host: '127.0.0.1', port: 3632 }], allow: [] };
  for (const line of ['--distcc --slots 4', '--slots 4 --distcc', '--distcc 127.0.0.1 --slots 4']) {
    assert.deepEqual(taken(line), { rest: ['--slots', '4'], distcc: here }, line);
  }
  const open = taken('--distcc=10.0.0.2:4000 --allow 10.0.0.0/8 --allow=fd00::/8');
  assert.deepEqual(open, {
    rest: [],
    distcc: { listen: [{ host: '10.0.0.2', port: 4000 }], allow: ['10.0.0.0/8', 'fd00::/8'] },
  });
});

test('without an address, whoever may connect finds it', () => {
  assert.deepEqual(taken('--distcc --allow 10.0.0.0/8'), {
    rest: [],
    distcc: { listen: [{ host: '0.0.0.0', port: 3632 }], allow: ['10.0.0.0/8'] },
  });
});

test('what is wrong with them is said', () => {
  assert.match(wrong('--distcc 0.0.0.0:3632'), /--allow ADDRESS/);
  assert.match(wrong('--distcc box:x'), /not ADDR:PORT/);
  assert.match(wrong('--distcc --allow box'), /neither an address nor a network/);
  assert.match(wrong('--distcc --allow'), /needs an address/);
  assert.match(wrong('--allow 10.0.0.0/8'), /is for --distcc/);
});
