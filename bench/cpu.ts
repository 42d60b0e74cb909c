// The CPU time of one side of a measurement, from a control group of its own: whatever the side's processes start is
// counted too, also when it has ended. cgroup v1 (cpuacct) where it is mounted, else v2, whose cpu.stat needs no controller.
import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync } from 'node:fs';
import { join } from 'node:path';
import { atExit } from './tidy.ts';
import { sleepMs } from './wait.ts';

export type CpuGroup = {
  /** A process that writes its id here belongs to the group, with all that it starts. */
  readonly procsFile: string;
  readonly usedMs: () => number;
  readonly pids: () => readonly number[];
  /** Kills what still runs in it and removes it. Harmless when called again. */
  readonly remove: () => void;
};

type Accounting = { readonly mount: string; readonly name: string; readonly readMs: (group: string) => number };

const prefix = 'shoalb';

const readV1 = (group: string): number => Number(readFileSync(join(group, 'cpuacct.usage'), 'utf8')) / 1e6;

const readV2 = (group: string): number => {
  return Number(/^usage_usec (\d+)$/m.exec(readFileSync(join(group, 'cpu.stat'), 'utf8'))?.[1]) / 1e3;
};

const known: readonly Accounting[] = [
  { mount: '/sys/fs/cgroup/cpuacct', name: 'cgroup v1, cpuacct.usage', readMs: readV1 },
  { mount: '/sys/fs/cgroup/cpu,cpuacct', name: 'cgroup v1, cpuacct.usage', readMs: readV1 },
  { mount: '/sys/fs/cgroup', name: 'cgroup v2, cpu.stat', readMs: readV2 },
  { mount: '/sys/fs/cgroup/unified', name: 'cgroup v2, cpu.stat', readMs: readV2 },
];

/** How this machine counts, for the record that goes with the numbers. */
export function accountingName(): string {
  return accounting().name;
}

/** Makes an empty group, after removing those whose maker is dead. It is removed on any exit of this process. */
export function makeCpuGroup(side: string): CpuGroup {
  const { mount, readMs } = accounting();
  removeStale(mount);
  const group = join(mount, `${prefix}-${process.pid}-${side}`);
  mkdirSync(group);
  const remove = (): void => {
    removeGroup(group);
    forget();
  };
  const forget = atExit(remove);
  return { procsFile: join(group, 'cgroup.procs'), usedMs: () => readMs(group), pids: () => pidsOf(group), remove };
}

function accounting(): Accounting {
  const found = known.find(({ mount, readMs }) => {
    const probe = join(mount, `${prefix}-${process.pid}-probe`);
    try {
      mkdirSync(probe);
      const works = Number.isFinite(readMs(probe));
      rmdirSync(probe);
      return works;
    } catch {
      if (existsSync(probe)) rmdirSync(probe);
      return false;
    }
  });
  if (found === undefined)
    throw new Error('no control group counts CPU time here: run as root, with cpuacct or cgroup v2 mounted');
  return found;
}

function pidsOf(group: string): readonly number[] {
  return readFileSync(join(group, 'cgroup.procs'), 'utf8').split('\n').filter(Boolean).map(Number);
}

function removeStale(mount: string): void {
  for (const name of readdirSync(mount)) {
    const maker = /^shoalb-(\d+)-/.exec(name)?.[1];
    if (maker !== undefined && !existsSync(`/proc/${maker}`)) removeGroup(join(mount, name));
  }
}

function removeGroup(group: string): void {
  for (let round = 0; round < 100 && existsSync(group); round += 1) {
    for (const pid of pidsOf(group)) {
      try {
        process.kill(pid, 'SIGKILL');
      } catch {
        // It ended by itself.
      }
    }
    try {
      rmdirSync(group);
    } catch {
      sleepMs(20); // Busy until the killed are gone.
    }
  }
}
