// When the daemon takes itself for idle: on a clock that jumps, since five minutes are long.
import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { startDaemon, type DaemonRequest } from '../../src/client/daemon/daemon.ts';
import { openRuntimeDir } from '../../src/trust/runtime-dir.ts';

// It looks once a second.
const someLooksMs = 2500;
const sixMinutesMs = 6 * 60_000;

test('a daemon with a connection open is not idle, however long nothing comes', async () => {
  let nowMs = 0;
  const directory = openRuntimeDir();
  const parts: Pick<DaemonRequest, 'directory' | 'forSession' | 'log'> & { readonly world: object } = {
    world: { clock: { nowMs: () => nowMs } },
    directory,
    forSession: false,
    log: () => undefined,
  };
  // No request comes, so nothing else of it is touched.
  const daemon = await startDaemon(parts as DaemonRequest);
  let hasEnded = false;
  void daemon.ended.then(() => (hasEnded = true));
  try {
    const waiting = connect(directory.socket);
    await new Promise((resolve) => waiting.once('connect', resolve));
    await pause(100);
    nowMs += sixMinutesMs;
    await pause(someLooksMs);
    assert.equal(hasEnded, false);
    waiting.destroy();
    await pause(someLooksMs);
    assert.equal(hasEnded, false, 'it has just been busy');
    nowMs += sixMinutesMs;
    await pause(someLooksMs);
    assert.equal(hasEnded, true);
  } finally {
    daemon.stop();
  }
});
