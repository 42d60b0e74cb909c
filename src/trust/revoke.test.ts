import assert from 'node:assert/strict';
import { chmodSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { loadIdentity, type Identity } from './identity.ts';
import { makeFarm } from './make-farm.ts';
import { newSerial, type Member } from './member.ts';
import { knownCertificates, learnMembers, membersOf, noteSeen, recordMember } from './member-files.ts';
import { keepRevocations, loadRevocations, revocationsStamp } from './revocation-files.ts';
import { isRevoked, RevocationsError } from './revocations.ts';
import { revokeMember } from './revoke.ts';
import { copyDirectory } from '../../test/trust/copy.ts';

const scratch = mkdtempSync(join(tmpdir(), 'revoke-'));
after(() => rmSync(scratch, { recursive: true, force: true }));
const nowMs = Date.now();
const dayMs = 86_400_000;

async function newFarm(): Promise<Identity & { readonly directory: string }> {
  const directory = join(mkdtempSync(join(scratch, 'farm-')), 'identity');
  const farm = await makeFarm(directory, 'admin-1', nowMs);
  assert.equal(farm.kind, 'identity');
  return { ...farm, directory };
}

function memberCalled(name: string, serial = newSerial()): Member {
  return { name, role: 'client', serial, notBefore: nowMs, notAfter: nowMs + 30 * dayMs };
}

test('a member that is revoked is out, with every certificate of that name, and the box notices', async () => {
  const farm = await newFarm();
  const [eva, evaAgain, bob] = [memberCalled('eva'), memberCalled('EVA'), memberCalled('bob')];
  for (const member of [eva, evaAgain, bob]) recordMember(farm.directory, member);
  const before = revocationsStamp(farm);
  const revoked = revokeMember(farm, 'eva', nowMs);
  assert.equal(revoked.kind === 'revoked' && revoked.members.length, 2);
  assert.notEqual(revocationsStamp(farm), before);
  const list = loadRevocations(farm, nowMs);
  assert.deepEqual(
    [eva, evaAgain, bob].map(({ serial }) => isRevoked(list, serial)),
    [true, true, false],
  );
  assert.equal(revokeMember(farm, 'bob', nowMs).kind, 'revoked');
  assert.equal(loadRevocations(farm, nowMs).number, 2);
  assert.equal(readdirSync(join(farm.directory, 'revocations')).length, 1, 'the older list is gone');
});

test('who cannot be revoked, and why', async () => {
  const farm = await newFarm();
  assert.match(JSON.stringify(revokeMember(farm, 'nobody', nowMs)), /no member is called nobody/);
  assert.match(JSON.stringify(revokeMember(farm, 'admin-1', nowMs)), /this box itself/);
  const { caKeyPath: _key, ...client } = farm;
  assert.match(JSON.stringify(revokeMember(client, 'admin-1', nowMs)), /is no admin.*admin's box/);
  recordMember(farm.directory, memberCalled('eva'));
  revokeMember(farm, 'eva', nowMs);
  assert.match(JSON.stringify(revokeMember(farm, 'eva', nowMs)), /was revoked before/);
});

test('a member that only another admin knows is put out by its serial number', async () => {
  const farm = await newFarm();
  const [stranger, eva] = [newSerial(), memberCalled('eva')];
  recordMember(farm.directory, eva);
  assert.equal(revokeMember(farm, stranger.toLowerCase(), nowMs).kind, 'revoked');
  assert.equal(revokeMember(farm, newSerial(eva.serial), nowMs).kind, 'revoked');
  const list = loadRevocations(farm, nowMs);
  assert.deepEqual([isRevoked(list, stranger), isRevoked(list, eva.serial)], [true, true]);
  assert.match(JSON.stringify(revokeMember(farm, farm.serial, nowMs)), /this box itself/);
});

test('two boxes that revoke at once hold both when they have heard of each other', async () => {
  const one = await newFarm();
  const two = { ...one, directory: join(mkdtempSync(join(scratch, 'two-')), 'identity') };
  const [eva, bob] = [memberCalled('eva'), memberCalled('bob')];
  for (const member of [eva, bob]) recordMember(one.directory, member);
  copyDirectory(one.directory, two.directory);
  revokeMember(one, 'eva', nowMs);
  revokeMember(two, 'bob', nowMs);
  const atOne = keepRevocations(one, loadRevocations(two, nowMs), nowMs);
  const atTwo = keepRevocations(two, loadRevocations(one, nowMs), nowMs);
  assert.equal(atOne.stamp, atTwo.stamp);
  assert.equal(loadRevocations(one, nowMs).stamp, atOne.stamp);
  assert.deepEqual([isRevoked(atOne, eva.serial), isRevoked(atOne, bob.serial)], [true, true]);
});

test('a list of revocations that cannot be trusted is an error, not an empty list', async () => {
  const farm = await newFarm();
  recordMember(farm.directory, memberCalled('eva'));
  revokeMember(farm, 'eva', nowMs);
  const [name = ''] = readdirSync(join(farm.directory, 'revocations'));
  const path = join(farm.directory, 'revocations', name);
  chmodSync(path, 0o606);
  assert.throws(() => loadRevocations(farm, nowMs), RevocationsError);
  chmodSync(path, 0o600);
  writeFileSync(path, 'shoal revocations 1\n');
  assert.throws(() => loadRevocations(farm, nowMs), RevocationsError);
});

test('a half-written list, left by a crash, changes nothing', async () => {
  const farm = await newFarm();
  recordMember(farm.directory, memberCalled('eva'));
  revokeMember(farm, 'eva', nowMs);
  const before = loadRevocations(farm, nowMs).stamp;
  const [name = ''] = readdirSync(join(farm.directory, 'revocations'));
  writeFileSync(join(farm.directory, 'revocations', `${name}.tmp-0123`), 'shoal rev', { mode: 0o600 });
  assert.equal(loadRevocations(farm, nowMs).stamp, before);
});

test('members are told once each, by their last certificate, and expired ones are forgotten', async () => {
  const farm = await newFarm();
  const first = memberCalled('eva');
  const renewed = { ...memberCalled('eva', newSerial(first.serial)), notAfter: nowMs + 50 * dayMs };
  recordMember(farm.directory, { ...first, lastSeen: nowMs });
  assert.equal(
    learnMembers(farm.directory, [first, renewed, { ...memberCalled('old'), notAfter: nowMs - 1 }], nowMs),
    1,
  );
  const members = membersOf(knownCertificates(farm.directory, nowMs));
  assert.deepEqual(
    members.map(({ name }) => name),
    ['admin-1', 'eva'],
  );
  assert.deepEqual(members[1], { ...renewed, lastSeen: nowMs });
  noteSeen(farm.directory, renewed.serial, nowMs + dayMs);
  noteSeen(farm.directory, renewed.serial, nowMs + dayMs + 1000);
  noteSeen(farm.directory, newSerial(), nowMs);
  assert.equal(membersOf(knownCertificates(farm.directory, nowMs))[1]?.lastSeen, nowMs + dayMs);
  writeFileSync(join(farm.directory, 'members', `${newSerial()}.json`), '{"name": 3}', { mode: 0o600 });
  assert.equal(membersOf(knownCertificates(farm.directory, nowMs)).length, 2);
  assert.equal(membersOf(knownCertificates(farm.directory, nowMs + 40 * dayMs)).length, 1);
  assert.equal(readdirSync(join(farm.directory, 'members')).length, 2);
  assert.equal(loadIdentity(farm.directory).kind, 'identity');
});
