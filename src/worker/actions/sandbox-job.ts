// An action as the sandbox takes it: its root, what it runs, and how much it may use.
import { posix, relative } from 'node:path';
import type { UnderstoodAction } from './action-input.ts';
import type { JobMemory } from '../sandbox/memory-bounds.ts';
import type { Limits, SandboxJob, SandboxRoot } from '../sandbox/sandbox.ts';
import { hostPaths, maxProcesses } from '../sandbox/slot-process.ts';
import type { PreparedTree } from '../trees/trees.ts';
import { wholeDirectories, type Lower } from '../trees/whole-directories.ts';
import type { WholeDirectory } from '../sandbox/codec.ts';

export type JobPlaces = { readonly tree: PreparedTree; readonly toolchain: Lower | undefined };

// Where a plain action's input root appears, beside the tools of the box.
const plainRoot = 'build';
// Of objects with debug information the largest seen have some 100 MB.
const maxOutputBytes = 256 << 20;
// tmpfs, that is memory: outputs, and the compiler's temporary files (assembler text is some five times the object).
const maxDiskBytes = 2 * 2 ** 30;

export function limitsFor(
  { timeoutMs }: Pick<UnderstoodAction, 'timeoutMs'>,
  { jobBytes, isGrouped }: JobMemory,
): Limits {
  return {
    wallMs: timeoutMs,
    // Per process: one that is busy on one processor may use its whole time.
    cpuSeconds: Math.ceil(timeoutMs / 1000) + 1,
    memoryBytes: isGrouped ? 0 : jobBytes,
    processes: maxProcesses,
    // They are gathered in memory, which is the job's.
    outputBytes: Math.min(maxOutputBytes, Math.floor(jobBytes / 4)),
    diskBytes: Math.min(maxDiskBytes, jobBytes),
  };
}

function lowersOf(stateDir: string, { tree, toolchain }: JobPlaces): readonly Lower[] {
  const below = toolchain === undefined ? tree.lowers : [...tree.lowers, toolchain];
  return below.map(({ path, directories }) => ({ path: relative(stateDir, path), directories }));
}

function rootOf(action: UnderstoodAction, lowers: readonly Lower[]): SandboxRoot {
  const lowerDirs = lowers.map(({ path }) => path);
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

// What the sandbox itself puts into every root.
export const sandboxOwn = ['dev', 'proc', 'tmp'];

type Laid = { readonly lowers: readonly Lower[]; readonly directories: readonly string[] };

function wholeIn(action: UnderstoodAction, { tree, toolchain }: JobPlaces, laid: Laid): WholeDirectory[] {
  const temporary = action.command.environmentVariables.find(({ name }) => name === 'TMPDIR')?.value ?? '';
  const placed = [...tree.additions, ...tree.symlinks].map(({ path }) => path);
  return wholeDirectories({
    lowers: laid.lowers,
    hasToolchain: toolchain !== undefined,
    view: tree.view,
    directories: [...laid.directories, ...sandboxOwn, posix.join('/', temporary).slice(1)],
    entries: [...placed, ...tree.deletions],
  });
}

export type JobSurroundings = { readonly stateDir: string; readonly slots: { readonly memory: JobMemory } };

export function sandboxJob(
  { stateDir, slots }: JobSurroundings,
  action: UnderstoodAction,
  places: JobPlaces,
): SandboxJob {
  const { tree } = places;
  const { command, directory, terminal } = action;
  const base = action.isRoot ? '/' : `/${plainRoot}`;
  const lowers = lowersOf(stateDir, places);
  const directories = [...madeDirectories(action), ...tree.directories];
  return {
    root: rootOf(action, lowers),
    whole: action.isRoot ? wholeIn(action, places, { lowers, directories }) : [],
    additions: tree.additions,
    symlinks: tree.symlinks,
    directories,
    deletions: tree.deletions,
    argv: command.arguments,
    ...(action.program === undefined ? {} : { program: action.program }),
    env: command.environmentVariables.map(({ name, value }) => `${name}=${value}`),
    cwd: posix.join(base, directory),
    outputs: action.outputs.map(({ path }) => path),
    ...(terminal === undefined ? {} : { terminal }),
    limits: limitsFor(action, slots.memory),
  };
}
