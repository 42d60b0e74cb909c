import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { distccHostIn, gnuHost } from './distcc-zeroconf.ts';

test('what a server says of itself is a host with its address, port and jobs', () => {
  const txt = { txtvers: '1', jobs: '7' };
  const host = distccHostIn({ addresses: ['fe80::1', 'fd00::1', '10.0.0.2'], port: 3632, txt });
  assert.deepEqual(host, {
    name: '10.0.0.2:3632',
    transport: { kind: 'tcp', host: '10.0.0.2', port: 3632 },
    limit: 7,
    protocol: 1,
    auth: undefined,
    down: false,
  });
  assert.equal(distccHostIn({ addresses: ['fd00::1'], port: 1, txt })?.name, '[fd00::1]:1');
});

test('a system’s name as stock distcc was configured with it', () => {
  const names = ['x86_64-linux-gnu', 'aarch64-linux-gnu', 'x86_64-alpine-linux-musl'].map(gnuHost);
  assert.deepEqual(names, ['x86_64-pc-linux-gnu', 'aarch64-unknown-linux-gnu', 'x86_64-alpine-linux-musl']);
});

test('nonsense is no host, or one with the usual limit', () => {
  assert.equal(distccHostIn({ addresses: ['fe80::1'], port: 3632, txt: {} }), undefined);
  assert.equal(distccHostIn({ addresses: ['127.0.0.1', '::1'], port: 3632, txt: {} }), undefined);
  assert.equal(distccHostIn({ addresses: ['box'], port: 3632, txt: {} }), undefined);
  for (const port of [0, 65_536, NaN, 1.5]) {
    assert.equal(distccHostIn({ addresses: ['10.0.0.2'], port, txt: {} }), undefined);
  }
  fc.assert(
    fc.property(fc.dictionary(fc.constantFrom('jobs', 'cpus'), fc.anything()), (txt) => {
      const limit = distccHostIn({ addresses: ['10.0.0.2'], port: 1, txt })?.limit ?? 0;
      assert.ok(Number.isInteger(limit) && limit >= 1 && limit <= 200);
    }),
  );
});
