// The directory of compiler names that stands in front of PATH: one symbolic link to the launcher for each compiler
// found on the box. It is kept from build to build (CMake writes the path it finds into its cache), in the user's
// cache, and brought up to date at the start of each.
import { readdirSync, readlinkSync, renameSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { makeDirectory } from '../../make-directory.ts';

// Another build that begins at this moment may take away what it does not know.
const mostTries = 5;

function linkTo(target: string, path: string): void {
  const temporary = `${path}.${process.pid}~`;
  for (let tries = 1; ; tries += 1) {
    rmSync(temporary, { force: true });
    symlinkSync(target, temporary);
    try {
      renameSync(temporary, path);
      return;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT' || tries === mostTries) throw error;
    }
  }
}

function targetOf(path: string): string | undefined {
  try {
    return readlinkSync(path);
  } catch {
    return undefined;
  }
}

/** Makes `directory` hold the links `names` → `launcher`, and the launcher's own names; nothing else, or else `more`. */
export function layOutNames(
  directory: string,
  names: readonly string[],
  launcher: string,
  others: 'none' | 'more' = 'none',
): void {
  makeDirectory(directory, 0o755);
  const wanted = new Set([...names, 'shoal', 'distcc']);
  for (const name of readdirSync(directory)) {
    if (others === 'none' && !wanted.has(name)) rmSync(join(directory, name), { force: true });
  }
  for (const name of wanted) {
    const path = join(directory, name);
    if (targetOf(path) !== launcher) linkTo(launcher, path);
  }
}
