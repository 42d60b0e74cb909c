// Where an include server of pump's keeps its socket and its mirror: /tmp/shoal-pump.XXXXXX, the only place that is two
// components deep (src/distcc/mirror.ts). `owner` in it names the process that it lives with: what is there without one,
// since somebody was killed, goes with the next start.
import { lstatSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const parent = '/tmp';
const prefix = 'shoal-pump.';
// A directory without an owner may have been made just now.
const ownerlessMs = 60_000;

/** A process, not the next one of that number. */
export type ProcessIdentity = { readonly pid: number; readonly startTicks: string };

type Stat = { readonly parentPid: number; readonly startTicks: string };

function statOf(pid: number): Stat | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'latin1');
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
    if (fields[0] === 'Z' || fields[0] === 'X') return undefined;
    return { parentPid: Number(fields[1]), startTicks: fields[19] ?? '' };
  } catch {
    return undefined;
  }
}

export function identify(pid: number): ProcessIdentity | undefined {
  const stat = statOf(pid);
  return stat === undefined ? undefined : { pid, startTicks: stat.startTicks };
}

export function lives({ pid, startTicks }: ProcessIdentity): boolean {
  return statOf(pid)?.startTicks === startTicks;
}

function commandLine(pid: number): string | undefined {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'latin1');
  } catch {
    return undefined;
  }
}

/** The shell that has asked: of `$(pump --startup | tee log)` it is above a copy of itself, which ends at once. */
export function shellAbove(pid: number): ProcessIdentity | undefined {
  let shell = pid;
  for (;;) {
    const above = statOf(shell)?.parentPid ?? 0;
    if (above <= 1 || commandLine(above) !== commandLine(shell)) return identify(shell);
    shell = above;
  }
}

export type PumpOwner = { readonly server: ProcessIdentity; readonly shell: ProcessIdentity };

function readOwner(directory: string): PumpOwner | undefined {
  try {
    return JSON.parse(readFileSync(join(directory, 'owner'), 'utf8')) as PumpOwner;
  } catch {
    return undefined;
  }
}

export function writeOwner(directory: string, owner: PumpOwner): void {
  const temporary = join(directory, 'owner~');
  writeFileSync(temporary, JSON.stringify(owner));
  renameSync(temporary, join(directory, 'owner'));
}

/** Of a directory of ours, and of this user's: never of one that only says so. */
export function ownerOf(directory: string): PumpOwner | undefined {
  if (!directory.startsWith(`${parent}/${prefix}`) || directory.slice(parent.length + 1).includes('/'))
    return undefined;
  const found = lstatSync(directory, { throwIfNoEntry: false });
  if (found?.isDirectory() !== true || found.uid !== process.getuid?.()) return undefined;
  return readOwner(directory);
}

function isStale(directory: string): boolean {
  const found = lstatSync(directory, { throwIfNoEntry: false });
  if (found?.isDirectory() !== true || found.uid !== process.getuid?.()) return false;
  const owner = readOwner(directory);
  return owner === undefined ? Date.now() - found.mtimeMs > ownerlessMs : !lives(owner.server);
}

/** What servers left that were killed. */
export function sweepPumps(): void {
  for (const name of readdirSync(parent)) {
    const directory = join(parent, name);
    if (name.startsWith(prefix) && isStale(directory)) rmSync(directory, { recursive: true, force: true });
  }
}

export function makePumpDirectory(): string {
  return mkdtempSync(join(parent, prefix));
}
