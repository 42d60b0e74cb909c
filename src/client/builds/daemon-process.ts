// The process of the client daemon, by what the kernel says: for one that does not answer itself.
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { temporarySocket, type RuntimeDir } from '../../trust/runtime-dir.ts';

// In /proc/net/unix: number, references, protocol, flags (here: it listens), type, state, inode, the path as it was bound.
function listens(path: string): string | undefined {
  const rows = readFileSync('/proc/net/unix', 'utf8').split('\n');
  const row = rows
    .map((line) => line.trim().split(/\s+/))
    .find((words) => words[3] === '00010000' && words[7] === path);
  return row?.[6];
}

function isDaemon(pid: string, directory: RuntimeDir): boolean {
  const inode = listens(temporarySocket(directory, Number(pid)));
  if (inode === undefined) return false;
  try {
    // The same path may be another's in another mount namespace.
    if (readlinkSync(`/proc/${pid}/ns/mnt`) !== readlinkSync('/proc/self/ns/mnt')) return false;
    const fds = `/proc/${pid}/fd`;
    return readdirSync(fds).some((fd) => readlinkSync(`${fds}/${fd}`) === `socket:[${inode}]`);
  } catch {
    return false; // Of another user, or gone.
  }
}

export function daemonProcess(directory: RuntimeDir): number | undefined {
  const found = readdirSync('/proc').find((name) => /^[0-9]+$/.test(name) && isDaemon(name, directory));
  return found === undefined ? undefined : Number(found);
}
