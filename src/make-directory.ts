// A directory and what lacks above it. Not by mkdir's own `recursive`: that of Node 20 goes round for ever where a parent
// neither is there nor can be made, as below /proc.
import { mkdirSync, statSync } from 'node:fs';
import { dirname } from 'node:path';

function makeOne(path: string, mode: number): 'made' | 'no-parent' {
  try {
    mkdirSync(path, { mode });
  } catch (error) {
    if (statSync(path, { throwIfNoEntry: false })?.isDirectory() === true) return 'made';
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return 'no-parent';
    throw error;
  }
  return 'made';
}

/** Those that are there keep their modes. @throws if one cannot be made. */
export function makeDirectory(path: string, mode = 0o777): void {
  if (makeOne(path, mode) === 'made') return;
  if (dirname(path) !== path) makeDirectory(dirname(path), mode);
  mkdirSync(path, { mode });
}
