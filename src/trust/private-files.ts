// Files that only their owner may read, written so that a crash leaves the old content or the new. What others could
// have planted or changed (a symbolic link, another uid's file, one open to others) is refused, not read.
import { randomBytes } from 'node:crypto';
import { closeSync, constants, fstatSync, fsyncSync, lstatSync, openSync, readdirSync } from 'node:fs';
import { readSync, renameSync, rmSync, writeFileSync, type Stats } from 'node:fs';
import { dirname, join } from 'node:path';
import { makeDirectory } from '../make-directory.ts';

export class PrivateFileError extends Error {
  readonly code = 'PRIVATE_FILE';
}

export type PrivateRead =
  | { readonly kind: 'read'; readonly bytes: Buffer }
  | { readonly kind: 'absent' }
  | { readonly kind: 'refused'; readonly why: string; readonly remedy: string };

const openToOthers = 0o077;

function refusal(path: string, found: Stats): { readonly why: string; readonly remedy: string } | undefined {
  const uid = process.getuid?.();
  if (found.uid !== uid) {
    const remedy = `run this as uid ${found.uid}, if you trust it; else find out who made it, and remove it`;
    return { why: `${path} belongs to uid ${found.uid}, not to ${uid}`, remedy };
  }
  if ((found.mode & openToOthers) !== 0) {
    const mode = (found.mode & 0o777).toString(8);
    return { why: `${path} is open to others (mode ${mode})`, remedy: `if nobody has used that: chmod go= ${path}` };
  }
  return undefined;
}

/** What is wrong with a directory that has to be our own and closed to others: undefined if nothing. */
export function directoryRefusal(path: string): Exclude<PrivateRead, { kind: 'read' }> | undefined {
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (found === undefined) return { kind: 'absent' };
  if (!found.isDirectory()) {
    const what = found.isSymbolicLink() ? 'a symbolic link' : 'no directory';
    return { kind: 'refused', why: `${path} is ${what}`, remedy: 'find out who made it; then remove it' };
  }
  const why = refusal(path, found);
  return why === undefined ? undefined : { kind: 'refused', ...why };
}

export function readPrivate(path: string, maxBytes: number): PrivateRead {
  let fd: number;
  try {
    // Not blocking: a planted FIFO would keep us at open.
    fd = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') return { kind: 'absent' };
    if (code === 'ELOOP') {
      return { kind: 'refused', why: `${path} is a symbolic link`, remedy: 'find out who made it; then remove it' };
    }
    return { kind: 'refused', why: message, remedy: `make ${path} readable for its owner` };
  }
  try {
    const found = fstatSync(fd);
    if (!found.isFile()) return { kind: 'refused', why: `${path} is no file`, remedy: 'remove it' };
    const why = refusal(path, found);
    if (why !== undefined) return { kind: 'refused', ...why };
    if (found.size > maxBytes) {
      return { kind: 'refused', why: `${path} is larger than ${maxBytes} bytes`, remedy: 'restore it or remove it' };
    }
    return { kind: 'read', bytes: readAll(fd, found.size) };
  } finally {
    closeSync(fd);
  }
}

function readAll(fd: number, size: number): Buffer {
  const bytes = Buffer.alloc(size);
  let length = 0;
  while (length < size) {
    const got = readSync(fd, bytes, length, size - length, null);
    if (got === 0) break;
    length += got;
  }
  return bytes.subarray(0, length);
}

function syncDirectory(path: string): void {
  const fd = openSync(path, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

/** Replaces `path` as a whole, on the disk when it returns. A crash leaves the old content, and perhaps `PATH.tmp-…`. */
export function writePrivate(path: string, content: string | Uint8Array): void {
  const temporary = `${path}.tmp-${randomBytes(6).toString('hex')}`;
  try {
    const fd = openSync(temporary, 'wx', 0o600);
    try {
      writeFileSync(fd, content);
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
    renameSync(temporary, path);
    syncDirectory(dirname(path));
  } catch (error) {
    rmSync(temporary, { force: true });
    throw new PrivateFileError(`cannot write ${path}: ${(error as Error).message}`, { cause: error });
  }
}

/** @throws PrivateFileError if it cannot be made, or what is there is not ours alone. */
export function makePrivateDirectory(path: string): void {
  try {
    makeDirectory(path, 0o700);
  } catch (error) {
    throw new PrivateFileError(`cannot make ${path}: ${(error as Error).message}`, { cause: error });
  }
  const refused = directoryRefusal(path);
  if (refused?.kind === 'refused') throw new PrivateFileError(`${refused.why}: ${refused.remedy}`);
}

const leftoverMs = 3_600_000;

/** Removes what writes and preparations that were killed have left in a directory: they hold keys, and nobody needs them. */
export function removeLeftovers(directory: string, nowMs: number): void {
  for (const name of readdirSync(directory)) {
    if (!/\.(?:tmp|new)-[0-9a-f]{12}$/.test(name)) continue;
    const path = join(directory, name);
    const found = lstatSync(path, { throwIfNoEntry: false });
    // Younger ones may be another process's, which is still at it.
    if (found !== undefined && nowMs - found.mtimeMs > leftoverMs) rmSync(path, { recursive: true, force: true });
  }
}

/** Moves a directory, on the disk when it returns. */
export function moveDirectory(from: string, to: string): void {
  renameSync(from, to);
  syncDirectory(dirname(to));
}
