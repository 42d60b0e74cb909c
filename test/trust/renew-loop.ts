// Renews the identity in its second argument, by the admin in its first, for ever: to be killed (src/trust/renew.test.ts).
import assert from 'node:assert/strict';
import { loadIdentity } from '../../src/trust/identity.ts';
import { renewFor, renewIfDue } from '../../src/trust/renew.ts';

const [adminDirectory = '', directory = ''] = process.argv.slice(2);
const dayMs = 86_400_000;
const admin = loadIdentity(adminDirectory);
assert.ok(admin.kind === 'identity');
for (let at = Date.now() + 21 * dayMs; ; at += 25 * dayMs) {
  const member = loadIdentity(directory);
  assert.ok(member.kind === 'identity');
  const renewal = await renewIfDue(member, (csr) => renewFor(admin, member, csr, at), at);
  assert.equal(renewal.kind, 'renewed', JSON.stringify(renewal));
  process.send?.('renewed');
}
