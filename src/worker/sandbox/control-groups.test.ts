// Finding the groups is pure; version 2 is made in a directory that looks like it, for want of a box that delegates it;
// version 1 is the kernel's own, where this user may make groups.
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'node:test';
import { hierarchiesOf, openControlGroups, type GroupBounds } from './control-groups.ts';
import { memoryBounds } from './memory-bounds.ts';

const bounds: GroupBounds = { slots: 2, totalBytes: 4 << 20, jobBytes: 2 << 20, processes: 40 };

const version1 = `
31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
35 31 0:32 / /sys/fs/cgroup/memory rw,relatime shared:3 - cgroup cgroup rw,memory
33 31 0:30 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct
39 31 0:36 /docker/1 /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids
41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
`;

test('this process is found in each hierarchy, in a container too', () => {
  const membership = '8:pids:/docker/1/below\n5:cpu,cpuacct:/\n4:memory:/users/a:b\n9:name=systemd:/\n0::/scope\n';
  assert.deepEqual(hierarchiesOf(version1, membership), [
    { version: 1, controllers: ['memory'], path: '/sys/fs/cgroup/memory/users/a:b' },
    { version: 1, controllers: ['cpu', 'cpuacct'], path: '/sys/fs/cgroup/cpu,cpuacct' },
    { version: 1, controllers: ['pids'], path: '/sys/fs/cgroup/pids/below' },
    { version: 2, controllers: [], path: '/sys/fs/cgroup/unified/scope' },
  ]);
  assert.deepEqual(hierarchiesOf(version1, '8:pids:/docker/2'), [], 'what is not in sight is left alone');
  assert.deepEqual(hierarchiesOf('', ''), []);
});

function inUnified(body: (own: string, open: () => ReturnType<typeof openControlGroups>) => void): void {
  const root = mkdtempSync(join(tmpdir(), 'shoal-groups-'));
  try {
    const own = join(root, 'service');
    mkdirSync(own);
    writeFileSync(join(own, 'cgroup.controllers'), 'cpu memory pids\n');
    writeFileSync(join(own, 'cgroup.procs'), `${process.pid}\n`);
    const places = { mountinfo: `1 2 0:3 / ${root} rw - cgroup2 cgroup2 rw\n`, membership: '0::/service\n' };
    body(own, () => openControlGroups(bounds, places));
  } finally {
    rmSync(root, { recursive: true });
  }
}

test('version 2: the controllers are handed down, all jobs have one bound and each its own', () =>
  inUnified((own, open) => {
    const groups = open();
    const group = join(own, `shoal-${process.pid}`);
    const text = (path: string): string => readFileSync(join(group, path), 'utf8');
    assert.deepEqual(groups.bounded, ['memory', 'pids']);
    assert.equal(readFileSync(join(own, 'cgroup.subtree_control'), 'utf8'), '+memory +pids');
    assert.equal(text('cgroup.subtree_control'), '+memory +pids');
    assert.deepEqual([text('memory.max'), text('memory.swap.max')], [String(4 << 20), '0']);
    assert.deepEqual([text('1/memory.max'), text('1/pids.max')], [String(2 << 20), '40']);
    assert.deepEqual(groups.slots[1]?.entrances, [join(group, '1/cgroup.procs')]);
    writeFileSync(join(group, '1/memory.events'), 'low 0\noom 3\noom_kill 2\n');
    assert.deepEqual([groups.slots[0]?.memoryKills(), groups.slots[1]?.memoryKills()], [0, 2]);
  }));

test('a box that gives no groups gives none, and nothing fails', () => {
  for (const controllers of ['hugetlb\n', '']) {
    inUnified((own, open) => {
      writeFileSync(join(own, 'cgroup.controllers'), controllers);
      const groups = open();
      assert.deepEqual([groups.bounded, groups.slots[0]?.entrances], [[], []]);
      assert.equal(groups.slots[0]?.memoryKills(), 0);
      assert.ok(!existsSync(join(own, `shoal-${process.pid}`)));
    });
  }
  const groups = openControlGroups(bounds, { mountinfo: '', membership: '' });
  assert.equal(groups.slots.length, 2);
  groups.close();
});

test('groups of a worker that was killed are removed by the next', () =>
  inUnified((own, open) => {
    // Process numbers end below this.
    const dead = join(own, 'shoal-4999999');
    mkdirSync(join(dead, '0'), { recursive: true });
    mkdirSync(join(own, 'shoal-1', '0'), { recursive: true });
    open().close();
    assert.deepEqual([existsSync(dead), existsSync(join(own, 'shoal-1'))], [false, true]);
  }));

test('the box keeps a reserve, and a job may have what is left, unless it is told less', () => {
  const box = 8 * 2 ** 30;
  const all = box - (512 << 20);
  assert.deepEqual(memoryBounds(undefined, box), { totalBytes: all, jobBytes: all });
  assert.deepEqual(memoryBounds(2 ** 30, box), { totalBytes: all, jobBytes: 2 ** 30 });
  assert.deepEqual(memoryBounds(2 ** 40, box).jobBytes, all);
  assert.deepEqual(memoryBounds(undefined, 1 << 30).totalBytes, 768 << 20);
});
