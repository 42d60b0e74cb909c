// What distcc's monitors show of the jobs of this daemon: a file for each in DISTCC_DIR/state while it is under way
// (src/distcc/binstate.ts). Written only for who uses distcc: a compile that was called so, or has DISTCC_DIR set, or
// whose user has ~/.distcc. It is named for the launcher's process: monitors drop what belongs to none that lives, so
// that what a daemon leaves that was killed is gone with the next look, and with the next daemon.
import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { decodeState, encodeState, statePrefix, type Phase } from '../../distcc/binstate.ts';
import { distccDirectory } from '../../distcc/host-source.ts';
import type { LauncherRequest } from '../launcher-wire.ts';
import { sourceWord } from '../session/trail.ts';

/** One job's file; each call is for nothing where there is none. */
export type JobStateFile = {
  readonly note: (phase: Phase, host: string) => void;
  readonly remove: () => void;
};

export type JobStates = { readonly begin: (request: Shown) => JobStateFile };

type Shown = Pick<LauncherRequest, 'argv' | 'env' | 'pid' | 'asDistcc'>;

const none: JobStateFile = { note: () => undefined, remove: () => undefined };

function valueIn(env: readonly string[], name: string): string | undefined {
  return env.find((entry) => entry.startsWith(`${name}=`))?.slice(name.length + 1);
}

/** Absolute, for who wants it. */
function stateDirectory({ env, asDistcc }: Shown): string | undefined {
  const named = valueIn(env, 'DISTCC_DIR');
  const directory = distccDirectory({ DISTCC_DIR: named, HOME: valueIn(env, 'HOME') });
  if (directory?.startsWith('/') !== true || named === '') return undefined;
  const isWanted = asDistcc || named !== undefined || isDirectory(directory);
  return isWanted ? join(directory, 'state') : undefined;
}

function isDirectory(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
}

function lives(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/** What is left of processes that are gone. */
export function dropStale(directory: string): void {
  for (const name of readdirSync(directory)) {
    if (!name.startsWith(statePrefix)) continue;
    const path = join(directory, name);
    const state = decodeState(readFileSync(path));
    if (state !== undefined && !lives(state.pid)) rmSync(path, { force: true });
  }
}

/** The least number that no other job at that host has. */
function takeSlot(taken: Map<string, Set<number>>, host: string): number {
  const slots = taken.get(host) ?? new Set();
  taken.set(host, slots);
  let slot = 0;
  while (slots.has(slot)) slot += 1;
  slots.add(slot);
  return slot;
}

export function newJobStates(): JobStates {
  const seen = new Set<string>();
  const taken = new Map<string, Set<number>>();
  const begin = (request: Shown): JobStateFile => {
    const directory = stateDirectory(request);
    if (directory === undefined) return none;
    const path = join(directory, `${statePrefix}${request.pid}`);
    const file = sourceWord(request.argv);
    let at: { readonly host: string; readonly slot: number } | undefined;
    const leave = (): void => {
      if (at !== undefined) taken.get(at.host)?.delete(at.slot);
      at = undefined;
    };
    const note = (phase: Phase, host: string): void => {
      if (at?.host !== host) {
        leave();
        at = { host, slot: takeSlot(taken, host) };
      }
      writeFileSync(path, encodeState({ pid: request.pid, file, host, slot: at.slot, phase }));
    };
    const remove = (): void => {
      leave();
      rmSync(path, { force: true });
    };
    if (!seen.has(directory)) {
      quietly(() => {
        mkdirSync(directory, { recursive: true });
        dropStale(directory);
      });
      seen.add(directory);
    }
    return { note: (phase, host) => quietly(() => note(phase, host)), remove: () => quietly(remove) };
  };
  return { begin };
}

/** Nothing of it is worth a compile. */
function quietly(act: () => void): void {
  try {
    act();
  } catch {
    // The directory is not ours to write, or full.
  }
}
