// What members tell each other: whom the farm has put out goes from box to box with the connections, and ends those that
// are open; certificates are renewed over the same connections, and a worker takes the new one without dropping any.
import assert from 'node:assert/strict';
import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { connectWith } from '../../src/farm/connect.ts';
import { startMembership, type MembershipEvent } from '../../src/farm/membership.ts';
import type { ReapiClient } from '../../src/reapi/client.ts';
import { keepAddresses } from '../../src/trust/addresses.ts';
import { newCode } from '../../src/trust/code-files.ts';
import { loadIdentity } from '../../src/trust/identity.ts';
import { filesOfIdentity, openLiveTrust, type LiveTrust } from '../../src/trust/live-trust.ts';
import { makeFarm } from '../../src/trust/make-farm.ts';
import { loadRevocations } from '../../src/trust/revocation-files.ts';
import { isRevoked } from '../../src/trust/revocations.ts';
import { revokeMember } from '../../src/trust/revoke.ts';
import { startWorker, type Worker } from '../../src/worker/worker.ts';
import type { WorkerEvent } from '../../src/worker/events.ts';
import { optionsIn } from '../worker/rig.ts';
import { shoal } from './shoal.ts';
import { identityIn, newFarm, newMember, type Kept } from './members.ts';

const scratch = mkdtempSync(join(tmpdir(), 'membership-'));
const dayMs = 86_400_000;
const endings: (() => unknown)[] = [];

after(async () => {
  for (const end of endings.toReversed()) await end();
  rmSync(scratch, { recursive: true, force: true });
});

function trustIn(directory: string): LiveTrust {
  const trust = openLiveTrust({
    find: () => loadIdentity(directory),
    files: filesOfIdentity(directory),
    nowMs: () => Date.now(),
  });
  endings.push(trust.close);
  return trust;
}

type Serving = { readonly worker: Worker; readonly port: number; readonly events: WorkerEvent[] };

async function serve(directory: string): Promise<Serving> {
  const events: WorkerEvent[] = [];
  const options = await optionsIn(mkdtempSync(join(scratch, 'worker-')), { slots: 1 });
  const worker = await startWorker({ ...options, trust: trustIn(directory), log: (event) => events.push(event) });
  assert.ok(worker.kind === 'worker', JSON.stringify(worker));
  endings.push(worker.stop);
  return { worker, port: Number(/:(\d+)$/.exec(worker.addresses[0] ?? '')?.[1]), events };
}

async function connected(member: Kept, { port }: Serving, trust = trustIn(member.directory)): Promise<ReapiClient> {
  const client = connectWith(trust, {}, 5000)({ kind: 'worker', host: '127.0.0.1', port });
  endings.push(client.close);
  await client.ready();
  return client;
}

const endOf = (client: ReapiClient): Promise<string> =>
  new Promise((resolve) => client.onClose(({ message }) => resolve(message)));

async function until(what: string, holds: () => boolean): Promise<void> {
  const deadline = Date.now() + 5000;
  while (!holds()) {
    assert.ok(Date.now() < deadline, what);
    await pause(10);
  }
}

const knows = (of: Kept, out: Kept): boolean => isRevoked(loadRevocations(of, Date.now()), out.serial);

test('a revocation travels with connections, and ends those that are open at every box that hears of it', async () => {
  const admin = await newFarm(scratch);
  const [box, eva, out] = await Promise.all([
    newMember(admin, { name: 'box', role: 'worker', scratch }),
    newMember(admin, { name: 'eva', role: 'client', scratch }),
    newMember(admin, { name: 'out', role: 'client', scratch }),
  ]);
  const [admins, boxes] = [await serve(admin.directory), await serve(box.directory)];
  const open = await connected(out, boxes);
  const ended = endOf(open);
  assert.equal(revokeMember(admin, 'out', Date.now()).kind, 'revoked');
  assert.equal(knows(box, out), false);
  // One client that builds on both carries it.
  await connected(eva, admins);
  await until('eva has heard of it', () => knows(eva, out));
  await connected(eva, boxes);
  await until('the other worker has heard of it', () => knows(box, out));
  assert.match(await ended, /closed|hung up|reset/);
  await until('it is refused', () => {
    connected(out, boxes).catch(() => undefined);
    return boxes.events.some((event) => event.kind === 'refused-peer' && event.reason === 'revoked');
  });
});

test('a client leaves a worker that is put out, and does not come back', async () => {
  const admin = await newFarm(scratch);
  const box = await newMember(admin, { name: 'box', role: 'worker', scratch });
  const eva = await newMember(admin, { name: 'eva', role: 'client', scratch });
  const [admins, boxes] = [await serve(admin.directory), await serve(box.directory)];
  const trust = trustIn(eva.directory);
  const ended = endOf(await connected(eva, boxes, trust));
  assert.equal(revokeMember(admin, 'box', Date.now()).kind, 'revoked');
  await connected(eva, admins, trust);
  assert.match(await ended, /closed/);
  await assert.rejects(connected(eva, boxes, trust), /box: it was revoked/);
});

test('a certificate that ends soon is renewed through an admin, and the worker that has it drops no connection', async () => {
  const admin = await newFarm(scratch);
  const admins = await serve(admin.directory);
  const box = await newMember(admin, { name: 'box', role: 'worker', scratch, nowMs: Date.now() - 25 * dayMs });
  keepAddresses(box.directory, ['127.0.0.1:1', `127.0.0.1:${admins.port}`]);
  const trust = trustIn(box.directory);
  const boxes = await serve(box.directory);
  const eva = await newMember(admin, { name: 'eva', role: 'client', scratch });
  const open = await connected(eva, boxes);
  const events: MembershipEvent[] = [];
  endings.push(startMembership({ trust, log: (event) => events.push(event), random: () => 0.5 }));
  await until('it is renewed', () => identityIn(box.directory).notAfter > box.notAfter);
  assert.notEqual(identityIn(box.directory).serial, box.serial);
  await pause(1200);
  await open.findMissing([]);
  // New connections meet the new certificate.
  await connected(eva, boxes);
});

test('without an admin that answers, a renewal fails with its reason', async () => {
  const admin = await newFarm(scratch);
  const box = await newMember(admin, { name: 'box', role: 'worker', scratch, nowMs: Date.now() - 25 * dayMs });
  const events: MembershipEvent[] = [];
  endings.push(startMembership({ trust: trustIn(box.directory), log: (event) => events.push(event), random: () => 0 }));
  await until('it has failed', () => events.length > 0);
  assert.deepEqual(events, [{ kind: 'renewal-failed', why: 'no admin of the farm is known' }]);
});

test('a box joins at the port where members come in, and is one of them at once', async () => {
  const admin = await newFarm(scratch);
  const serving = await serve(admin.directory);
  const { text } = newCode(admin, 'client', Date.now());
  const state = mkdtempSync(join(scratch, 'joins-'));
  const joined = await shoal(state, 'join', text, `127.0.0.1:${serving.port}`, '--name', 'new', '--yes');
  assert.equal(joined.status, 0, joined.stderr);
  const again = await shoal(state, 'join', text, `127.0.0.1:${serving.port}`, '--name', 'other', '--yes');
  assert.notEqual(again.status, 0);
  const told = serving.events.flatMap((event) => (event.kind === 'pairing' ? [event.event.kind] : []));
  assert.deepEqual(told, ['admitted', 'refused']);
  await connected(identityIn(join(state, 'shoal/identity')), serving);
});

test('a worker that is given an identity while it runs asks new connections for theirs', async () => {
  const place = mkdtempSync(join(scratch, 'late-'));
  const directory = join(place, 'identity');
  const serving = await serve(directory);
  const plain = connectWith(trustIn(join(place, 'none')), {}, 5000);
  const address = { kind: 'worker', host: '127.0.0.1', port: serving.port } as const;
  const before = plain(address);
  endings.push(before.close);
  await before.ready();
  await makeFarm(directory, 'late', Date.now());
  await until('plain connections are refused', () => {
    const after = plain(address);
    after.ready().then(after.close, after.close);
    return serving.events.some((event) => event.kind === 'refused-peer' && event.reason === 'no-tls');
  });
  await connected(identityIn(directory), serving);
  await before.findMissing([]);
});

test('an identity that is taken away while the worker runs does not make it open again', async () => {
  const admin = await newFarm(scratch);
  const serving = await serve(admin.directory);
  cpSync(admin.directory, `${admin.directory}.kept`, { recursive: true });
  rmSync(admin.directory, { recursive: true });
  await pause(1500);
  const plain = connectWith(trustIn(join(scratch, 'nobody')), {}, 5000);
  const client = plain({ kind: 'worker', host: '127.0.0.1', port: serving.port });
  await assert.rejects(client.ready(), /hung up/);
});

test('a worker with an identity does not start with --insecure, nor one whose identity is broken', async () => {
  const admin = await newFarm(scratch);
  const options = await optionsIn(mkdtempSync(join(scratch, 'refused-')));
  const insecure = await startWorker({ ...options, insecure: true, trust: trustIn(admin.directory) });
  assert.ok(insecure.kind === 'refused' && insecure.reason === 'identity');
  assert.match(insecure.why, /admin-1 .*--insecure/);
  rmSync(join(admin.directory, 'member.pem'));
  const broken = await startWorker({ ...options, trust: trustIn(admin.directory) });
  assert.ok(broken.kind === 'refused' && broken.reason === 'identity');
  assert.match(broken.why, /member\.pem is missing/);
});
