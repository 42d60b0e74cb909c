// What of the state directory is whose: the keeper's is read by the front and written by nobody else.
//
//   store/                          the keeper's: finished blobs, results
//   trees/, toolchains/, digests/   the front's: input trees, copies of compilers, what it knows of their files
//   front/                          the front's working directory, with the door to slots; nothing is written there
//   identity/                       the keeper's alone: the front cannot read it
import { chmodSync, chownSync, lstatSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { isMapped } from '../sandbox/containment.ts';

/** Whom the front of a worker that is root becomes: nobody has this id, and slots have those that follow. */
const frontId = 64_999;

export type Places = {
  readonly store: string;
  readonly writable: readonly string[];
  readonly hidden: readonly string[];
  readonly frontDir: string;
  /** The front's user and group, where this worker is root. */
  readonly front: number | undefined;
};

/** An older worker's, or another user's: the front makes it anew. */
function own(path: string, id: number | undefined): void {
  const wanted = id ?? process.getuid?.();
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (found !== undefined && (found.uid !== wanted || !found.isDirectory())) rmSync(path, { recursive: true });
  mkdirSync(path, { recursive: true, mode: 0o755 });
  if (id !== undefined) chownSync(path, id, id);
}

/** A directory of the keeper's; what comes into being in it belongs to the front's group as well. */
function share(path: string, id: number | undefined, mode: number): void {
  mkdirSync(path, { recursive: true, mode: 0o700 });
  if (id === undefined) return;
  chownSync(path, 0, id);
  chmodSync(path, mode);
}

const sharedMode = 0o2750;
const passageMode = 0o710;

export function preparePlaces(stateDir: string): Places {
  // In a container that maps root alone, the front stays what the worker is, as a plain user's does.
  const isOther = process.getuid?.() === 0 && isMapped(frontId, readFileSync('/proc/self/uid_map', 'utf8'));
  const front = isOther ? frontId : undefined;
  const store = join(stateDir, 'store');
  const frontDir = join(stateDir, 'front');
  const writable = ['trees', 'toolchains', 'digests'].map((name) => join(stateDir, name));
  for (const path of [store, join(store, 'blobs'), join(store, 'incoming')]) share(path, front, sharedMode);
  share(frontDir, front, passageMode);
  for (const path of writable) own(path, front);
  return { store, writable, hidden: [join(stateDir, 'identity')], frontDir, front };
}
