// Steps 2 and 3 of a job: what the compile can read, and the input root made of it.
import type { Closure, DirectoryEntry, TreeEntry } from '../../includes/types.ts';
import { addToLayer, removePath, rootFor, type Layer, type TreeDirectory } from './input-tree.ts';
import type { RunHere } from './run-here.ts';
import { systemInputs } from './system-inputs.ts';
import type { UnderstoodJob } from './understand.ts';
import type { PlanWorld } from './world.ts';

export type JobClosure = Closure & { readonly epoch: number };

/** What the jobs of one build read, together. */
export type BuildInputs = {
  /** The input layer that they share. */
  readonly layer: Layer;
  /** Paths that the last build here needed: the first job puts them into the layer. */
  expected: readonly string[];
};

/** The first job of a build puts into the layer what the last build here had in it, as far as it is still there. */
function takeExpected(
  world: PlanWorld,
  inputs: BuildInputs,
  at: { readonly job: UnderstoodJob; readonly epoch: number },
): void {
  const extraInputs = inputs.expected;
  if (extraInputs.length === 0) return;
  inputs.expected = [];
  const { request, toolchain, unit } = at.job;
  const found = world.includes.closure({
    epoch: at.epoch,
    cwd: request.cwd,
    source: unit.source,
    forced: [],
    extraInputs,
    quoteDirs: [],
    searchDirs: [],
    macros: [],
    toolchain: { key: toolchain.digest.hash, isInside: toolchain.isInside },
    sourceDateEpoch: true,
    preprocessed: true,
  });
  if (found.kind === 'here') return;
  addToLayer(inputs.layer, found.directories);
  addToLayer(inputs.layer, found.symlinks);
  addToLayer(inputs.layer, found.files, found.source);
}

/** The closure of a job, every part of it as it was looked at in `epoch`. */
export function findClosure(
  world: PlanWorld,
  inputs: BuildInputs,
  { job, epoch }: { readonly job: UnderstoodJob; readonly epoch: number },
): JobClosure | RunHere {
  takeExpected(world, inputs, { job, epoch });
  return closureOf(world, { job, epoch });
}

/** As `findClosure`, of a compile that belongs to no build of ours. */
export function closureOf(
  world: Pick<PlanWorld, 'includes'>,
  { job, epoch }: { readonly job: UnderstoodJob; readonly epoch: number },
): JobClosure | RunHere {
  const { unit, request, toolchain, builtins } = job;
  const { search } = unit;
  const found = world.includes.closure({
    epoch,
    cwd: request.cwd,
    source: unit.source,
    forced: unit.forced.map((forced) => forced.file),
    extraInputs: [...unit.inputs, ...systemInputs(job)],
    quoteDirs: search.quote,
    searchDirs: [
      ...search.angle,
      ...search.system,
      // The build may make those that are not there.
      ...(unit.standardIncludes ? [...builtins.directories, ...builtins.missing] : []),
      ...search.after,
    ],
    macros: unit.macros,
    toolchain: { key: toolchain.digest.hash, isInside: toolchain.isInside },
    sourceDateEpoch: job.sourceDateEpoch,
    preprocessed: unit.preprocessed,
  });
  if (found.kind === 'here') return found;
  return (toolchain.family === 'clang' ? hardLinked(found) : undefined) ?? { ...found, epoch };
}

/** clang takes two names of one inode for one file; on a worker each path has an inode of its own. */
function hardLinked({ files }: Closure): RunHere | undefined {
  const seen = new Set<string>();
  for (const { hardLink, path } of files) {
    if (hardLink === undefined) continue;
    if (seen.has(hardLink)) return { kind: 'here', reason: 'hard-links', detail: path };
    seen.add(hardLink);
  }
  return undefined;
}

const sameEntries = (a: readonly TreeEntry[], b: readonly TreeEntry[]): boolean =>
  a.length === b.length && a.every((entry, at) => entry === b[at]);

/**
 * True if the job, found anew in `epoch`, would be given the very same inputs. A name that came or went somewhere makes
 * the whole closure to be found again, mostly with the same outcome.
 */
export function closureStands(
  world: PlanWorld,
  inputs: BuildInputs,
  { job, closure, epoch }: { readonly job: UnderstoodJob; readonly closure: JobClosure; readonly epoch: number },
): boolean {
  if (closure.epoch === epoch || world.includes.holds(closure, epoch)) return true;
  const now = findClosure(world, inputs, { job, epoch });
  return (
    now.kind === 'closure' &&
    sameEntries(now.files, closure.files) &&
    sameEntries(now.symlinks, closure.symlinks) &&
    sameEntries(now.directories, closure.directories)
  );
}

// Directories in which this job looks for nothing: what vanishes there can wait.
const fullCheckMs = 2000;

/**
 * Takes out what no longer exists. The closure has just looked at every directory that this job can look into, and a
 * name gone from one of them is a new generation; the other directories, half of all stats, are looked at in turn.
 */
function dropVanished(world: PlanWorld, layer: Layer, { epoch }: JobClosure): void {
  const { generation } = world.includes.counts();
  const nowMs = world.clock.nowMs();
  const { checked } = layer;
  if (generation === checked.generation && nowMs - checked.atMs < fullCheckMs) return;
  for (const entry of world.includes.vanished(layer.present.values(), epoch)) removePath(layer, entry.path);
  layer.checked = { atMs: nowMs, generation: world.includes.counts().generation };
}

/** Puts the closure into the build's layer, takes out what no longer exists, and gives the job's root. */
export function layInputs(world: PlanWorld, layer: Layer, closure: JobClosure): TreeDirectory {
  dropVanished(world, layer, closure);
  addToLayer(layer, closure.directories satisfies readonly DirectoryEntry[]);
  addToLayer(layer, closure.symlinks);
  addToLayer(layer, closure.files, closure.source);
  return rootFor(layer, closure.source);
}
