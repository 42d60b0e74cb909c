// With which program an action may begin:
//   own      a compiler that this worker has itself and announces; what the client sends is read, not begun with
//   shipped  that, or a program of the action's own input root: all that runs is named by content
//   any      that, or the box's own tools, beside which a plain action runs (Bazel's, for example)
// It says what a worker is for, and is no boundary: a compiler starts what its command line tells it to, and the sandbox
// holds that as it holds the first program.
import type { Digest } from '../../reapi/digest.ts';
import { GrpcError, grpcCode } from '../../reapi/errors.ts';
import type { Peer } from '../../trust/peer.ts';
import type { UnderstoodAction } from './action-input.ts';
import type { Directories, TreeEntries } from '../trees/directories.ts';

export const commandKinds = ['own', 'shipped', 'any'] as const;
export type Commands = (typeof commandKinds)[number];

/** Members of a farm have toolchains in common; who comes without a farm is this user, or any client of the protocol. */
export function commandsFor(asked: Commands | undefined, peer: Peer): Commands {
  return asked ?? (peer.kind === 'member' ? 'shipped' : 'any');
}

export type CommandWorld = {
  readonly directories: Directories;
  /** The driver's path in a toolchain that this worker announces. */
  readonly driverOf: (toolchain: Digest) => string | undefined;
};

function denied(why: string, commands: Commands): GrpcError {
  return new GrpcError(grpcCode.PERMISSION_DENIED, `${why}: this worker's --commands is ${commands}`);
}

/** True if the input root has something of its own at the path, or a file or link on the way to it. */
function isHidden({ directories }: CommandWorld, root: Digest, path: string): boolean {
  const names = path.split('/').filter((name) => name !== '');
  let at: Digest | undefined = root;
  for (const name of names) {
    const entries: TreeEntries | undefined = at === undefined ? undefined : directories.read(at);
    if (entries === undefined) return false;
    if (entries.files.has(name) || entries.symlinks.has(name)) return true;
    at = entries.directories.get(name);
  }
  return at !== undefined;
}

/** The action, with the program that it begins with where that is not the client's choice. @throws GrpcError */
export function checkedCommand(world: CommandWorld, commands: Commands, action: UnderstoodAction): UnderstoodAction {
  if (commands === 'any') return action;
  if (!action.isRoot) throw denied("a plain action would run with this box's tools", commands);
  if (commands === 'shipped') return action;
  if (action.toolchain === undefined) throw denied('the action names no toolchain', commands);
  const program = world.driverOf(action.toolchain);
  // A toolchain that is not here is what the action's run says best.
  if (program === undefined) return action;
  if (isHidden(world, action.inputRoot, program)) throw denied(`the action brings a ${program} of its own`, commands);
  return { ...action, program };
}
