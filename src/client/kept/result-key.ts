// Which earlier action had the same result to give. An action's digest covers the build's whole layer, so it changes
// when a header does that the compile never reads, or when the layer grew in another order. The *result key* covers what
// the compile can read and nothing else: its Command (with platform) and its own closure. For each key this client
// remembers the action that it last had executed; asking for that one finds its result, or runs it again with the same
// outcome, and sends nothing at all.
//
// The memory is the client's own: nothing in a worker's cache is stored under a name that a client made up.
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { writeKept } from '../../kept-file.ts';
import type { Closure, FileEntry, TreeEntry } from '../../includes/types.ts';
import { digestKey, parseDigestKey, type Digest } from '../../reapi/digest.ts';

export type ResultMemory = {
  /** The earlier action with this key, if there was one. */
  readonly recall: (key: string) => Digest | undefined;
  readonly remember: (key: string, action: Digest) => void;
  readonly save: () => void;
};

// A few builds of a large project; 150 bytes each.
const mostKeys = 30_000;
const fileName = 'actions.json';

const fileLines = new WeakMap<FileEntry, string>();

function lineOf(file: FileEntry): string {
  let line = fileLines.get(file);
  if (line === undefined) {
    line = `${file.path}\0${file.digest.hash}\0${file.executable ? 1 : 0}`;
    fileLines.set(file, line);
  }
  return line;
}

function pathLine(entry: TreeEntry): string {
  return entry.kind === 'symlink' ? `${entry.path}\0${entry.target}` : entry.path;
}

/** The times of files of equal content: gcc compares them under `#pragma once`. */
function twinTimes(files: readonly FileEntry[]): string[] {
  const first = new Map<string, FileEntry>();
  const times = new Set<string>();
  for (const file of files) {
    const twin = first.get(file.digest.hash);
    if (twin === undefined) first.set(file.digest.hash, file);
    else for (const { path, mtimeNs } of [twin, file]) times.add(`${path}\0${mtimeNs}`);
  }
  return [...times];
}

/** The key of what `closure` gives to the command. */
export function resultKey(command: Digest, closure: Closure): string {
  const hash = createHash('sha256').update(command.hash);
  const { files, symlinks, directories } = closure;
  for (const lines of [files.map(lineOf), twinTimes(files), symlinks.map(pathLine), directories.map(pathLine)]) {
    // Any fixed order will do, and the plain one takes an eighth of the time of that by UTF-8 bytes.
    hash.update('\n\n').update(lines.toSorted().join('\n'));
  }
  return hash.digest('hex');
}

function load(path: string): Map<string, string> {
  try {
    const entries: unknown = JSON.parse(readFileSync(path, 'utf8'));
    return new Map(Array.isArray(entries) ? (entries as [string, string][]).slice(-mostKeys) : []);
  } catch {
    return new Map();
  }
}

export function newResultMemory(cacheDir: string): ResultMemory {
  const path = join(cacheDir, fileName);
  // Read at the first question: a build with the result cache off never needs it.
  let known: Map<string, string> | undefined;
  let changed = false;
  const actions = (): Map<string, string> => (known ??= load(path));
  return {
    recall: (key) => {
      const found = actions().get(key);
      return found === undefined ? undefined : parseDigestKey(found);
    },
    remember: (key, action) => {
      changed = true;
      actions().delete(key);
      actions().set(key, digestKey(action));
    },
    save: () => {
      if (changed) writeKept(path, () => JSON.stringify([...actions()].slice(-mostKeys)));
    },
  };
}
