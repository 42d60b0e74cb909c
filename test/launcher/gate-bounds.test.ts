// What else decides when a compile here may begin: the daemon, free memory, and the bounds of every wait, which are short
// in this launcher.
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, beforeEach, test } from 'node:test';
import { waitUntil } from '../../bench/wait.ts';
import { encodeRunHere, encodeRunInSlot } from '../../src/client/launcher-wire.ts';
import { setGate } from './gating.ts';

const box = mkdtempSync(join(tmpdir(), 'shoal-gate-'));
const longestWaitMs = 5000;
const slots = 2;
const macros = [
  `-DSHOAL_CPUS=${slots}`,
  `-DSHOAL_MEMINFO="${box}/meminfo"`,
  `-DSHOAL_CGROUP="${box}/cgroup"`,
  `-DSHOAL_OWN_GROUPS="${box}/own-groups"`,
  `-DSHOAL_LONGEST_WAIT_S=${longestWaitMs / 1000}`,
  '-DSHOAL_WAKE_S=1',
];
const gate = setGate(macros, slots);
const availableMb = (mb: number): void => {
  writeFileSync(join(box, 'meminfo'), `MemTotal: 8000000 kB\nMemFree: 1000 kB\nMemAvailable: ${mb * 1024} kB\n`);
};
const plentyMb = 1 << 20;
beforeEach(() => availableMb(plentyMb));
afterEach(() => {
  gate.clear();
  rmSync(join(box, 'cgroup'), { recursive: true, force: true });
});
after(() => {
  gate.remove();
  rmSync(box, { recursive: true });
});

test('told to wait, the launcher says when it begins, and its connection closes at the end', async () => {
  const events: string[] = [];
  await gate.daemon((_request, socket) => {
    socket.write(encodeRunInSlot('no-worker', 0));
    // Only from here on: the request has been read.
    socket.on('data', (bytes: Buffer) => events.push(`began ${bytes.toString()}`));
    socket.on('close', () => events.push('ended'));
  });
  const first = gate.held();
  await gate.begun(first);
  await waitUntil('the word of the beginning', 1000, () => events.length > 0);
  assert.deepEqual(events, ['began S']);
  await first.finish();
  await waitUntil('the end', 1000, () => events.length > 1);
  assert.deepEqual(events, ['began S', 'ended']);
  const holders = await gate.fill();
  const next = gate.held();
  assert.ok(await gate.waits(next));
  assert.equal(events.length, 2 + holders.length);
  next.child.kill('SIGINT');
  await waitUntil('the end of the wait', 1000, () => events.at(-1) === 'ended');
  await Promise.all(holders.map(({ finish }) => finish()));
});

test('told to run at once, or waiting for nobody in a pipeline, the launcher takes no slot', async () => {
  const sockets: Socket[] = [];
  let answer = encodeRunInSlot('no-worker', 0);
  await gate.daemon((_request, socket) => {
    sockets.push(socket);
    socket.write(answer);
  });
  const holders = await gate.fill();
  answer = encodeRunHere('probe-conftest');
  assert.equal((await gate.start(['-c', 'x.c']).end).status, 0);
  answer = encodeRunInSlot('link', 0);
  assert.equal((await gate.start(['-x', 'c', '-', '-o', 'x']).end).status, 0);
  // The daemon goes away: who waits goes on waiting, and begins in its turn.
  const next = gate.held();
  assert.ok(await gate.waits(next));
  for (const socket of sockets) socket.destroy();
  assert.ok(await gate.waits(next));
  await holders[0]?.finish();
  await gate.begun(next);
  await Promise.all([...holders, next].map(({ finish }) => finish()));
});

test('a compile waits for memory while another holds some, and never where none does', async () => {
  availableMb(100);
  const first = gate.held();
  await gate.begun(first);
  const second = gate.held();
  assert.ok(await gate.waits(second));
  availableMb(600);
  await gate.begun(second);
  await first.finish();
  availableMb(100);
  const third = gate.held();
  assert.ok(await gate.waits(third));
  await second.finish();
  await gate.begun(third);
  await third.finish();
});

test('what has just begun is counted with the memory that it has not taken yet', async () => {
  availableMb(400);
  const first = gate.held();
  await gate.begun(first);
  const second = gate.held();
  // 256 MB for each are not there at once; after a while the first shows what it takes.
  assert.ok(await gate.waits(second));
  await gate.begun(second);
  await Promise.all([first.finish(), second.finish()]);
});

test('the daemon says how much memory a compile needs', async () => {
  availableMb(1000);
  let needMb = 0;
  await gate.daemon((_request, socket) => void socket.write(encodeRunInSlot('no-worker', needMb * 1024)));
  const first = gate.held();
  await gate.begun(first);
  needMb = 1500;
  const large = gate.held();
  assert.ok(await gate.waits(large));
  await first.finish();
  await gate.begun(large);
  await large.finish();
});

const mb = (count: number): string => `${count << 20}\n`;
/** Puts files into a control group, and the process into those of `own`, as /proc/self/cgroup names them. */
const setGroup = (own: string, at: string, files: Readonly<Record<string, string>>): void => {
  writeFileSync(join(box, 'own-groups'), own);
  mkdirSync(join(box, 'cgroup', at), { recursive: true });
  for (const [name, text] of Object.entries(files)) writeFileSync(join(box, 'cgroup', at, name), text);
};
const version1 = (path: string): string =>
  ['cpuset', 'cpuacct,cpu', 'memory', 'name=systemd'].map((names, at) => `${9 - at}:${names}:${path}\n`).join('') +
  '0::/elsewhere\n';
const version2 = (path: string): string => `0::${path}\n`;
const ownGroups: Readonly<Record<string, { readonly own: string; readonly at: string }>> = {
  'the root': { own: '/', at: '.' },
  'named as the host names it': { own: '/docker/0123', at: '.' },
  'outside of what is seen': { own: '/../other', at: '.' },
  'of a service': { own: '/system.slice/build.service', at: 'system.slice/build.service' },
  'within one that is bounded': { own: '/user.slice/user-1.slice/session', at: 'user.slice' },
};

const quotas = [
  ['40000', 1],
  ['100000', 1],
  ['100001', 2],
  ['800000', 2],
  ['max', 2],
] as const;

for (const [whose, { own, at }] of Object.entries(ownGroups)) {
  test(`memory is what the control group has left (version 2, ${whose})`, async () => {
    const [max, current] = [mb(1000), mb(900)];
    const stat = (anonMb: number, fileMb: number): string =>
      `anon ${mb(anonMb)}inactive_file ${mb(fileMb)}active_file ${mb(fileMb)}`;
    setGroup(version2(own), at, { 'memory.max': max, 'memory.current': current, 'memory.stat': stat(880, 10) });
    await memoryIsWaitedFor(() => setGroup(version2(own), at, { 'memory.stat': stat(100, 400) }));
  });

  test(`memory is what the control group has left (version 1, ${whose})`, async () => {
    const [limit, usage] = [mb(1000), mb(900)];
    // The first lines are without the groups below.
    const stat = (fileMb: number): string =>
      `cache 0\ninactive_file ${mb(900)}total_inactive_file ${mb(fileMb)}total_active_file ${mb(fileMb)}`;
    const files = { 'memory.limit_in_bytes': limit, 'memory.usage_in_bytes': usage, 'memory.stat': stat(10) };
    setGroup(version1(own), `memory/${at}`, files);
    await memoryIsWaitedFor(() => setGroup(version1(own), `memory/${at}`, { 'memory.stat': stat(400) }));
  });

  test(`a control group's share of the CPUs, rounded up, is as many slots (both versions, ${whose})`, async () => {
    for (const [quota, allowed] of own === '/' ? quotas : quotas.slice(0, 1)) {
      setGroup(version2(own), at, { 'cpu.max': `${quota} 100000\n` });
      await areAllowed(allowed);
      const files = { 'cpu.cfs_quota_us': quota.replace('max', '-1\n'), 'cpu.cfs_period_us': '100000\n' };
      setGroup(version1(own), `cpu/${at}`, files);
      await areAllowed(allowed);
    }
  });
}

/** A second compile waits for memory, until `giveUp` has been called. */
async function memoryIsWaitedFor(giveUp: () => void): Promise<void> {
  const first = gate.held();
  await gate.begun(first);
  const second = gate.held();
  assert.ok(await gate.waits(second));
  // Cached files are given up.
  giveUp();
  await gate.begun(second);
  await Promise.all([first.finish(), second.finish()]);
}

/** So many compiles run at once, and the next waits. */
async function areAllowed(count: number): Promise<void> {
  const running = Array.from({ length: count }, gate.held);
  await Promise.all(running.map(gate.begun));
  const next = gate.held();
  assert.ok(await gate.waits(next));
  await Promise.all([...running, next].map(({ finish }) => finish()));
}

test('a build that is stopped does not stop another', async () => {
  const stopped = await gate.fill();
  const head = gate.held();
  assert.ok(await gate.waits(head));
  const behind = gate.held();
  assert.ok(await gate.waits(behind));
  for (const { child } of [...stopped, head]) child.kill('SIGSTOP');
  // Who was behind the head notices when it wakes up; who comes later, at once, and they have the slots to themselves.
  await gate.begun(behind);
  for (let compiles = 0; compiles < 10; compiles += 1) assert.equal((await gate.start(['-c', 'x.c']).end).status, 0);
  const others = [behind, gate.held(), gate.held()];
  await waitUntil('both slots taken', 5000, () => others.filter(gate.isRunning).length === slots);
  assert.ok(await Promise.all(others.map(gate.waits)).then((waiting) => waiting.filter(Boolean).length === 1));
  for (const { child } of [...stopped, head]) child.kill('SIGCONT');
  await Promise.all([...others, ...stopped, head].map(({ finish }) => finish()));
});

test('where no slot comes free for too long, one compile goes ahead', async () => {
  const holders = await gate.fill();
  const startedMs = performance.now();
  const head = gate.held();
  assert.ok(await gate.waits(head));
  await gate.begun(head);
  assert.ok(performance.now() - startedMs > longestWaitMs - 100);
  await Promise.all([...holders, head].map(({ finish }) => finish()));
});
