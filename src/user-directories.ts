// Where a user's files go by the XDG Base Directory Specification: a variable that is not an absolute path counts as unset.
import { homedir } from 'node:os';
import { isAbsolute, join } from 'node:path';

type Environment = Readonly<Record<string, string | undefined>>;

function directoryOf(named: string | undefined, ...underHome: readonly string[]): string {
  return join(named !== undefined && isAbsolute(named) ? named : join(homedir(), ...underHome), 'shoal');
}

/** `~/.cache/shoal`, or where XDG says: what can be made again. */
export function cacheDir(env: Environment = process.env): string {
  return directoryOf(env['XDG_CACHE_HOME'], '.cache');
}

/** `~/.local/state/shoal`, or where XDG says: what is kept beyond a cache. */
export function stateDir(env: Environment): string {
  return directoryOf(env['XDG_STATE_HOME'], '.local', 'state');
}

/** Where a worker keeps its store and its identity, unless told otherwise. */
export function workerStateDir(env: Environment): string {
  return join(stateDir(env), 'worker');
}
