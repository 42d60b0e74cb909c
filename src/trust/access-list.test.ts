import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { accessList, AccessListError, loopbackNetworks, privateNetworks } from './access-list.ts';

const v4 = (bits: number): string => [24, 16, 8, 0].map((shift) => (bits >>> shift) & 255).join('.');
const v6 = (groups: readonly number[]): string => groups.map((group) => group.toString(16)).join(':');
const groups = fc.array(fc.nat(0xffff), { minLength: 8, maxLength: 8 });
const asBits = (groups: readonly number[]): bigint => groups.reduce((all, group) => (all << 16n) | BigInt(group), 0n);

test('an IPv4 address is in a network if their first bits are the same', () => {
  fc.assert(
    fc.property(fc.nat(0xffffffff), fc.nat(32), fc.nat(0xffffffff), (network, bits, other) => {
      const near = (network ^ (other >>> Math.max(0, bits - 2))) >>> 0;
      const list = accessList([`${v4(network)}/${bits}`]);
      for (const address of [other, near, network]) {
        const same = bits === 0 || address >>> (32 - bits) === network >>> (32 - bits);
        assert.equal(list.allows(v4(address)), same, v4(address));
        assert.equal(list.allows(`::ffff:${v4(address)}`), same, `mapped ${v4(address)}`);
      }
    }),
  );
});

test('so is an IPv6 address', () => {
  fc.assert(
    fc.property(groups, fc.nat(128), groups, fc.nat(127), (network, bits, other, flipped) => {
      // An IPv4 address in IPv6 is another matter.
      fc.pre([network, other].every((each) => each.slice(0, 5).some((group) => group !== 0)));
      const near = [...network];
      near[flipped >> 4] = (near[flipped >> 4] ?? 0) ^ (1 << (flipped & 15));
      const list = accessList([`${v6(network)}/${bits}`]);
      for (const address of [other, near, network]) {
        const same = asBits(address) >> BigInt(128 - bits) === asBits(network) >> BigInt(128 - bits);
        assert.equal(list.allows(v6(address)), same, v6(address));
      }
    }),
  );
});

test('an address alone is itself only', () => {
  const list = accessList(['10.0.0.2', 'fd00::2']);
  for (const allowed of ['10.0.0.2', '::ffff:10.0.0.2', 'fd00::2', 'fd00:0:0:0:0:0:0:2'])
    assert.ok(list.allows(allowed));
  for (const other of ['10.0.0.3', 'fd00::3', '::', '0.0.0.0', '', 'localhost']) assert.ok(!list.allows(other), other);
});

test('private and loopback networks', () => {
  const own = accessList(privateNetworks);
  for (const address of ['10.1.2.3', '172.31.0.1', '192.168.7.7', '127.0.0.1', '::1', 'fe80::1%eth0', 'fd12::1']) {
    assert.ok(own.allows(address), address);
  }
  for (const address of ['8.8.8.8', '172.32.0.1', '2001:db8::1']) assert.ok(!own.allows(address), address);
  const loopback = accessList(loopbackNetworks);
  assert.ok(loopback.allows('127.9.9.9') && loopback.allows('::1') && !loopback.allows('10.0.0.1'));
});

test('an empty list allows nobody', () => {
  assert.ok(!accessList([]).allows('127.0.0.1'));
});

test('what is neither an address nor a network is said so', () => {
  for (const wrong of ['', 'box', '10.0.0.0/33', 'fd00::/129', '10.0.0.0/', '10.0.0', '10.0.0.0/-1', '1.2.3.4/8/8']) {
    assert.throws(() => accessList([wrong]), AccessListError, wrong);
  }
});
