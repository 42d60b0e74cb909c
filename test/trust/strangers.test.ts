// Whoever is not of the farm gets nothing from a worker that has an identity: each attempt is refused and audited, and the
// next honest job is served.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { connect as connectPlain, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { connect as connectTls, type ConnectionOptions } from 'node:tls';
import { connectWith } from '../../src/farm/connect.ts';
import type { Connect } from '../../src/farm/host.ts';
import type { ReapiClient } from '../../src/reapi/client.ts';
import { GrpcError } from '../../src/reapi/errors.ts';
import { openChannel } from '../../src/reapi/grpc-client.ts';
import { loadIdentity } from '../../src/trust/identity.ts';
import { filesOfIdentity, openLiveTrust, type LiveTrust } from '../../src/trust/live-trust.ts';
import { revokeMember } from '../../src/trust/revoke.ts';
import { startWorker } from '../../src/worker/worker.ts';
import type { WorkerEvent } from '../../src/worker/events.ts';
import { actionBlobs, optionsIn } from '../worker/rig.ts';
import { newFarm, newMember, type Kept } from './members.ts';

const scratch = mkdtempSync(join(tmpdir(), 'strangers-'));
const dayMs = 86_400_000;
const trusts: LiveTrust[] = [];

function trustIn(directory: string): LiveTrust {
  const trust = openLiveTrust({
    find: () => loadIdentity(directory),
    files: filesOfIdentity(directory),
    nowMs: () => Date.now(),
  });
  trusts.push(trust);
  return trust;
}

const admin = await newFarm(scratch);
const eva = await newMember(admin, { name: 'eva', role: 'client', scratch });
const foreign = await newFarm(scratch);
const stranger = await newMember(foreign, { name: 'mallory', role: 'admin', scratch });

const events: WorkerEvent[] = [];
const auditLog = join(scratch, 'audit.log');
const options = { ...(await optionsIn(scratch, { slots: 2 })), audit: auditLog };
// Its jobs are the box's own tools.
const worker = await startWorker({
  ...options,
  commands: 'any',
  trust: trustIn(admin.directory),
  log: (event) => events.push(event),
});
assert.ok(worker.kind === 'worker', JSON.stringify(worker));
const port = Number(/:(\d+)$/.exec(worker.addresses[0] ?? '')?.[1]);
const address = { kind: 'worker', host: '127.0.0.1', port } as const;

after(async () => {
  await worker.stop();
  for (const trust of trusts) trust.close();
  rmSync(scratch, { recursive: true, force: true });
});

const connectAs = (member: Kept): Connect => connectWith(trustIn(member.directory), {}, 5000);

async function using<Result>(client: ReapiClient, use: (client: ReapiClient) => Promise<Result>): Promise<Result> {
  try {
    return await use(client);
  } finally {
    client.close();
  }
}

let jobs = 0;

/** A member's job is done: nobody's attempt has hurt the worker. */
async function honestJobIsServed(): Promise<void> {
  const action = actionBlobs({
    argv: ['/bin/sh', '-c', 'cat in >out'],
    tree: { in: `${(jobs += 1)}` },
    outputs: ['out'],
  });
  await using(connectAs(eva)(address), async (client) => {
    await client.ready();
    await client.upload(action.blobs);
    const { digest: actionDigest } = action;
    const outcome = await client.execute(
      { actionDigest, skipCacheLookup: true, inlineOutputs: [] },
      { deadlineMs: 20_000 },
    );
    assert.equal(outcome.kind, 'done');
  });
}

const refusals = (): string[] =>
  events.flatMap((event) => (event.kind === 'refused-peer' ? [`${event.reason} ${event.name ?? ''}`.trim()] : []));

/** Runs an attempt; it is audited with that reason, and the next honest job is done. */
async function isRefused(reason: string, attempt: () => Promise<void>): Promise<void> {
  events.length = 0;
  await attempt();
  const deadline = Date.now() + 10_000;
  while (!refusals().includes(reason) && Date.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 5));
  assert.ok(refusals().includes(reason), `${reason} is not in: ${refusals().join(', ')}`);
  await honestJobIsServed();
}

async function cannotCall(client: ReapiClient, why: RegExp): Promise<void> {
  await using(client, async () => assert.rejects(client.ready(), why));
}

/** A stranger's own TLS: resolves when the other side has ended it, with what was received beyond the handshake. */
function knock(how: ConnectionOptions, says: string | Buffer = ''): Promise<Buffer> {
  return new Promise((resolve) => {
    const received: Buffer[] = [];
    const socket = connectTls({ host: '127.0.0.1', port, rejectUnauthorized: false, ALPNProtocols: ['h2'], ...how });
    socket.once('secureConnect', () => socket.write(says));
    socket.on('data', (chunk: Buffer) => received.push(chunk));
    socket.on('error', () => undefined);
    socket.once('close', () => resolve(Buffer.concat(received)));
  });
}

const preface = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n';

test('a member’s job is done, and the worker knows whose it is', honestJobIsServed);

test('without a certificate nothing is said beyond the handshake', () =>
  isRefused('no-certificate', async () => {
    assert.equal((await knock({}, preface)).length, 0);
  }));

test('a certificate of another farm’s authority is refused, by both sides', () =>
  isRefused('foreign-certificate mallory', async () => {
    await cannotCall(connectAs(stranger)(address), /another farm/);
    const { certificatePem: cert, keyPem: key } = stranger;
    assert.equal((await knock({ cert, key }, preface)).length, 0);
  }));

test('an expired certificate is refused', async () => {
  const old = await newMember(admin, { name: 'old', role: 'client', scratch, nowMs: Date.now() - 40 * dayMs });
  await isRefused('expired old', async () => {
    assert.throws(() => connectAs(old)(address), /has expired: join the farm again/);
    const { certificatePem: cert, keyPem: key } = old;
    assert.equal((await knock({ cert, key }, preface)).length, 0);
  });
});

test('a certificate that is not valid yet is refused', async () => {
  const early = await newMember(admin, { name: 'early', role: 'client', scratch, nowMs: Date.now() + 2 * dayMs });
  await isRefused('expired early', async () => {
    assert.equal((await knock({ cert: early.certificatePem, key: early.keyPem }, preface)).length, 0);
  });
});

test('a revoked member is refused, and told what that may mean; its open connection ends within two seconds', async () => {
  const out = await newMember(admin, { name: 'out', role: 'client', scratch });
  const connect = connectAs(out);
  const open = connect(address);
  await open.ready();
  const ended = new Promise<number>((resolve) => open.onClose(() => resolve(Date.now())));
  const revokedAt = Date.now();
  assert.equal(revokeMember(admin, 'out', revokedAt).kind, 'revoked');
  assert.ok((await ended) - revokedAt < 2000);
  await isRefused('revoked out', () =>
    cannotCall(connect(address), /hung up when it had seen our certificate \(out\)/),
  );
});

test('the audit log has who was refused and who was put out', async () => {
  const lines = (): readonly Record<string, unknown>[] =>
    (existsSync(auditLog) ? readFileSync(auditLog, 'utf8').trim() : '{}')
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>);
  const has = (event: string, name: string): boolean =>
    lines().some((line) => line['event'] === event && line['name'] === name);
  const deadline = Date.now() + 5000;
  while (!has('peer-refused', 'out') && Date.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 50));
  for (const name of ['mallory', 'old', 'out']) assert.ok(has('peer-refused', name), name);
  assert.ok(has('revoked', 'out'));
  assert.ok(lines().some((line) => line['event'] === 'job' && JSON.stringify(line).includes('eva')));
});

test('a client’s certificate does not serve', async () => {
  const worker = await startWorker({
    ...(await optionsIn(mkdtempSync(join(scratch, 'w-')))),
    trust: trustIn(eva.directory),
  });
  assert.ok(worker.kind === 'refused' && worker.reason === 'identity');
  assert.match(worker.why, /eva is a client/);
  await honestJobIsServed();
});

test('TLS 1.2 is refused', () =>
  isRefused('old-tls', async () => {
    const { certificatePem: cert, keyPem: key } = eva;
    assert.equal((await knock({ cert, key, maxVersion: 'TLSv1.2' }, preface)).length, 0);
  }));

test('another protocol over TLS is refused', () =>
  isRefused('unknown-protocol', async () => {
    assert.equal((await knock({ ALPNProtocols: ['http/1.1'] })).length, 0);
  }));

test('a plain connection to a port with TLS is refused, with what to do', () =>
  isRefused('no-tls', async () => {
    const channel = openChannel({ kind: 'tcp', host: '127.0.0.1', port }, { connectTimeoutMs: 5000 });
    await assert.rejects(channel.ready(), /`shoal pair`/);
    channel.close();
  }));

function plainSockets(count: number): Promise<Socket[]> {
  const open = (): Promise<Socket> =>
    new Promise((resolve) => {
      const socket = connectPlain(port, '127.0.0.1', () => resolve(socket));
      socket.resume();
      socket.on('error', () => resolve(socket));
    });
  return Promise.all(Array.from({ length: count }, open));
}

test('a handshake that is not finished ends after five seconds, and holds nobody up', async () => {
  const [socket] = await plainSockets(1);
  const begunAt = Date.now();
  const ended = new Promise<number>((resolve) => socket?.once('close', () => resolve(Date.now())));
  socket?.write(Buffer.from([22, 3, 1]));
  await honestJobIsServed();
  await isRefused('too-slow', async () => assert.ok((await ended) - begunAt < 8000));
});

test('any bytes in place of a handshake end the connection', async () => {
  const sockets = await plainSockets(40);
  const ended = sockets.map((socket) => new Promise<void>((resolve) => socket.once('close', () => resolve())));
  for (const [at, socket] of sockets.entries()) {
    const head = at % 2 === 0 ? Buffer.alloc(0) : Buffer.from([22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3]);
    socket.write(Buffer.concat([head, randomBytes(1 + at * 100)]));
  }
  await honestJobIsServed();
  await Promise.all(ended);
  await honestJobIsServed();
});

test('ten thousand connections leave room for the next honest one', { timeout: 60_000 }, async () => {
  const held: Socket[] = [];
  for (let round = 0; round < 50; round += 1) held.push(...(await plainSockets(200)));
  assert.equal(held.length, 10_000);
  await honestJobIsServed();
  const open = held.filter((socket) => socket.readyState === 'open').length;
  assert.ok(open <= 64, `${open} of one address may still shake hands`);
  for (const socket of held) socket.destroy();
  await honestJobIsServed();
});

test('members’ words are for members: a stranger on a plain worker neither syncs nor renews', async () => {
  const directory = mkdtempSync(join(scratch, 'plain-'));
  const plain = await startWorker(await optionsIn(directory));
  assert.ok(plain.kind === 'worker');
  const channel = openChannel({ kind: 'unix', path: join(directory, 'worker.sock') }, { connectTimeoutMs: 5000 });
  for (const method of ['Sync', 'Renew']) {
    const call = channel.unary(`/shoal.v1.Members/${method}`, Buffer.alloc(0), { deadlineMs: 5000 });
    await assert.rejects(call, GrpcError);
  }
  channel.close();
  await plain.stop();
});

test('a member meets a plain port with TLS and is told what to do', async () => {
  const plain = await startWorker(await optionsIn(mkdtempSync(join(scratch, 'plain-'))));
  assert.ok(plain.kind === 'worker');
  const plainPort = Number(/:(\d+)$/.exec(plain.addresses[0] ?? '')?.[1]);
  await cannotCall(connectAs(eva)({ ...address, port: plainPort }), /has no identity: .*grpc:\/\//);
  await plain.stop();
});
