// An action as the sandbox takes it: its root, what it runs, and how much it may use.
import { totalmem } from 'node:os';
import { posix, relative } from 'node:path';
import type { UnderstoodAction } from './action-input.ts';
import { hostPaths, type Limits, type SandboxJob, type SandboxRoot } from './sandbox.ts';
import type { PreparedTree } from './trees.ts';

export type JobPlaces = { readonly tree: PreparedTree; readonly toolchainDir: string | undefined };

// Where a plain action's input root appears, beside the tools of the box.
const plainRoot = 'build';
// Of address space: no process of a job has use for more than the box has. Asking costs 40 µs.
const boxMemoryBytes = totalmem();
// gcc runs four processes, `make` inside a plain action some more; a fork bomb ends here.
const maxProcesses = 512;
// Of objects with debug information the largest seen have some 100 MB.
const maxOutputBytes = 256 << 20;
// tmpfs, that is memory: outputs, and the compiler's temporary files (assembler text is some five times the object).
const maxDiskBytes = 2 * 2 ** 30;

function limitsFor({ timeoutMs }: UnderstoodAction): Limits {
  return {
    wallMs: timeoutMs,
    // Per process: one that is busy on one processor may use its whole time.
    cpuSeconds: Math.ceil(timeoutMs / 1000) + 1,
    memoryBytes: boxMemoryBytes,
    processes: maxProcesses,
    outputBytes: maxOutputBytes,
    diskBytes: maxDiskBytes,
  };
}

function rootOf(stateDir: string, action: UnderstoodAction, { tree, toolchainDir }: JobPlaces): SandboxRoot {
  const below = toolchainDir === undefined ? tree.lowerDirs : [...tree.lowerDirs, toolchainDir];
  const lowerDirs = below.map((path) => relative(stateDir, path));
  return action.isRoot
    ? { kind: 'exact', lowerDirs }
    : { kind: 'within', lowerDirs, mountAt: plainRoot, hostDirs: hostPaths };
}

/** The working directory and the parents of outputs exist before the command runs, whether the input tree has them or not. */
export function madeDirectories({ directory, outputs }: UnderstoodAction): readonly string[] {
  const made = new Set([directory]);
  for (const { path } of outputs) made.add(posix.dirname(path));
  made.delete('');
  made.delete('.');
  return [...made];
}

export function sandboxJob(stateDir: string, action: UnderstoodAction, places: JobPlaces): SandboxJob {
  const { tree } = places;
  const { command, directory, terminal } = action;
  const base = action.isRoot ? '/' : `/${plainRoot}`;
  return {
    root: rootOf(stateDir, action, places),
    additions: tree.additions,
    symlinks: tree.symlinks,
    directories: [...madeDirectories(action), ...tree.directories],
    deletions: tree.deletions,
    argv: command.arguments,
    env: command.environmentVariables.map(({ name, value }) => `${name}=${value}`),
    cwd: posix.join(base, directory),
    outputs: action.outputs.map(({ path }) => path),
    ...(terminal === undefined ? {} : { terminal }),
    limits: limitsFor(action),
  };
}
