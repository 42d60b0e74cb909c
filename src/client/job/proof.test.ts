import assert from 'node:assert/strict';
import { test } from 'node:test';
import { newFarm } from '../../farm/farm.ts';
import { enterHome, leaveHome } from '../../farm/places.ts';
import { realClock, type Clock } from '../../observe/clock.ts';
import { roomHere } from './proof.ts';
import { newSession } from '../session/session.ts';
import type { ClientWorld } from '../world.ts';

// The real one keeps no process alive.
const clock: Clock = {
  nowMs: realClock.nowMs,
  after: (delayMs, callback) => {
    const timer = setTimeout(callback, delayMs);
    return { cancel: () => clearTimeout(timer) };
  },
};

function busySession() {
  const connect = (): never => {
    throw new Error('no host');
  };
  const farm = newFarm([], { connect, clock: realClock });
  const settings = { hosts: '', mostFallbacks: undefined, proofShare: 1, resultCache: true };
  const session = newSession(settings, farm, { id: '0'.repeat(12), startedMs: 0, expected: [] });
  const stays = Array.from({ length: farm.home.slots }, () => enterHome(farm));
  return { session, farm, stays, room: roomHere({ clock } as ClientWorld, session) };
}

test('a proof waits while compiles take all processors of this box', async () => {
  const { farm, stays, room } = busySession();
  let isThere = false;
  const done = room.then((found) => (isThere = found));
  await new Promise(setImmediate);
  assert.equal(isThere, false);
  for (const stay of stays) leaveHome(farm, stay);
  await done;
  assert.equal(isThere, true);
});

test('a proof that waits ends with its session', async () => {
  const { session, room } = busySession();
  session.ended = true;
  assert.equal(await room, false);
});
