// Runs the command line as a user does, each box in a state directory of its own, and an admin's box that admits.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { createServer, type Server } from 'node:tls';
import { fileURLToPath } from 'node:url';
import assert from 'node:assert/strict';
import { loadIdentity } from '../../src/trust/identity.ts';
import { joinProtocol } from '../../src/trust/pairing-messages.ts';
import { openPairing } from '../../src/trust/pairing-server.ts';

const main = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url));

export type Ran = { readonly status: number | null; readonly stdout: string; readonly stderr: string };

/** `shoal ARGS…` on the box whose XDG state directory is `state`. */
export async function shoal(state: string, ...args: readonly string[]): Promise<Ran> {
  const child = spawn(process.execPath, [main, ...args], {
    env: { PATH: process.env['PATH'], HOME: state, XDG_STATE_HOME: state },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (bytes: Buffer) => (stdout += bytes.toString()));
  child.stderr.on('data', (bytes: Buffer) => (stderr += bytes.toString()));
  const [status] = (await once(child, 'close')) as [number | null];
  return { status, stdout, stderr };
}

/** What a worker does for those who join: listens with the identity in `directory`. */
export async function admitOthers(directory: string): Promise<Server & { readonly port: number }> {
  const admin = loadIdentity(directory);
  assert.ok(admin.kind === 'identity', JSON.stringify(admin));
  const pairing = openPairing(directory, { now: Date.now, addresses: () => [], log: () => {} });
  const cert = admin.certificatePem + admin.caPem;
  const options = { key: admin.keyPem, cert, minVersion: 'TLSv1.3', ALPNProtocols: [joinProtocol] } as const;
  const server = createServer(options, (socket) => void pairing.serve(socket));
  server.on('tlsClientError', () => {});
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return Object.assign(server, { port: (server.address() as AddressInfo).port });
}
