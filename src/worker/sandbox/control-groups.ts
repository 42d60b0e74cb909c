// Control groups of a worker's slots, where this process may make them: one bound of memory for all jobs together, one of
// memory and processes for each. Version 1 as root, version 2 as root or where a service manager has delegated.
//
//   <the worker's own group>/shoal-PID/        memory of all jobs
//   <the worker's own group>/shoal-PID/N/      slot N: the sandbox's init enters it before anything else
//
// A slot runs one job at a time, so a group a slot is one a job; what a job's tmpfs holds is counted there too, and goes
// with it. A worker that was killed leaves empty groups, which the next one removes.
import { mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export type SlotGroup = {
  /** Files that take the number of a process which is to be in the group. */
  readonly entrances: readonly string[];
  /** How many of its processes the kernel has killed for want of memory. */
  readonly memoryKills: () => number;
  /** What its tmpfs hold: of a job that has ended, until the kernel gets round to it. */
  readonly tmpfsBytes: () => number;
  /** Where both are read. */
  readonly files: CounterFiles | undefined;
};

export type CounterFiles = { readonly kills: string; readonly stat: string };

export type ControlGroups = {
  /** What could be had of `memory` and `pids`. */
  readonly bounded: readonly Controller[];
  readonly slots: readonly SlotGroup[];
  readonly close: () => void;
};

export type Controller = 'memory' | 'pids';

type Hierarchy = { readonly version: 1 | 2; readonly controllers: readonly string[]; readonly path: string };

/** Where this process stands in each mounted hierarchy: from /proc/self/mountinfo and /proc/self/cgroup. */
export function hierarchiesOf(mountinfo: string, membership: string): readonly Hierarchy[] {
  const own = new Map<string, string>();
  for (const line of membership.trim().split('\n')) {
    const [, controllers = '', path = ''] = /^\d+:([^:]*):(\/.*)$/.exec(line) ?? [];
    if (path !== '') own.set(controllers, path);
  }
  return mountinfo.split('\n').flatMap((line): Hierarchy[] => {
    const [, root = '', mounted = '', type = '', options = ''] =
      /^\d+ \d+ \S+ (\S+) (\S+) .* - (cgroup2?) \S+ (\S+)$/.exec(line) ?? [];
    const names = options.split(',');
    const key =
      type === 'cgroup2'
        ? ''
        : [...own.keys()].find((each) => each !== '' && each.split(',').every((name) => names.includes(name)));
    const path = key === undefined || type === '' ? undefined : own.get(key);
    if (path === undefined || !(path === root || root === '/' || path.startsWith(`${root}/`))) return [];
    const below = root === '/' ? path : path.slice(root.length);
    const place = join(mounted, below === '/' ? '' : below);
    if (type === 'cgroup2') return [{ version: 2, controllers: [], path: place }];
    return [{ version: 1, controllers: key?.split(',') ?? [], path: place }];
  });
}

const wanted: readonly Controller[] = ['memory', 'pids'];

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

function isWritten(path: string, value: string | number): boolean {
  try {
    writeFileSync(path, String(value));
    return true;
  } catch {
    return false;
  }
}

const groupOf = (pid: number): string => `shoal-${pid}`;

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/** A group and those below it; what still has processes stays, for the next who sweeps. */
function remove(group: string): void {
  try {
    for (const entry of readdirSync(group, { withFileTypes: true })) {
      if (entry.isDirectory()) remove(join(group, entry.name));
    }
    rmdirSync(group);
  } catch {
    // Its last process is not quite gone, or another worker's start was quicker.
  }
}

/** Groups of workers that were killed. */
function sweep(own: string): void {
  let names: readonly string[] = [];
  try {
    names = readdirSync(own);
  } catch {
    return;
  }
  for (const name of names) {
    const pid = Number(/^shoal-(\d+)$/.exec(name)?.[1] ?? Number.NaN);
    if (!Number.isNaN(pid) && !isAlive(pid)) remove(join(own, name));
  }
}

/**
 * Version 2 gives a group's controllers to groups below it only where no process is in it itself, unless it is the root.
 * This one goes aside if it is alone there; others are not ours to move.
 */
function delegateBelow(own: string, controllers: readonly Controller[]): boolean {
  const enable = controllers.map((name) => `+${name}`).join(' ');
  if (isWritten(join(own, 'cgroup.subtree_control'), enable)) return true;
  if (read(join(own, 'cgroup.procs')).trim() !== String(process.pid)) return false;
  const aside = join(own, 'shoal-worker');
  try {
    mkdirSync(aside, { recursive: true });
  } catch {
    return false;
  }
  if (!isWritten(join(aside, 'cgroup.procs'), process.pid)) return false;
  if (isWritten(join(own, 'cgroup.subtree_control'), enable)) return true;
  isWritten(join(own, 'cgroup.procs'), process.pid);
  remove(aside);
  return false;
}

export type GroupBounds = {
  readonly slots: number;
  readonly totalBytes: number;
  readonly jobBytes: number;
  readonly processes: number;
};

const memoryFiles = {
  1: { limit: 'memory.limit_in_bytes', swap: 'memory.memsw.limit_in_bytes', kills: 'memory.oom_control' },
  2: { limit: 'memory.max', swap: 'memory.swap.max', kills: 'memory.events' },
} as const;

type Made = { readonly group: string; readonly version: 1 | 2; readonly controllers: readonly Controller[] };

function boundMemory(group: string, version: 1 | 2, bytes: number): boolean {
  const files = memoryFiles[version];
  const isBound = isWritten(join(group, files.limit), bytes);
  // What does not fit is not to crawl in the swap; a kernel without it has no such file. Version 1 counts both together.
  isWritten(join(group, files.swap), version === 1 ? bytes : 0);
  return isBound;
}

function makeIn({ version, controllers: attached, path }: Hierarchy, bounds: GroupBounds): Made | undefined {
  const offered = version === 1 ? attached : read(join(path, 'cgroup.controllers')).trim().split(' ');
  const controllers = wanted.filter((name) => offered.includes(name));
  if (controllers.length === 0) return undefined;
  sweep(path);
  if (version === 2 && !delegateBelow(path, controllers)) return undefined;
  const group = join(path, groupOf(process.pid));
  try {
    for (let at = 0; at < bounds.slots; at += 1) mkdirSync(join(group, String(at)), { recursive: true });
    const enable = controllers.map((name) => `+${name}`).join(' ');
    let isBound = version === 1 || isWritten(join(group, 'cgroup.subtree_control'), enable);
    if (controllers.includes('memory')) isBound &&= boundMemory(group, version, bounds.totalBytes);
    for (let at = 0; at < bounds.slots; at += 1) {
      const slot = join(group, String(at));
      if (controllers.includes('memory')) isBound &&= boundMemory(slot, version, bounds.jobBytes);
      if (controllers.includes('pids')) isBound &&= isWritten(join(slot, 'pids.max'), bounds.processes);
    }
    if (isBound) return { group, version, controllers };
  } catch {
    // Not ours to make.
  }
  remove(group);
  return undefined;
}

function countIn(file: string, name: string): number {
  return Number(new RegExp(`^${name} (\\d+)$`, 'm').exec(read(file))?.[1] ?? 0);
}

/** For whoever knows a group by its files alone, too. */
export function countersOf(files: CounterFiles | undefined): Pick<SlotGroup, 'memoryKills' | 'tmpfsBytes'> {
  return {
    memoryKills: () => (files === undefined ? 0 : countIn(files.kills, 'oom_kill')),
    tmpfsBytes: () => (files === undefined ? 0 : countIn(files.stat, 'shmem')),
  };
}

export type GroupPlaces = { readonly mountinfo: string; readonly membership: string };

/** Never fails: a box that gives no groups bounds its jobs by their own limits alone. */
export function openControlGroups(bounds: GroupBounds, places?: GroupPlaces): ControlGroups {
  const mountinfo = places?.mountinfo ?? read('/proc/self/mountinfo');
  const hierarchies = hierarchiesOf(mountinfo, places?.membership ?? read('/proc/self/cgroup'));
  const made = hierarchies.flatMap((each) => makeIn(each, bounds) ?? []);
  const memory = made.find(({ controllers }) => controllers.includes('memory'));
  const slots = Array.from({ length: bounds.slots }, (_, at): SlotGroup => {
    const entrances = made.map(({ group }) => join(group, String(at), 'cgroup.procs'));
    if (memory === undefined) return { entrances, ...countersOf(undefined), files: undefined };
    const group = join(memory.group, String(at));
    const files = { kills: join(group, memoryFiles[memory.version].kills), stat: join(group, 'memory.stat') };
    return {
      entrances,
      ...countersOf(files),
      files,
    };
  });
  const close = (): void => {
    for (const { group } of made) remove(group);
  };
  return { bounded: made.flatMap(({ controllers }) => controllers), slots, close };
}
