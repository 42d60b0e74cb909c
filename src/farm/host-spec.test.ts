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
    'distcc://localhost/4',
    'distcc://old/0',
    'distcc://old/4,cpp',
    'distcc://old,zip',
    'distcc://old:x',
    'distcc://-oX@old',
    'distcc://me@-oX',
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

test('hosts of distcc are what follows their scheme, as distcc writes it', () => {
  const distcc = (word: string): unknown => {
    const parsed = parseHosts(`distcc://${word}`);
    assert.ok(parsed.kind === 'hosts', JSON.stringify(parsed));
    return parsed.hosts.map(({ name, address, slots }) => {
      assert.ok(address.kind === 'distcc');
      const { transport, protocol, auth } = address.host;
      return { name, transport, protocol, auth, slots };
    })[0];
  };
  const tcp = (host: string, port = 3632) => ({ kind: 'tcp', host, port });
  const plain = { protocol: 1, auth: undefined, slots: 4 };
  assert.deepEqual(distcc('old'), { ...plain, name: 'distcc://old', transport: tcp('old') });
  assert.deepEqual(distcc('10.0.0.3:1234/8,lzo'), {
    ...plain,
    name: 'distcc://10.0.0.3:1234',
    transport: tcp('10.0.0.3', 1234),
    protocol: 2,
    slots: 8,
  });
  assert.deepEqual(distcc('[::1]:99,lzo,cpp,auth=name'), {
    name: 'distcc://[::1]:99',
    transport: tcp('::1', 99),
    protocol: 3,
    auth: { principal: 'name' },
    slots: 4,
  });
  const ssh = { kind: 'ssh', user: 'me', host: 'far', command: '/opt/distccd' };
  assert.deepEqual(distcc('me@far/2:/opt/distccd,cpp,lzo'), {
    ...plain,
    name: 'distcc://me@far:/opt/distccd',
    transport: ssh,
    protocol: 3,
    slots: 2,
  });
  assert.deepEqual(distcc('@far'), {
    ...plain,
    name: 'distcc://@far',
    transport: { ...ssh, user: undefined, command: undefined },
  });
  assert.equal(distcc('old,down'), undefined);
});

test('words of distcc’s about all of its hosts', () => {
  const said = (text: string): unknown => {
    const parsed = parseHosts(text);
    return parsed.kind === 'hosts' ? [parsed.hosts.length, parsed.zeroconf, parsed.randomize] : parsed.why;
  };
  assert.deepEqual(said('distcc://a box'), [2, false, false]);
  assert.deepEqual(said('distcc://+zeroconf distcc://a'), [1, true, false]);
  assert.deepEqual(said('distcc://a distcc://--randomize'), [1, false, true]);
  assert.match(String(said('distcc://--localslots=2')), /no host/);
});

test('no text makes the parser throw', () => {
  fc.assert(
    fc.property(fc.string(), fc.boolean(), (text, distcc) =>
      ['hosts', 'invalid'].includes(parseHosts(distcc ? `distcc://${text}` : text).kind),
    ),
  );
});
