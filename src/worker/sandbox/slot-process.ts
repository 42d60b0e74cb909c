// What a slot's init is to the worker: a stream to it, one from it, and its end. Either this process starts it, or the
// keeper does for whoever connects to its door (keeper/slot-door.ts).
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createConnection } from 'node:net';
import type { Readable, Writable } from 'node:stream';
import { isMapped } from './containment.ts';
import { openControlGroups, type ControlGroups, type SlotGroup } from './control-groups.ts';
import type { MemoryBounds } from './memory-bounds.ts';

export type SlotSpawn = {
  readonly initPath: string;
  /** Lower directories are given relative to this; nothing else of the box is in reach of a job. */
  readonly stateDir: string;
  /** What a worker that is root becomes for this slot; a plain user stays what it is. */
  readonly runAs?: { readonly uid: number; readonly gid: number };
  /** For plain actions: `hostPaths` can be shown to jobs. */
  readonly host: boolean;
  readonly group?: SlotGroup;
  /** `none`: without namespaces, as root; plain actions cannot run then. */
  readonly contain?: 'none';
};

/** `door`: a socket of the keeper's, which starts the slot. */
export type SlotOptions =
  | SlotSpawn
  | {
      readonly door: string;
      readonly group?: Pick<SlotGroup, 'memoryKills' | 'tmpfsBytes'>;
      readonly contain?: 'none';
    };

export type SlotProcess = {
  readonly input: Writable;
  readonly output: Readable;
  /** Ends it, whatever it does. */
  readonly end: () => void;
  /** Called once, when all its processes are gone. */
  readonly onGone: (listener: (why: string) => void) => void;
};

/** What plain actions may see of the box: its tools, no data. /etc/alternatives leads from cc to gcc. */
export const hostPaths: readonly string[] = [
  'usr',
  'bin',
  'sbin',
  'lib',
  'lib32',
  'lib64',
  'libx32',
  'etc/alternatives',
  'etc/ld.so.cache',
];

/** gcc runs four processes, `make` inside a plain action some more; a fork bomb ends here. */
export const maxProcesses = 512;

// Debian's policy reserves the range, and containers that map 65,536 ids have it.
const firstSlotUid = 65_000;

// The keeper, the init and the leader, and one leader that is about to end.
const processesAround = 4;

/** What slot `index` of a worker that is root becomes. */
function slotUser(index: number): Pick<SlotSpawn, 'runAs'> {
  const id = firstSlotUid + (index % 500);
  // In a container that maps root alone, the slots stay what the worker is, as a plain user's do.
  if (process.getuid?.() !== 0 || !isMapped(id, readFileSync('/proc/self/uid_map', 'utf8'))) return {};
  return { runAs: { uid: id, gid: id } };
}

/** Why this process cannot do without namespaces; undefined if it can, or need not. */
export function containRefusal(contain: 'none' | undefined): string | undefined {
  if (contain !== 'none' || slotUser(0).runAs !== undefined) return undefined;
  const why = 'without namespaces only root can give jobs their paths and a user of their own: run the worker as root';
  return `--contain=none cannot work here: ${why}`;
}

export type SlotHouse = {
  readonly spawnOf: (index: number) => SlotSpawn;
  readonly groups: ControlGroups;
};

/** Who may start slots makes their control groups, too. */
export function openSlotHouse(options: {
  readonly slots: number;
  readonly initPath: string;
  readonly stateDir: string;
  readonly memory: MemoryBounds;
  readonly contain?: 'none' | undefined;
}): SlotHouse {
  const { slots, initPath, stateDir, memory, contain } = options;
  const groups = openControlGroups({ slots, ...memory, processes: maxProcesses + processesAround });
  const spawnOf: SlotHouse['spawnOf'] = (index) => {
    const group = groups.slots[index];
    return { initPath, stateDir, host: true, ...(group && { group }), ...(contain && { contain }), ...slotUser(index) };
  };
  return { spawnOf, groups };
}

export function slotArguments({ stateDir, runAs, host, group, contain }: SlotSpawn): readonly string[] {
  const ids = runAs === undefined ? ['-', '-'] : [String(runAs.uid), String(runAs.gid)];
  const bare = contain === 'none' ? ['--bare'] : [];
  return [...bare, stateDir, ...ids, (group?.entrances ?? []).join('\n'), ...(host ? hostPaths : [])];
}

export function startSlotProcess(options: SlotOptions): SlotProcess {
  return 'door' in options ? connected(options.door) : spawned(options);
}

function spawned(options: SlotSpawn): SlotProcess {
  const child = spawn(options.initPath, slotArguments(options), {
    stdio: ['pipe', 'pipe', 'ignore'],
    env: {},
    cwd: '/',
  });
  // Without descriptors for its streams it has none, and says so later.
  child.on('error', () => undefined);
  child.stdin.on('error', () => undefined);
  return {
    input: child.stdin,
    output: child.stdout,
    // Not SIGKILL: the init's keeper ends its slot and waits for the last process of it.
    end: () => void child.kill('SIGTERM'),
    onGone: (listener) => {
      child.on('close', (code, signal) => listener(`the sandbox ended (${signal ?? `status ${code}`})`));
      child.on('error', (error) => listener(error.message));
    },
  };
}

// The kernel takes a slot apart within milliseconds; the keeper lets no other in its place before it has.
const endPatienceMs = 1000;

function connected(door: string): SlotProcess {
  const socket = createConnection({ path: door, allowHalfOpen: true });
  let why = 'the sandbox ended';
  socket.on('error', (error) => (why = error.message));
  socket.on('end', () => socket.end());
  return {
    input: socket,
    output: socket,
    end: () => {
      socket.end();
      // What an init that hangs has not read would hold the end back.
      setTimeout(() => socket.destroy(), endPatienceMs).unref();
    },
    onGone: (listener) => void socket.on('close', () => listener(why)),
  };
}
