// Two directories compared, file by file and byte by byte.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** A line for every file that is not the same in both; empty where they agree. */
export function differences(expected: string, actual: string): string[] {
  const names = new Set([...filesOf(expected), ...filesOf(actual)]);
  return [...names].flatMap((name) => {
    if (!existsSync(join(expected, name))) return [`${name}: not expected`];
    if (!existsSync(join(actual, name))) return [`${name}: missing`];
    return readFileSync(join(expected, name)).equals(readFileSync(join(actual, name))) ? [] : [`${name}: other bytes`];
  });
}

/** Paths of the regular files under `root`, relative to it. */
export function filesOf(root: string): string[] {
  if (!existsSync(root)) return [];
  const entries = readdirSync(root, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(root.length + 1));
}
