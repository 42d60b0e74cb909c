import assert from 'node:assert/strict';
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { farmAddresses, keepAddresses, keepMet, reachedBy } from './addresses.ts';

const scratch = mkdtempSync(join(tmpdir(), 'shoal-addresses-'));
after(() => rmSync(scratch, { recursive: true }));

function directory(): string {
  const made = mkdtempSync(join(scratch, 'identity-'));
  chmodSync(made, 0o700);
  return made;
}

test('a box that was met by its name is one host, also once the farm tells its address', () => {
  const identity = directory();
  const one = { written: 'one:8475', reached: '10.0.0.1:8475' };
  keepMet(identity, one);
  assert.deepEqual(farmAddresses(identity), ['one:8475']);
  keepAddresses(identity, ['one:8475', '10.0.0.2:8475', '10.0.0.1:8475']);
  keepMet(identity, one);
  assert.deepEqual(farmAddresses(identity), ['10.0.0.1:8475', '10.0.0.2:8475']);
  keepMet(identity, one);
  assert.deepEqual(farmAddresses(identity), ['10.0.0.1:8475', '10.0.0.2:8475']);
});

test('a name behind which nobody of the farm says to be stays: a forwarded port, an address that changes', () => {
  const identity = directory();
  keepAddresses(identity, ['192.168.1.2:8475']);
  keepMet(identity, { written: 'farm.example:9000', reached: '203.0.113.9:9000' });
  keepMet(identity, { written: '10.0.0.7:8475', reached: '10.0.0.7:8475' });
  keepMet(identity, { written: 'gone:1', reached: undefined });
  assert.deepEqual(farmAddresses(identity), ['gone:1', '10.0.0.7:8475', 'farm.example:9000', '192.168.1.2:8475']);
});

test('the other end of a socket is written as an address is', () => {
  assert.equal(reachedBy({ remoteAddress: '::ffff:10.0.0.1', remotePort: 1 }), '10.0.0.1:1');
  assert.equal(reachedBy({ remoteAddress: 'fd00::1', remotePort: 2 }), '[fd00::1]:2');
  assert.equal(reachedBy({ remoteAddress: undefined, remotePort: undefined }), undefined);
});
