// Compiles of a build that no daemon could count: it had died, or did not answer. Their launchers each add a byte to a
// file in the runtime directory, which the build makes and takes away; a daemon that sees the build die does so for it.
import { rmSync, statSync, writeFileSync } from 'node:fs';
import type { RuntimeDir } from '../../trust/runtime-dir.ts';

const pathOf = ({ path }: RuntimeDir, id: string): string => `${path}/lone.${id}`;

/** Never throws: without the file nothing is counted. */
export function expectLone(directory: RuntimeDir, id: string): void {
  try {
    writeFileSync(pathOf(directory, id), '', { mode: 0o600, flag: 'a' });
  } catch {
    // A full disk.
  }
}

/** How many there were. */
export function countLone(directory: RuntimeDir, id: string): number {
  const count = statSync(pathOf(directory, id), { throwIfNoEntry: false })?.size ?? 0;
  forgetLone(directory, id);
  return count;
}

export function forgetLone(directory: RuntimeDir, id: string): void {
  rmSync(pathOf(directory, id), { force: true });
}
