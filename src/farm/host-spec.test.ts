import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { parseHosts } from './host-spec.ts';

test('every form of host is understood', () => {
  const parsed = parseHosts(
    ' 10.0.0.2:8475/4 box grpcs://farm.example grpc://[::1]:99/2 \n unix:/run/w.sock ssh://me@far:22/3 ',
  );
  assert.equal(parsed.kind, 'hosts');
  assert.deepEqual(parsed.kind === 'hosts' && parsed.hosts, [
    { name: '10.0.0.2:8475', address: { kind: 'worker', host: '10.0.0.2', port: 8475 }, slots: 4 },
    { name: 'box', address: { kind: 'worker', host: 'box', port: 8475 }, slots: undefined },
    { name: 'farm.example', address: { kind: 'tls', host: 'farm.example', port: 443 }, slots: undefined },
    { name: '[::1]:99', address: { kind: 'tcp', host: '::1', port: 99 }, slots: 2 },
    { name: 'unix:/run/w.sock', address: { kind: 'unix', path: '/run/w.sock' }, slots: undefined },
    { name: 'ssh://me@far:22', address: { kind: 'ssh', host: 'far', port: 22, user: 'me' }, slots: 3 },
  ]);
});

test('a word that is no host is named, with what is wrong about it', () => {
  for (const word of [
    'box:0',
    'box:70000',
    'box/0',
    'box/x',
    'a b/c/d',
    'unix:relative',
    'distcc://old/4',
    'x:y:z',
    '-oProxyCommand=x',
    'ssh://-oX',
    'ssh://-l@box',
  ]) {
    const parsed = parseHosts(`good ${word}`);
    assert.equal(parsed.kind, 'invalid', word);
    assert.ok(parsed.kind === 'invalid' && parsed.why.length > 10);
  }
});

test('no text makes the parser throw', () => {
  fc.assert(fc.property(fc.string(), (text) => ['hosts', 'invalid'].includes(parseHosts(text).kind)));
});
