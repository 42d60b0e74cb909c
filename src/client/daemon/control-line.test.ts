import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { test } from 'node:test';
import { serveControl } from './control-line.ts';
import type { Daemon } from './state.ts';
import type { Session } from '../session/session.ts';

test('a build that ends while its hosts are being found leaves no session, and no daemon', async (t) => {
  let heard = (): void => undefined;
  const hearing = new Promise<void>((resolve) => (heard = resolve));
  const open = new Map<string, Session>();
  let stopped = false;
  const farms = {
    world: { clock: { nowMs: () => 0 } },
    trust: { refresh: () => undefined, current: () => ({ kind: 'none' }) },
    heardDistcc: { specs: [], atMs: 0, hearing },
  };
  const daemon = { farms, sessions: { open }, forSession: true, stop: () => (stopped = true) };
  const settings = { hosts: 'distcc://+zeroconf', proofShare: 0, resultCache: true };
  const body = Buffer.from(
    JSON.stringify({ op: 'session', id: '0123456789ab', settings, cwd: '/', progressMs: 0, adopt: false }),
  );
  const server = createServer().listen(0);
  t.after(() => server.close());
  await once(server, 'listening');
  const build = connect((server.address() as { readonly port: number }).port);
  const [socket] = (await once(server, 'connection')) as [Socket];
  const served = serveControl(daemon as unknown as Daemon, socket, { kind: 'control', body, rest: Buffer.alloc(0) });
  socket.resume();
  build.destroy();
  await once(socket, 'close');
  heard();
  await served;
  assert.deepEqual([open.size, stopped], [0, true]);
});
