import assert from 'node:assert/strict';
import { fork } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { CertificateError, issueLeaf, makeRequest, requestSubject } from './certificates.ts';
import { loadIdentity, type Identity } from './identity.ts';
import { placeIdentity, prepareIdentity } from './identity-files.ts';
import { makeFarm } from './make-farm.ts';
import { memberId, newSerial } from './member.ts';
import { knownCertificates } from './member-files.ts';
import type { Role } from './peer.ts';
import { renewFor, renewIfDue } from './renew.ts';
import type { RenewAnswer } from './member-messages.ts';
import { recordMember } from './member-files.ts';
import { readCaKey, revokeMember } from './revoke.ts';
import { acceptSync, syncMessage } from './sync.ts';
import { copyDirectory } from '../../test/trust/copy.ts';

const scratch = mkdtempSync(join(tmpdir(), 'renew-'));
after(() => rmSync(scratch, { recursive: true, force: true }));
const nowMs = Date.now();
const dayMs = 86_400_000;
const due = nowMs + 21 * dayMs;

type Kept = Identity & { readonly directory: string };

function identityIn(directory: string): Kept {
  const identity = loadIdentity(directory);
  assert.equal(identity.kind, 'identity', JSON.stringify(identity));
  return { ...identity, directory };
}

async function newFarm(): Promise<Kept> {
  const directory = join(mkdtempSync(join(scratch, 'farm-')), 'identity');
  await makeFarm(directory, 'admin-1', nowMs);
  return identityIn(directory);
}

async function newMember(admin: Kept, name: string, role: Role): Promise<Kept> {
  const directory = join(mkdtempSync(join(scratch, 'member-')), 'identity');
  const { keyPem, csrPem } = await makeRequest(name);
  const caKey = readCaKey(admin);
  assert.ok(typeof caKey !== 'string');
  const { caPem } = admin;
  const certificatePem = await issueLeaf({
    authority: { caPem, caKey },
    csrPem,
    name,
    role,
    serial: newSerial(),
    nowMs,
  });
  assert.equal(placeIdentity(prepareIdentity(directory, { caPem, keyPem, certificatePem }), directory), true);
  const member = identityIn(directory);
  recordMember(admin.directory, member);
  return member;
}

const never = (): Promise<RenewAnswer> => assert.fail('nobody should have been asked');

test('a certificate is renewed when ten of its thirty days are left, with a new key', async () => {
  const admin = await newFarm();
  const member = await newMember(admin, 'eva', 'worker');
  assert.deepEqual(await renewIfDue(member, never, nowMs + 19 * dayMs), { kind: 'not-due' });
  const renewal = await renewIfDue(member, (csr) => renewFor(admin, member, csr, due), due);
  assert.equal(renewal.kind, 'renewed', JSON.stringify(renewal));
  const renewed = identityIn(member.directory);
  assert.deepEqual([renewed.name, renewed.role], ['eva', 'worker']);
  assert.equal(memberId(renewed.serial), memberId(member.serial));
  assert.notEqual(renewed.serial, member.serial);
  assert.notEqual(renewed.keyPem, member.keyPem);
  assert.ok(renewed.notAfter > due + 29 * dayMs);
  assert.equal(knownCertificates(admin.directory, due).filter(({ name }) => name === 'eva').length, 2);
});

test("an admin's own box renews itself, even when it was off for too long", async () => {
  const admin = await newFarm();
  for (const at of [due, nowMs + 90 * dayMs]) {
    const renewal = await renewIfDue(identityIn(admin.directory), never, at);
    assert.equal(renewal.kind, 'renewed', JSON.stringify(renewal));
    assert.ok(identityIn(admin.directory).notAfter > at + 29 * dayMs);
  }
});

test('what is not renewed, and why', async () => {
  const admin = await newFarm();
  const member = await newMember(admin, 'eva', 'client');
  const { csrPem } = await makeRequest('eva', 'client');
  const why = async (...args: Parameters<typeof renewFor>): Promise<string> => {
    const answer = await renewFor(...args);
    return answer.kind === 'refused' ? answer.why : 'renewed';
  };
  assert.match(await why(admin, member, csrPem, nowMs), /not due/);
  assert.match(await why(member, member, csrPem, due), /no admin/);
  for (const [name, role] of [
    ['eva', 'admin'],
    ['eva', 'worker'],
    ['bob', 'client'],
    ['eva', undefined],
  ] as const) {
    const other = await makeRequest(name, role);
    assert.match(await why(admin, member, other.csrPem, due), /same name and role: eva, client/);
  }
  assert.match(await why(admin, member, 'nonsense', due), /cannot be read/);
  const body = csrPem.split('\n')[2] ?? '';
  assert.match(
    await why(admin, member, csrPem.replace(body, body.toLowerCase()), due),
    /cannot be read|does not prove/,
  );
  assert.equal(await why(admin, member, csrPem, due), 'renewed');
  assert.match(await why(admin, member, csrPem, due), /within the last hour/);
  assert.equal(revokeMember(admin, 'eva', due).kind, 'revoked');
  assert.match(await why(admin, member, csrPem, due + dayMs), /eva was revoked/);
});

test('an answer that does not fit the request is not kept', async () => {
  const admin = await newFarm();
  const member = await newMember(admin, 'eva', 'worker');
  const other = await newMember(admin, 'bob', 'worker');
  const foreign = await newFarm();
  const foreignEva = await newMember(foreign, 'eva', 'worker');
  const before = readFileSync(join(member.directory, 'member.pem'));
  const otherKey = await makeRequest('eva', 'worker');
  const answers: [() => Promise<RenewAnswer>, RegExp][] = [
    [() => Promise.resolve({ kind: 'renewed', certificatePem: other.certificatePem }), /it is for bob/],
    [() => Promise.resolve({ kind: 'renewed', certificatePem: foreignEva.certificatePem }), /not the farm's/],
    [() => Promise.resolve({ kind: 'renewed', certificatePem: member.certificatePem }), /ends no later/],
    [() => Promise.resolve({ kind: 'renewed', certificatePem: 'x' }), /./],
    [() => renewFor(admin, member, otherKey.csrPem, due), /another key/],
    [() => Promise.resolve({ kind: 'refused', why: 'eva was revoked' }), /eva was revoked/],
    [() => Promise.reject(new Error('no admin answers')), /no admin answers/],
  ];
  for (const [answer, expected] of answers) {
    const renewal = await renewIfDue(member, answer, due);
    assert.match(renewal.kind === 'failed' ? renewal.why : renewal.kind, expected);
    assert.deepEqual(readFileSync(join(member.directory, 'member.pem')), before);
  }
});

const loop = fileURLToPath(new URL('../../test/trust/renew-loop.js', import.meta.url));

test('a renewal that is killed at any moment leaves the old pair or the new one', async () => {
  const admin = await newFarm();
  const member = await newMember(admin, 'eva', 'worker');
  for (let round = 0; round < 6; round += 1) {
    const start = mkdtempSync(join(scratch, 'round-'));
    copyDirectory(member.directory, join(start, 'identity'));
    copyDirectory(admin.directory, join(start, 'admin'));
    const child = fork(loop, [join(start, 'admin'), join(start, 'identity')]);
    const ended = new Promise((resolve) => child.once('exit', resolve));
    await Promise.race([ended, new Promise((resolve) => child.once('message', resolve))]);
    assert.equal(child.exitCode, null, 'it renews until it is killed');
    // Some microseconds further each time: into the next request, its signature, the write or the rename.
    for (let turn = 0; turn < round * 3; turn += 1) await new Promise((resolve) => setImmediate(resolve));
    child.kill('SIGKILL');
    await ended;
    assert.equal(identityIn(join(start, 'identity')).name, 'eva');
  }
});

test('what a killed renewal left is no identity, and goes with the next one', async () => {
  const admin = await newFarm();
  const { directory } = admin;
  const [old, young] = ['member.pem.tmp-0123456789ab', 'member.pem.tmp-ba9876543210'].map((name) =>
    join(directory, name),
  );
  for (const path of [old, young]) writeFileSync(path ?? '', admin.keyPem.slice(0, 99), { mode: 0o600 });
  utimesSync(old ?? '', new Date(nowMs - dayMs), new Date(nowMs - dayMs));
  assert.equal(identityIn(directory).serial, admin.serial);
  assert.equal((await renewIfDue(admin, never, due)).kind, 'renewed');
  assert.deepEqual([existsSync(old ?? ''), existsSync(young ?? '')], [false, true], 'a young one may be in use');
});

test('any bytes in place of a request are refused with a CertificateError', async () => {
  const { csrPem } = await makeRequest('eva', 'client');
  const body = Buffer.from(csrPem.replaceAll(/-----.*-----|\n/g, ''), 'base64');
  const changed = fc.tuple(fc.nat(body.length - 1), fc.integer({ min: 1, max: 255 })).map(([at, by]) => {
    const bytes = Buffer.from(body);
    bytes[at] = (bytes[at] ?? 0) ^ by;
    return bytes;
  });
  const cut = fc.nat(body.length - 1).map((length) => body.subarray(0, length));
  const any = fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes));
  await fc.assert(
    fc.asyncProperty(fc.oneof(changed, cut, any), async (bytes) => {
      const pem = `-----BEGIN CERTIFICATE REQUEST-----\n${bytes.toString('base64')}\n-----END CERTIFICATE REQUEST-----\n`;
      try {
        // What still proves its key says what it said.
        assert.deepEqual(await requestSubject(pem), { name: 'eva', role: 'client' });
      } catch (error) {
        assert.ok(error instanceof CertificateError, String(error));
      }
    }),
    { numRuns: 300 },
  );
});

test('boxes tell each other of revocations, addresses and, between admins, members', async () => {
  const admin = await newFarm();
  const member = await newMember(admin, 'eva', 'worker');
  const client = await newMember(admin, 'bob', 'client');
  revokeMember(admin, 'bob', nowMs);
  const told = syncMessage(admin, { role: 'worker', stamp: '0' }, nowMs);
  assert.equal(told.members, '');
  assert.equal(acceptSync(member, { role: 'admin' }, told, nowMs), told.stamp);
  assert.equal(syncMessage(admin, { role: 'worker', stamp: told.stamp }, nowMs).revocations.length, 0);
  assert.equal(syncMessage(member, { role: 'client', stamp: undefined }, nowMs).stamp, told.stamp);

  const addresses = { ...told, addresses: ['10.0.0.1:8475', 'x', '[fe80::1]:8475', 'a b:1', 'h:99999'] };
  acceptSync(member, { role: 'client' }, addresses, nowMs);
  assert.deepEqual(syncMessage(member, { role: 'client', stamp: '' }, nowMs).addresses, []);
  acceptSync(member, { role: 'admin' }, addresses, nowMs);
  assert.deepEqual(syncMessage(member, { role: 'client', stamp: '' }, nowMs).addresses, [
    '10.0.0.1:8475',
    '[fe80::1]:8475',
  ]);

  const secondPath = join(mkdtempSync(join(scratch, 'second-')), 'identity');
  copyDirectory(admin.directory, secondPath);
  rmSync(join(secondPath, 'members'), { recursive: true });
  const second = identityIn(secondPath);
  acceptSync(second, { role: 'worker' }, syncMessage(admin, { role: 'admin', stamp: '' }, nowMs), nowMs);
  assert.equal(knownCertificates(secondPath, nowMs).length, 0, 'only an admin tells of members');
  acceptSync(second, { role: 'admin' }, syncMessage(admin, { role: 'admin', stamp: '' }, nowMs), nowMs);
  assert.deepEqual(
    knownCertificates(secondPath, nowMs)
      .map(({ name }) => name)
      .toSorted(),
    ['admin-1', 'bob', 'eva'],
  );
  assert.equal(client.role, 'client');
});
