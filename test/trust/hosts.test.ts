// The client's side: who is no worker of the farm gets nothing from it, not even a question.
import assert from 'node:assert/strict';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { createServer, type TlsOptions } from 'node:tls';
import { clientTrust, connectWith } from '../../src/farm/connect.ts';
import type { NativeAddress } from '../../src/farm/host-spec.ts';
import type { ReapiClient } from '../../src/reapi/client.ts';
import { externalIdentity } from '../../src/trust/external.ts';
import { openLiveTrust } from '../../src/trust/live-trust.ts';
import { startWorker } from '../../src/worker/worker.ts';
import { optionsIn } from '../worker/rig.ts';
import { newFarm, newMember, type Kept } from './members.ts';

const scratch = mkdtempSync(join(tmpdir(), 'hosts-'));
const dayMs = 86_400_000;
const endings: (() => unknown)[] = [];

after(async () => {
  for (const end of endings.toReversed()) await end();
  rmSync(scratch, { recursive: true, force: true });
});

const admin = await newFarm(scratch);
const eva = await newMember(admin, { name: 'eva', role: 'client', scratch });

type Env = Readonly<Record<string, string>>;

function reach(address: NativeAddress, env: Env): ReapiClient {
  const trust = clientTrust(env);
  endings.push(trust.close);
  const client = connectWith(trust, env, 3000)(address);
  endings.push(client.close);
  return client;
}

/** A server that shows `who`, and what it hears after the handshake. */
async function impostor(who: Kept, options: TlsOptions = {}): Promise<{ readonly port: number; heard: () => number }> {
  let heard = 0;
  const server = createServer(
    { cert: who.certificatePem + who.caPem, key: who.keyPem, ALPNProtocols: ['h2'], ...options },
    (socket) => {
      socket.on('error', () => undefined);
      socket.on('data', (chunk: Buffer) => (heard += chunk.length));
    },
  );
  server.on('tlsClientError', () => undefined);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  endings.push(() => server.close());
  return { port: (server.address() as AddressInfo).port, heard: () => heard };
}

const refusals: readonly (readonly [what: string, who: () => Promise<Kept>, why: RegExp, options?: TlsOptions])[] = [
  ['a client of the farm', () => newMember(admin, { name: 'c', role: 'client', scratch }), /a client's/],
  ['a worker of another farm', async () => newFarm(scratch), /of another farm/],
  [
    'a worker whose certificate has expired',
    () => newMember(admin, { name: 'old', role: 'worker', scratch, nowMs: Date.now() - 40 * dayMs }),
    /has expired/,
  ],
  [
    'a worker of tomorrow',
    () => newMember(admin, { name: 'early', role: 'worker', scratch, nowMs: Date.now() + 2 * dayMs }),
    /not valid yet/,
  ],
  [
    'a worker that speaks TLS 1.2',
    () => newMember(admin, { name: 'tls12', role: 'worker', scratch }),
    /TLS 1\.3/,
    { maxVersion: 'TLSv1.2' },
  ],
];

for (const [what, who, why, options] of refusals) {
  test(`${what} is told nothing`, async () => {
    const server = await impostor(await who(), options);
    const client = reach({ kind: 'worker', host: '127.0.0.1', port: server.port }, { SHOAL_IDENTITY: eva.directory });
    await assert.rejects(client.ready(), why);
    assert.equal(server.heard(), 0);
  });
}

function files(member: Kept): { readonly ca: string; readonly certificate: string; readonly key: string } {
  const directory = mkdtempSync(join(scratch, 'files-'));
  const write = (name: string, text: string): string => {
    writeFileSync(join(directory, name), text);
    chmodSync(join(directory, name), 0o600);
    return join(directory, name);
  };
  return {
    ca: write('ca.pem', member.caPem),
    certificate: write('cert.pem', member.certificatePem),
    key: write('key.pem', member.keyPem),
  };
}

test('certificates of an existing authority do, by name:port between members and by grpcs:// with the host’s name', async () => {
  const box = files(await newMember(admin, { name: 'localhost', role: 'worker', scratch }));
  const trust = openLiveTrust({ find: () => externalIdentity(box), files: [], nowMs: () => Date.now() });
  const worker = await startWorker({ ...(await optionsIn(mkdtempSync(join(scratch, 'w-')))), trust });
  assert.ok(worker.kind === 'worker', JSON.stringify(worker));
  endings.push(worker.stop);
  const port = Number(/:(\d+)$/.exec(worker.addresses[0] ?? '')?.[1]);
  const own = files(eva);
  const env = { SHOAL_TLS_CA: own.ca, SHOAL_TLS_CERT: own.certificate, SHOAL_TLS_KEY: own.key };
  await reach({ kind: 'worker', host: '127.0.0.1', port }, env).ready();
  await reach({ kind: 'tls', host: 'localhost', port }, env).ready();
  await assert.rejects(reach({ kind: 'tls', host: '127.0.0.1', port }, env).ready(), /does not match|not in the cert/);
  await assert.rejects(reach({ kind: 'tls', host: 'localhost', port }, {}).ready(), /certificate/);
  assert.throws(() => reach({ kind: 'worker', host: 'x', port }, { SHOAL_TLS_CA: own.ca }), /needs all three/);
});

test('an identity that is broken is told, and nothing goes out plain in its place', () => {
  rmSync(join(admin.directory, 'ca.crt'));
  const env = { SHOAL_IDENTITY: admin.directory };
  assert.throws(
    () => reach({ kind: 'worker', host: '127.0.0.1', port: 1 }, env),
    /cannot be used: .*ca\.crt is missing/,
  );
  assert.throws(
    () => reach({ kind: 'worker', host: '127.0.0.1', port: 1 }, { SHOAL_IDENTITY: '/nowhere' }),
    /nowhere is not there/,
  );
});
