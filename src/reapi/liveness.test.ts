import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { newLiveness } from './liveness.ts';

function watched(t: TestContext) {
  t.mock.timers.enable({ apis: ['setInterval'] });
  const peer = { busy: true, answers: true, sent: 0, received: 0, pings: 0, deadMs: undefined as number | undefined };
  const liveness = newLiveness({
    isBusy: () => peer.busy,
    ping: (onAnswer) => {
      peer.pings += 1;
      if (peer.answers) onAnswer();
    },
    bytes: () => ({ sent: peer.sent, received: peer.received }),
    onDead: (silentMs) => {
      peer.deadMs ??= silentMs;
      liveness.stop();
    },
  });
  return { peer, liveness, pass: (seconds: number) => t.mock.timers.tick(seconds * 1000) };
}

test('a peer that answers lives as long as its calls, and is not pinged without any', (t) => {
  const { peer, liveness, pass } = watched(t);
  liveness.busy();
  pass(600);
  assert.equal(peer.deadMs, undefined);
  const { pings } = peer;
  assert.ok(pings >= 290 && pings <= 310, `${pings} pings`);
  peer.busy = false;
  pass(600);
  assert.equal(peer.pings, pings);
});

test('a peer that falls silent is dead within ten seconds, and one that has been answered since is not', (t) => {
  const { peer, liveness, pass } = watched(t);
  liveness.busy();
  pass(30);
  peer.answers = false;
  pass(9);
  assert.equal(peer.deadMs, undefined);
  pass(2);
  assert.equal(peer.deadMs, 8000);
});

test('what is under way on a slow line is waited for, a trickle is not', (t) => {
  const { peer, liveness, pass } = watched(t);
  liveness.busy();
  peer.answers = false;
  peer.sent = 4 << 20; // 32 s at 1 Mbit/s.
  pass(30);
  assert.equal(peer.deadMs, undefined);
  pass(20);
  assert.equal(peer.deadMs, 42_000);
});

test('bytes that trickle are no sign of life', (t) => {
  const { peer, liveness, pass } = watched(t);
  liveness.busy();
  peer.answers = false;
  for (let second = 0; second < 12; second += 1) {
    peer.received += 200;
    pass(1);
  }
  assert.equal(peer.deadMs, 10_000);
});
