import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { connect as connectPlain, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { connect, createServer, type Server, type TLSSocket, type TlsOptions } from 'node:tls';
import { farmAddresses } from './addresses.ts';
import { issueLeaf, makeRequest } from './certificates.ts';
import { newCode } from './code-files.ts';
import { readMessage } from './framed-socket.ts';
import { loadIdentity, type Identity } from './identity.ts';
import { joinFarm, meetFarm, type Joined, type JoinWish, type NotJoined } from './join.ts';
import { keepJoined, placementOf } from './join-files.ts';
import { makeFarm } from './make-farm.ts';
import { newSerial } from './member.ts';
import { knownCertificates, membersOf } from './member-files.ts';
import { decodePairingCode, encodePairingCode, type PairingCode } from './pairing-code.ts';
import { decodeJoinAnswer, encodeJoinRequest, joinProtocol, type JoinAnswer } from './pairing-messages.ts';
import { openPairing, type PairingDependencies, type PairingEvent } from './pairing-server.ts';
import type { Role } from './peer.ts';
import { renewFor, renewIfDue } from './renew.ts';
import { loadRevocations } from './revocation-files.ts';
import { isRevoked } from './revocations.ts';
import { readCaKey, revokeMember } from './revoke.ts';

const scratch = mkdtempSync(join(tmpdir(), 'pairing-'));
const servers: Server[] = [];
after(() => {
  for (const server of servers) server.close();
  rmSync(scratch, { recursive: true, force: true });
});
const startMs = Date.now();
const dayMs = 86_400_000;

type Kept = Identity & { readonly directory: string };

const freshDirectory = (): string => join(mkdtempSync(join(scratch, 'box-')), 'identity');

function identityIn(directory: string): Kept {
  const identity = loadIdentity(directory);
  assert.equal(identity.kind, 'identity', JSON.stringify(identity));
  return { ...identity, directory };
}

async function newFarm(): Promise<Kept> {
  const directory = freshDirectory();
  await makeFarm(directory, 'admin-1', startMs);
  return identityIn(directory);
}

async function listen(options: TlsOptions, serve: (socket: TLSSocket) => void): Promise<number> {
  const server = createServer({ ALPNProtocols: [joinProtocol], minVersion: 'TLSv1.3', ...options }, serve);
  servers.push(server);
  server.on('tlsClientError', () => {});
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

type AdminBox = { readonly port: number; readonly events: PairingEvent[]; readonly clock: { nowMs: number } };

async function serveAdmin(admin: Kept, more: Partial<PairingDependencies> = {}): Promise<AdminBox> {
  const events: PairingEvent[] = [];
  const clock = { nowMs: startMs };
  const pairing = openPairing(admin.directory, {
    now: () => clock.nowMs,
    addresses: () => ['10.0.0.1:8475'],
    log: (event) => void events.push(event),
    ...more,
  });
  const cert = admin.certificatePem + admin.caPem;
  // As the worker's listener: it asks for a certificate, and accepts that one who joins has none.
  const options = { key: admin.keyPem, cert, ca: admin.caPem, requestCert: true, rejectUnauthorized: false };
  const port = await listen(options, (socket) => void pairing.serve(socket));
  return { port, events, clock };
}

function codeFor(admin: Kept, role: Role, nowMs = startMs): PairingCode {
  const decoded = decodePairingCode(newCode(admin, role, nowMs).text);
  assert.ok(decoded.kind === 'code');
  return decoded.code;
}

const bounds = { nowMs: startMs, patienceMs: 5000 };

function wish(port: number, code: PairingCode, name = 'eva', more: Partial<JoinWish> = {}): JoinWish {
  return { address: { host: '127.0.0.1', port }, code, name, exactName: false, hostname: 'eva.lan', ...more };
}

function outcome(joined: Joined | NotJoined): string {
  return joined.kind === 'joined' ? `${joined.member.name} ${joined.member.role}` : JSON.stringify(joined);
}

/** A connection without a certificate, from an address of this box. */
async function stranger(port: number, localAddress = '127.0.0.1'): Promise<TLSSocket> {
  const socket = connectPlain({ host: '127.0.0.1', port, localAddress });
  const secure = connect({ socket, ALPNProtocols: [joinProtocol], rejectUnauthorized: false });
  secure.on('error', () => {});
  await once(secure, 'secureConnect');
  return secure;
}

/** Sends what a stranger likes, from an address it likes. */
async function tryFrom(localAddress: string, port: number, request: Buffer): Promise<JoinAnswer> {
  const socket = await stranger(port, localAddress);
  socket.write(request);
  const answer = decodeJoinAnswer(await readMessage(socket, { maxBytes: 1 << 20, patienceMs: 5000 }));
  socket.destroy();
  return answer;
}

async function guess(secret: Buffer = Buffer.from('guess!')): Promise<Buffer> {
  const { csrPem } = await makeRequest('mallory');
  return encodeJoinRequest({ secret, name: 'mallory', exactName: false, csrPem, hostname: 'm' });
}

const reasonOf = (answer: JoinAnswer): string => (answer.kind === 'refused' ? answer.reason : answer.kind);

test('a code admits one member, with the role that it was made for', async () => {
  const admin = await newFarm();
  const { port, events } = await serveAdmin(admin);
  for (const role of ['client', 'worker', 'admin'] as const) {
    const code = codeFor(admin, role);
    const met = await meetFarm({ host: '127.0.0.1', port }, code, bounds);
    assert.ok(met.kind === 'met', JSON.stringify(met));
    assert.deepEqual(
      [met.farm, met.fingerprint, met.admin.name],
      ['shoal farm of admin-1', admin.fingerprint, 'admin-1'],
    );
    const joined = await joinFarm(wish(port, code, `box-${role}`), bounds);
    assert.equal(outcome(joined), `box-${role} ${role}`);
    assert.match(outcome(await joinFarm(wish(port, code, 'again'), bounds)), /"used-code"/);
    assert.equal(joined.kind === 'joined' && joined.caKeyPem !== undefined, role === 'admin');
  }
  assert.deepEqual(
    membersOf(knownCertificates(admin.directory, startMs)).map(({ name, role }) => `${name} ${role}`),
    ['admin-1 admin', 'box-admin admin', 'box-client client', 'box-worker worker'],
  );
  assert.deepEqual(
    events.map((event) => (event.kind === 'admitted' ? `${event.name} ${event.hostname}` : event.reason)),
    ['client', 'worker', 'admin'].flatMap((role) => [`box-${role} eva.lan`, 'used-code']),
  );
});

test('what a member received is kept in private files, with where the farm is and whom it has put out', async () => {
  const admin = await newFarm();
  const { port } = await serveAdmin(admin);
  const first = await joinFarm(wish(port, codeFor(admin, 'client'), 'bob'), bounds);
  assert.equal(revokeMember(admin, 'bob', startMs).kind, 'revoked');
  const joined = await joinFarm(wish(port, codeFor(admin, 'worker')), bounds);
  assert.ok(joined.kind === 'joined' && first.kind === 'joined');
  const directory = freshDirectory();
  const { identity, old } = keepJoined(directory, joined, '127.0.0.1:8475', startMs);
  assert.equal(old, undefined);
  assert.ok(identity.kind === 'identity');
  assert.deepEqual([identity.name, identity.role, identity.fingerprint], ['eva', 'worker', admin.fingerprint]);
  assert.deepEqual(farmAddresses(directory), ['127.0.0.1:8475', '10.0.0.1:8475']);
  assert.equal(isRevoked(loadRevocations(identity, startMs), first.member.serial), true);
  assert.equal(identity.caKeyPath, undefined);
  for (const entry of readdirSync(directory, { recursive: true, withFileTypes: true })) {
    const { mode } = statSync(join(entry.parentPath, entry.name));
    assert.equal(mode & 0o777, entry.isDirectory() ? 0o700 : 0o600, entry.name);
  }
  const again = await joinFarm(wish(port, codeFor(admin, 'worker')), bounds);
  assert.ok(again.kind === 'joined');
  const kept = keepJoined(directory, again, '127.0.0.1:8475', startMs);
  assert.equal(loadIdentity(kept.old ?? '').kind, 'identity', 'what was there before is kept aside');
  assert.equal(identityIn(directory).name, 'eva-2');
});

test('nothing is sent to who is in between, whatever certificates it shows', async () => {
  const admin = await newFarm();
  const other = await newFarm();
  const code = codeFor(admin, 'client');
  const caKey = readCaKey(admin);
  const otherKey = readCaKey(other);
  assert.ok(typeof caKey !== 'string' && typeof otherKey !== 'string');
  const leaf = async (caPem: string, key: typeof caKey, role: Role, at = startMs) => {
    const { keyPem, csrPem } = await makeRequest('x');
    const authority = { caPem, caKey: key };
    const certificatePem = await issueLeaf({ authority, csrPem, name: 'x', role, serial: newSerial(), nowMs: at });
    return { key: keyPem, certificatePem };
  };
  const forged = await leaf(admin.caPem, otherKey, 'admin');
  const worker = await leaf(admin.caPem, caKey, 'worker');
  const client = await leaf(admin.caPem, caKey, 'client');
  const expired = await leaf(admin.caPem, caKey, 'admin', startMs - 40 * dayMs);
  const early = await leaf(admin.caPem, caKey, 'admin', startMs + dayMs);
  const foreign = { key: other.keyPem, certificatePem: other.certificatePem };
  const cases: readonly [string, { key: string; cert: string }, RegExp][] = [
    ['another farm', { key: foreign.key, cert: foreign.certificatePem + other.caPem }, /interfering.*not of the farm/],
    ['no authority shown', { key: admin.keyPem, cert: admin.certificatePem }, /interfering/],
    [
      'the farm’s authority beside a leaf of another',
      { key: foreign.key, cert: foreign.certificatePem + admin.caPem },
      /interfering/,
    ],
    [
      'a leaf in the farm’s name, signed by another key',
      { key: forged.key, cert: forged.certificatePem + admin.caPem },
      /interfering/,
    ],
    ['a worker of the farm', { key: worker.key, cert: worker.certificatePem + admin.caPem }, /no-admin.*x is a worker/],
    ['a client of the farm', { key: client.key, cert: client.certificatePem + admin.caPem }, /no-admin/],
    ['an expired admin', { key: expired.key, cert: expired.certificatePem + admin.caPem }, /dates.*valid from/],
    ['an admin of tomorrow', { key: early.key, cert: early.certificatePem + admin.caPem }, /dates/],
  ];
  for (const [who, options, expected] of cases) {
    let heard = 0;
    const ends: Promise<unknown>[] = [];
    const port = await listen(options, (socket) => {
      socket.on('error', () => {});
      socket.on('data', (bytes) => (heard += bytes.length));
      ends.push(new Promise((resolve) => socket.once('close', resolve)));
    });
    assert.match(outcome(await joinFarm(wish(port, code), bounds)), expected, who);
    await Promise.all(ends);
    assert.equal(heard, 0, who);
  }
  const { port } = await serveAdmin(admin);
  assert.equal(outcome(await joinFarm(wish(port, code), bounds)), 'eva client', 'the code is still good');
});

test('what is no admin’s box says so: no TLS 1.3, another protocol, nobody there', async () => {
  const admin = await newFarm();
  const code = codeFor(admin, 'client');
  const cert = { key: admin.keyPem, cert: admin.certificatePem + admin.caPem };
  const old = await listen({ ...cert, minVersion: 'TLSv1.2', maxVersion: 'TLSv1.2' }, () => {});
  assert.match(outcome(await joinFarm(wish(old, code), bounds)), /"no-farm"/);
  const { ALPNProtocols: _none, ...plain } = { ALPNProtocols: [], ...cert };
  const server = createServer(plain);
  servers.push(server);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  assert.match(outcome(await joinFarm(wish(port, code), bounds)), /"no-farm".*admits nobody/);
  server.close();
  await once(server, 'close');
  assert.match(outcome(await joinFarm(wish(port, code), bounds)), /"unreachable".*ECONNREFUSED/);
});

test('codes that are guessed, expired, for another farm or without their box admit nobody', async () => {
  const admin = await newFarm();
  const box = await serveAdmin(admin);
  const code = codeFor(admin, 'client');
  const guessed = { ...code, secret: Buffer.from('guess!') };
  assert.match(outcome(await joinFarm(wish(box.port, guessed), bounds)), /"wrong-code".*"retryAfterMs":1000/);
  box.clock.nowMs += 601_000;
  assert.match(outcome(await joinFarm(wish(box.port, code), bounds)), /"expired-code"/);
  const upgraded = { ...codeFor(admin, 'client', box.clock.nowMs), role: 'admin' } as const;
  assert.match(
    outcome(await joinFarm(wish(box.port, upgraded), bounds)),
    /broken.*for the role client, the code for admin/,
  );
  assert.deepEqual(
    membersOf(knownCertificates(admin.directory, startMs)).filter(({ role }) => role === 'admin').length,
    1,
  );
  const texts = JSON.stringify(box.events);
  assert.equal(texts.includes(code.secret.toString('hex')) || texts.includes(encodePairingCode(code)), false);
});

test('wrong tries make one address wait twice as long each time, and hold nobody else up', async () => {
  const admin = await newFarm();
  const box = await serveAdmin(admin);
  const code = codeFor(admin, 'client');
  const wrong = await guess();
  const right = await guess(code.secret);
  for (const waitMs of [1000, 2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000]) {
    assert.deepEqual(await tryFrom('127.0.0.2', box.port, wrong), {
      kind: 'refused',
      reason: 'wrong-code',
      why: 'no such code waits here',
      retryAfterMs: waitMs,
    });
    assert.equal(
      reasonOf(await tryFrom('127.0.0.2', box.port, right)),
      'slow-down',
      'not even the right one is looked at',
    );
    box.clock.nowMs += waitMs;
  }
  assert.equal(reasonOf(await tryFrom('127.0.0.2', box.port, wrong)), 'wrong-code');
  assert.equal(outcome(await joinFarm(wish(box.port, code), bounds)), 'eva client');
});

test('only very many wrong tries end a code', async () => {
  const admin = await newFarm();
  const box = await serveAdmin(admin, { maxWrongTries: 5 });
  const code = codeFor(admin, 'client');
  const wrong = await guess();
  for (let attempt = 1; attempt <= 4; attempt += 1) {
    assert.equal(reasonOf(await tryFrom(`127.0.1.${attempt}`, box.port, wrong)), 'wrong-code');
  }
  const second = codeFor(admin, 'client');
  assert.equal(outcome(await joinFarm(wish(box.port, second), bounds)), 'eva client');
  assert.equal(reasonOf(await tryFrom('127.0.1.9', box.port, wrong)), 'wrong-code');
  assert.match(outcome(await joinFarm(wish(box.port, code), bounds)), /"dead-code"/);
});

test('two who join at once with one code: one of them is admitted', async () => {
  const admin = await newFarm();
  const { port } = await serveAdmin(admin);
  const code = codeFor(admin, 'worker');
  const both = await Promise.all(['a', 'b', 'c'].map((name) => joinFarm(wish(port, code, name), bounds)));
  assert.equal(both.filter(({ kind }) => kind === 'joined').length, 1, both.map(outcome).join());
  assert.equal(both.filter((one) => one.kind === 'refused' && one.reason === 'used-code').length, 2);
  assert.equal(membersOf(knownCertificates(admin.directory, startMs)).length, 2);
});

test('two who join at once under one name get two names; one that insists is refused and keeps its code', async () => {
  const admin = await newFarm();
  const { port } = await serveAdmin(admin);
  const both = await Promise.all([1, 2].map(() => joinFarm(wish(port, codeFor(admin, 'client')), bounds)));
  assert.deepEqual(both.map(outcome).toSorted(), ['eva client', 'eva-2 client']);
  const code = codeFor(admin, 'client');
  const insists = { exactName: true };
  assert.match(outcome(await joinFarm(wish(port, code, 'EVA', insists), bounds)), /"name-taken".*already/);
  assert.equal(revokeMember(admin, 'eva', startMs).kind, 'revoked');
  assert.equal(outcome(await joinFarm(wish(port, code, 'EVA', insists), bounds)), 'EVA client');
});

test('the second admin carries on when the first one is lost', async () => {
  const first = await newFarm();
  const { port } = await serveAdmin(first);
  const bob = await joinFarm(wish(port, codeFor(first, 'client'), 'bob'), bounds);
  const joined = await joinFarm(wish(port, codeFor(first, 'admin'), 'admin-2'), bounds);
  assert.ok(joined.kind === 'joined' && bob.kind === 'joined');
  const directory = freshDirectory();
  keepJoined(directory, joined, `127.0.0.1:${port}`, startMs);
  rmSync(first.directory, { recursive: true });

  const second = identityIn(directory);
  const box = await serveAdmin(second);
  const third = await joinFarm(wish(box.port, codeFor(second, 'worker'), 'box-3'), bounds);
  assert.equal(outcome(third), 'box-3 worker');
  assert.ok(third.kind === 'joined');
  const thirdDirectory = freshDirectory();
  keepJoined(thirdDirectory, third, '127.0.0.1:1', startMs);
  const due = startMs + 21 * dayMs;
  const renewal = await renewIfDue(identityIn(thirdDirectory), (csr) => renewFor(second, third.member, csr, due), due);
  assert.equal(renewal.kind, 'renewed', JSON.stringify(renewal));
  assert.equal(revokeMember(second, 'bob', startMs).kind, 'revoked', 'it knows whom the first one admitted');
  assert.equal(isRevoked(loadRevocations(second, startMs), bob.member.serial), true);
});

test('who says nothing, too much or nonsense is dropped, and the next is served', async () => {
  const admin = await newFarm();
  const box = await serveAdmin(admin, { patienceMs: 300 });
  const idle = await stranger(box.port);
  await once(idle.resume(), 'close');
  for (const bytes of [
    Buffer.from([0xff, 0xff, 0xff, 0xff]),
    Buffer.from('GET / HTTP/1.1\r\n\r\n'),
    Buffer.alloc(100_000),
  ]) {
    const socket = await stranger(box.port);
    socket.write(bytes);
    await new Promise((resolve) => socket.resume().once('close', resolve));
  }
  assert.equal(box.events.length, 4, JSON.stringify(box.events));
  const header = Buffer.from([0, 0, 0, 2]);
  assert.equal(
    reasonOf(await tryFrom('127.0.0.3', box.port, Buffer.concat([header, Buffer.from('{}')]))),
    'bad-request',
  );
  assert.equal(outcome(await joinFarm(wish(box.port, codeFor(admin, 'client')), bounds)), 'eva client');
});

test('one address can hold a few places only, and an honest one is served beside it', async () => {
  const admin = await newFarm();
  const box = await serveAdmin(admin);
  const idle: TLSSocket[] = [];
  for (let count = 0; count < 8; count += 1) {
    idle.push(await stranger(box.port, '127.0.0.4'));
  }
  assert.equal(reasonOf(await tryFrom('127.0.0.4', box.port, await guess())), 'busy');
  assert.equal(outcome(await joinFarm(wish(box.port, codeFor(admin, 'client')), bounds)), 'eva client');
  for (const socket of idle) socket.destroy();
});

test('strangers on many addresses who hold every place do not keep an honest box out', async () => {
  const admin = await newFarm();
  const wrong = await guess();
  // All try something and then do not leave; half of them; none of them: they say nothing.
  for (const everyOf of [1, 2, 1000]) {
    const box = await serveAdmin(admin);
    const held: TLSSocket[] = [];
    for (let count = 1; count <= 66; count += 1) {
      const socket = await stranger(box.port, `127.0.2.${1 + Math.floor(count / 6)}`);
      if (count % everyOf === 0) socket.write(wrong);
      held.push(socket);
    }
    const name = `eva-of-${everyOf}`;
    assert.equal(outcome(await joinFarm(wish(box.port, codeFor(admin, 'client'), name), bounds)), `${name} client`);
    for (const socket of held) socket.destroy();
  }
});

test('a box keeps an identity that it would lose, before the code is used up', async () => {
  const admin = await newFarm();
  const other = await newFarm();
  const { port } = await serveAdmin(admin);
  const code = codeFor(admin, 'worker');
  assert.equal(placementOf({ kind: 'none', directory: '/x' }, code, startMs).kind, 'free');
  assert.match(JSON.stringify(placementOf(other, code, startMs)), /replaces.*no other members/);
  assert.match(JSON.stringify(placementOf(admin, code, startMs)), /in-the-way.*would be one no more/);
  const joined = await joinFarm(wish(port, code), bounds);
  assert.ok(joined.kind === 'joined');
  assert.match(JSON.stringify(placementOf(admin, codeFor(other, 'worker'), startMs)), /in-the-way.*has 1 more members/);
  const directory = freshDirectory();
  keepJoined(directory, joined, '127.0.0.1:1', startMs);
  assert.match(
    JSON.stringify(placementOf(identityIn(directory), codeFor(other, 'client'), startMs)),
    /in-the-way.*eva/,
  );
  assert.equal(placementOf(identityIn(directory), codeFor(admin, 'worker'), startMs).kind, 'replaces');
  const broken = { kind: 'broken', directory, why: 'it is open to others', remedy: 'chmod' } as const;
  assert.match(JSON.stringify(placementOf(broken, code, startMs)), /in-the-way.*open to others/);
  assert.equal(new X509Certificate(joined.certificatePem).ca, false);
});
