// Files in the cache directory that one process leaves for the next: replaced as a whole, or left as they were.
import { readdirSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { makeDirectory } from './make-directory.ts';

/**
 * Never throws: what is kept spares work, and a full disk, or more than fits into one string, is no reason for anything
 * to fail.
 */
export function writeKept(path: string, content: () => string | Uint8Array): void {
  const temporary = `${path}.${process.pid}`;
  try {
    const bytes = content();
    makeDirectory(dirname(path), 0o700);
    writeFileSync(temporary, bytes, { mode: 0o600 });
    renameSync(temporary, path);
  } catch {
    rmSync(temporary, { force: true });
  }
}

/** Of a directory's files, those that were written last stay. Never throws. */
export function keepLatest(directory: string, most: number): void {
  try {
    const names = readdirSync(directory);
    if (names.length <= most) return;
    const dated = names.map((name) => ({ name, atMs: statSync(join(directory, name)).mtimeMs }));
    const old = dated.toSorted((a, b) => b.atMs - a.atMs).slice(most);
    for (const { name } of old) rmSync(join(directory, name), { force: true });
  } catch {
    // Somebody else is at it, too.
  }
}
