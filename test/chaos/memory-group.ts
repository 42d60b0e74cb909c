// A control group that bounds the memory of what runs in it, by either version of the kernel's interface.
import { existsSync, mkdirSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { sleepMs } from '../../bench/wait.ts';

export type MemoryGroup = {
  /** The command to put before another, which then runs in the group. */
  readonly enter: readonly string[];
  readonly remove: () => void;
};

const versions = [
  { mount: '/sys/fs/cgroup/memory', limit: 'memory.limit_in_bytes' },
  { mount: '/sys/fs/cgroup', limit: 'memory.max' },
];

export function makeMemoryGroup(bytes: number): MemoryGroup {
  const version = versions.find(({ mount, limit }) => {
    const probe = join(mount, `shoalb-${process.pid}-memory`);
    mkdirSync(probe, { recursive: true });
    return existsSync(join(probe, limit));
  });
  if (version === undefined) throw new Error('no control group bounds memory here');
  const group = join(version.mount, `shoalb-${process.pid}-memory`);
  writeFileSync(join(group, version.limit), String(bytes));
  return {
    enter: ['/bin/sh', '-c', 'echo 0 >"$0/cgroup.procs" && exec "$@"', group],
    remove: () => {
      for (let round = 0; round < 100; round += 1) {
        try {
          rmdirSync(group);
          return;
        } catch {
          sleepMs(20); // Busy until the last of it is gone.
        }
      }
    },
  };
}
