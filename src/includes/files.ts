// The file system as the include view sees it: an argument, so that a test can count and fake every access.
//
// Times are whole nanoseconds. Doubles would do for "has it changed" (see isSettled in tree.ts), but a worker is told
// the exact mtime, and a BigIntStats costs 2.7 µs where a Stats costs 2.5.
import {
  closeSync,
  constants,
  fstatSync,
  openSync,
  readdirSync,
  readlinkSync,
  readSync,
  statSync,
  lstatSync,
} from 'node:fs';
import type { BigIntStats, Dirent } from 'node:fs';

export type EntryKind = 'file' | 'directory' | 'symlink' | 'other';

export type FileStat = Pick<BigIntStats, 'dev' | 'ino' | 'mode' | 'nlink' | 'size' | 'mtimeNs' | 'ctimeNs'>;

export type Files = {
  /** Follows symbolic links; undefined if nothing is there. */
  readonly stat: (path: string) => FileStat | undefined;
  /** Names and kinds in a directory; undefined if it cannot be listed. */
  readonly list: (path: string) => Map<string, EntryKind> | undefined;
  /** One name's kind, for directories that may be searched but not listed. */
  readonly kindOf: (path: string) => EntryKind | undefined;
  readonly readLink: (path: string) => string | undefined;
  /** Content and the stat of the very file that was read; undefined if it cannot be read or is not a regular file. */
  readonly read: (path: string) => { readonly bytes: Buffer; readonly stat: FileStat } | undefined;
};

const typeMask = BigInt(constants.S_IFMT);
const kinds = new Map<bigint, EntryKind>([
  [BigInt(constants.S_IFREG), 'file'],
  [BigInt(constants.S_IFDIR), 'directory'],
  [BigInt(constants.S_IFLNK), 'symlink'],
]);

export function kindOfMode(mode: bigint): EntryKind {
  return kinds.get(mode & typeMask) ?? 'other';
}

function kindOfDirent(entry: Dirent): EntryKind {
  if (entry.isFile()) return 'file';
  if (entry.isDirectory()) return 'directory';
  return entry.isSymbolicLink() ? 'symlink' : 'other';
}

function orUndefined<T>(access: () => T): T | undefined {
  try {
    return access();
  } catch {
    return undefined;
  }
}

/** Without what nobody asks for: a BigIntStats has four Dates and ten more numbers, 1 KB of each file that is known. */
function fieldsOf({ dev, ino, mode, nlink, size, mtimeNs, ctimeNs }: BigIntStats): FileStat {
  return { dev, ino, mode, nlink, size, mtimeNs, ctimeNs };
}

function statOf(path: string): FileStat | undefined {
  try {
    const stat = statSync(path, { bigint: true, throwIfNoEntry: false });
    return stat === undefined ? undefined : fieldsOf(stat);
  } catch {
    return undefined; // EACCES, ELOOP, ENAMETOOLONG: not there for a compiler either.
  }
}

function listOf(path: string): Map<string, EntryKind> | undefined {
  return orUndefined(() => {
    const names = new Map<string, EntryKind>();
    for (const entry of readdirSync(path, { withFileTypes: true })) names.set(entry.name, kindOfDirent(entry));
    return names;
  });
}

function readFully(fd: number, sizeBytes: number): Buffer {
  const bytes = Buffer.allocUnsafeSlow(sizeBytes);
  let at = 0;
  while (at < sizeBytes) {
    const got = readSync(fd, bytes, at, sizeBytes - at, at);
    if (got === 0) break;
    at += got;
  }
  return at === sizeBytes ? bytes : bytes.subarray(0, at);
}

// O_NONBLOCK: should the name have become a FIFO since it was looked at, the open returns at once.
const openFlags = constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY;

function readFile(path: string): { bytes: Buffer; stat: FileStat } | undefined {
  return orUndefined(() => {
    const fd = openSync(path, openFlags);
    try {
      const stat = fieldsOf(fstatSync(fd, { bigint: true }));
      if (kindOfMode(stat.mode) !== 'file') return undefined;
      return { bytes: readFully(fd, Number(stat.size)), stat };
    } finally {
      closeSync(fd);
    }
  });
}

export const realFiles: Files = {
  stat: statOf,
  list: listOf,
  kindOf: (path) => {
    const stat = orUndefined(() => lstatSync(path, { bigint: true, throwIfNoEntry: false }));
    return stat === undefined ? undefined : kindOfMode(stat.mode);
  },
  readLink: (path) => orUndefined(() => readlinkSync(path)),
  read: readFile,
};

/** Nanoseconds since 1970 by the clock that the kernel stamps files with. */
export function realNowNs(): bigint {
  return BigInt(Date.now()) * 1_000_000n;
}
