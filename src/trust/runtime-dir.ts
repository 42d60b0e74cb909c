// Where this user's sockets are. The place follows from the uid alone, never from the environment: a scrubbed
// environment (`env -i`, debuild) still finds the daemon, and no variable can lead a launcher to somebody else's socket.
// launcher/ computes the same path in C.
import { lstatSync, mkdirSync, readFileSync, realpathSync, type Stats } from 'node:fs';
import { dirname } from 'node:path';

export type RuntimeDir = {
  readonly path: string;
  readonly socket: string;
  readonly workerSocket: string;
  /** Made by the launchers: they take turns there (launcher/gate.c). */
  readonly gate: string;
  /** Made by a launcher whose daemon did not answer: the others do without it for a while. */
  readonly stuck: string;
};

export class RuntimeDirError extends Error {
  readonly code = 'RUNTIME_DIR';
}

function statOf(path: string): Stats | undefined {
  return lstatSync(path, { throwIfNoEntry: false });
}

/** `/run/user/UID/shoal` where the login manager made that directory for the uid, else `/tmp/shoal-UID`. */
export function runtimeDirPath(uid: number): string {
  const login = statOf(`/run/user/${uid}`);
  // Who may write there could put another directory in the place of ours.
  const usable = login?.isDirectory() === true && login.uid === uid && (login.mode & 0o022) === 0;
  return usable ? `/run/user/${uid}/shoal` : `/tmp/shoal-${uid}`;
}

function currentUid(): number {
  const uid = process.getuid?.();
  if (uid === undefined) throw new RuntimeDirError('this system has no user ids');
  return uid;
}

/**
 * The runtime directory, made if absent. It must be a directory of our own that nobody else can enter: /tmp is shared,
 * and whoever owns the directory owns the sockets in it.
 * @throws RuntimeDirError if somebody else made it first, or it is open to others.
 */
export function openRuntimeDir(uid: number = currentUid()): RuntimeDir {
  const path = runtimeDirPath(uid);
  try {
    mkdirSync(path, { mode: 0o700 });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') {
      throw new RuntimeDirError(`cannot make ${path}: ${(error as Error).message}`, { cause: error });
    }
  }
  const found = statOf(path);
  if (found === undefined || !found.isDirectory() || found.uid !== uid || (found.mode & 0o077) !== 0) {
    throw new RuntimeDirError(
      `${path} is not a private directory of uid ${uid}: remove it (or have its owner remove it), then try again`,
    );
  }
  const at = (name: string): string => `${path}/${name}`;
  return {
    path,
    socket: at('daemon.sock'),
    workerSocket: at('worker.sock'),
    gate: at('gate'),
    stuck: at('daemon.stuck'),
  };
}

/** The name that a daemon binds, before it takes the well-known one: the kernel goes on to list it by this. */
export function temporarySocket({ path }: RuntimeDir, pid: number): string {
  return `${path}/daemon.${pid}.sock`;
}

// Inside a user namespace the owner that has no id there is shown as this one: the box's root, mostly.
const overflowUid = 65_534;

function isUnmapped(uid: number): boolean {
  return uid === overflowUid && !/^\s*0\s+0\s+4294967295\s*$/.test(readFileSync('/proc/self/uid_map', 'latin1'));
}

/**
 * What is wrong with a directory that a service keeps its state in: somebody else owns it or a directory above, or can
 * put another in its place. Undefined if nothing is. Links on the way are followed, as whoever set them up meant it.
 */
export function stateDirFlaw(path: string, uid: number = currentUid()): string | undefined {
  const real = realpathSync(path);
  for (let at = real; ; at = dirname(at)) {
    const { uid: owner, gid, mode } = lstatSync(at);
    if (owner !== uid && owner !== 0 && !isUnmapped(owner)) return `${at} belongs to uid ${owner}`;
    // Many systems give each user a group of the same name, and let it write.
    const byGroup = (mode & 0o020) !== 0 && gid !== process.getgid?.();
    const isSticky = (mode & 0o1000) !== 0 && at !== real;
    if ((byGroup || (mode & 0o002) !== 0) && !isSticky) return `${at} can be written by others`;
    if (at === '/') return undefined;
  }
}

/** True if `path` is a socket that belongs to this uid, or to root: the only sockets worth talking to. */
export function isOwnSocket(path: string, uid: number = currentUid()): boolean {
  const found = statOf(path);
  return found !== undefined && found.isSocket() && (found.uid === uid || found.uid === 0);
}
