// The log of a process that has no terminal: a file that is made with its first line, so a process without trouble
// leaves none. Bounded: what is there when it grows past its size goes to FILE.1, in place of an older one.
import { appendFileSync, renameSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { makeDirectory } from '../make-directory.ts';

const maxLogBytes = 1 << 20;

function makeRoom(path: string): void {
  const sizeBytes = statSync(path, { throwIfNoEntry: false })?.size;
  if (sizeBytes === undefined) makeDirectory(dirname(path), 0o700);
  else if (sizeBytes >= maxLogBytes) renameSync(path, `${path}.1`);
}

/** Appends `line` with the time. A log that cannot be written is no reason to fail. */
export function logTo(path: string, line: string): void {
  try {
    makeRoom(path);
    appendFileSync(path, `${new Date().toISOString()} ${process.pid} ${line}\n`, { mode: 0o600 });
  } catch {
    // A full or read-only disk: the line is also on stderr, where somebody may look.
  }
}
