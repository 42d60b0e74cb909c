// Input trees of jobs: immutable layers on disk and a small difference that the job's own layer takes.
//
// A *stack* is a list of layers, the topmost first, with the tree that they show together. A job takes the first stack
// whose difference from its root is small. If there is none, what is new goes as one more layer on the nearest stack, or
// a new stack begins; either stands in the list before it is laid out, so that jobs which need the same wait for the same
// layer. The job's own sources, which its command line names, never go into a layer: no other job reads them.
import { lstatSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Digest } from '../../reapi/digest.ts';
import { GrpcError, grpcCode, missingBlobsError } from '../../reapi/errors.ts';
import type { BlobStore } from '../../store/blob-store.ts';
import type { Directories, TreeFile } from './directories.ts';
import type { Addition } from '../sandbox/sandbox.ts';
import { openLayers, type Layer, type Layers } from './layers.ts';
import {
  differenceWithin,
  emptyTree,
  extended,
  missingBelow,
  MissingDirectory,
  type DifferenceBound,
  type KindBelow,
  type LaidTree,
  type TreeDifference,
} from './tree-difference.ts';
import { countDirectories, type Lower } from './whole-directories.ts';

export type TreeRequest = {
  readonly root: Digest;
  /** True for a root-relative path that the job alone reads. */
  readonly isOwn: (path: string) => boolean;
  /** Directories that the job's own layer will have beside the tree's. */
  readonly made: readonly string[];
  /** The toolchain that the job sees below the tree, if it does. */
  readonly toolchainDir?: string | undefined;
};

/** What a job's root is made of. Paths are relative to the root. */
export type PreparedTree = {
  /** Topmost first, never empty. */
  readonly lowers: readonly Lower[];
  /** What they show together. */
  readonly view: LaidTree;
  readonly additions: readonly Addition[];
  readonly symlinks: readonly { readonly path: string; readonly target: string }[];
  readonly directories: readonly string[];
  readonly deletions: readonly string[];
  /** To be called once, when the job has ended. */
  readonly release: () => void;
};

export type Trees = {
  /**
   * @throws GrpcError FAILED_PRECONDITION with every blob that is missing below the root, INVALID_ARGUMENT for a tree
   * that is none; StoreError RESOURCE_EXHAUSTED.
   */
  readonly prepare: (request: TreeRequest) => Promise<PreparedTree>;
};

export type TreesOptions = {
  readonly directory: string;
  readonly store: BlobStore;
  readonly directories: Directories;
};

// What a job may carry itself: a file costs the sandbox some 10 µs each time, a new layer some 40 µs a file once and
// one more directory to look names up in for all who come after.
const smallEntries = 8;
const smallBytes = 256 << 10;
// An overlay costs 0.01 ms more for each lower directory; past this many a fresh base is cheaper.
const maxLayers = 8;
const maxDeletions = 8;
const maxStacks = 8;
// Some 10 builds of the largest kind; each entry holds an inode and some 300 bytes of memory.
const maxLaidEntries = 120_000;

type Stack = {
  readonly layers: readonly Layer[];
  readonly tree: LaidTree;
  readonly ready: Promise<void>;
};

export async function openTrees({ directory, store, directories }: TreesOptions): Promise<Trees> {
  const layers = await openLayers(directory, store);
  const shelf = newShelf(layers);
  const emptyLower: Lower = { path: layers.emptyPath, directories: countDirectories([]) };
  const bare: Stack = { layers: [], tree: emptyTree, ready: Promise.resolve() };

  const difference = (stack: Stack, request: TreeRequest, bound?: DifferenceBound): TreeDifference | undefined => {
    const { root, made, toolchainDir } = request;
    return differenceWithin(directories, { laid: stack.tree, root, made, kindBelow: kindIn(toolchainDir) }, bound);
  };

  /** A stack that is near enough, made if there is none. Nothing is awaited in here. */
  const choose = (request: TreeRequest): { readonly stack: Stack; readonly rest: TreeDifference } => {
    const { root, isOwn } = request;
    const bound = { isOwn, maxEntries: smallEntries, maxBytes: smallBytes };
    for (const stack of [...shelf.stacks, bare]) {
      const rest = difference(stack, request, bound);
      if (rest !== undefined) return { stack, rest };
    }
    const { base, whole } = nearest([...shelf.stacks], bare, (stack) => difference(stack, request));
    const contents = withoutOwn(whole, isOwn);
    const absent = store.missing(contents.files.map(({ file }) => file.digest));
    if (absent.length > 0) throw missingBlobsError(absent);
    const layer = layers.lay(contents);
    const tree = extended(directories, { laid: base.tree, root }, isOwn);
    const ready = Promise.all([base.ready, layer.done]).then(() => undefined);
    const stack: Stack = { layers: [layer, ...base.layers], tree, ready };
    shelf.put(stack, base);
    return { stack, rest: difference(stack, request) ?? noDifference() };
  };

  const take = async (request: TreeRequest): Promise<PreparedTree> => {
    const { stack, rest } = choose(request);
    const release = shelf.hold(stack);
    try {
      const { symlinks, deletions } = rest;
      const additions = rest.files.map(({ path, file }) => addition(store, path, file));
      await stack.ready;
      const lowers = stack.layers.length === 0 ? [emptyLower] : stack.layers;
      return { lowers, view: stack.tree, additions, symlinks, directories: rest.directories, deletions, release };
    } catch (error) {
      release();
      throw error;
    }
  };

  /** One missing blob is found by chance of the order; a client wants to hear of all at once. */
  const describeMissing = (error: unknown, root: Digest): unknown => {
    const isMissing = error instanceof GrpcError && error.code === grpcCode.FAILED_PRECONDITION;
    if (!isMissing && !(error instanceof MissingDirectory)) return error;
    const absent = missingBelow(directories, root, store.missing);
    return absent.length === 0 ? error : missingBlobsError(absent);
  };

  const prepare: Trees['prepare'] = async (request) => {
    try {
      return await take(request);
    } catch (error) {
      throw describeMissing(error, request.root);
    }
  };

  return { prepare };
}

/** A layer holds the directories of the files that stay out of it: later jobs will find it said of it that it does. */
function withoutOwn(whole: TreeDifference, isOwn: (path: string) => boolean): TreeDifference {
  const own = new Set(whole.files.filter(({ path }) => isOwn(path)));
  const parents = new Set([...own].map(({ path }) => dirname(path)).filter((path) => path !== '.'));
  const files = whole.files.filter((file) => !own.has(file));
  return { ...whole, files, directories: [...whole.directories, ...parents] };
}

function kindIn(toolchainDir: string | undefined): KindBelow {
  if (toolchainDir === undefined) return () => undefined;
  return (path) => {
    const found = lstatSync(join(toolchainDir, path), { throwIfNoEntry: false });
    if (found === undefined) return undefined;
    return found.isDirectory() ? 'directory' : 'other';
  };
}

function noDifference(): TreeDifference {
  return { files: [], symlinks: [], directories: [], deletions: [] };
}

function addition(store: BlobStore, path: string, file: TreeFile): Addition {
  const bytes = store.readNow(file.digest);
  if (bytes === undefined) throw missingBlobsError([file.digest]);
  const { executable, mtimeNs } = file;
  return mtimeNs === undefined ? { path, content: bytes, executable } : { path, content: bytes, executable, mtimeNs };
}

/** The stack on which least has to be added, or none if a new one would not cost much more. */
function nearest(
  stacks: readonly Stack[],
  bare: Stack,
  differenceFrom: (stack: Stack) => TreeDifference | undefined,
): { readonly base: Stack; readonly whole: TreeDifference } {
  let best = { base: bare, whole: differenceFrom(bare) ?? noDifference() };
  let mostFiles = best.whole.files.length / 2;
  for (const base of stacks) {
    if (base.layers.length >= maxLayers) continue;
    const whole = differenceFrom(base);
    if (whole === undefined) continue;
    if (whole.deletions.length > maxDeletions || whole.files.length > mostFiles) continue;
    best = { base, whole };
    mostFiles = whole.files.length;
  }
  return best;
}

type Shelf = {
  /** Most recently used first. */
  readonly stacks: readonly Stack[];
  /** Puts a stack in the place of the one that it extends. */
  readonly put: (stack: Stack, base: Stack) => void;
  /** Keeps the stack's layers until the returned function is called, and notes that it was used. */
  readonly hold: (stack: Stack) => () => void;
};

function newShelf(layers: Layers): Shelf {
  const stacks: Stack[] = [];
  const entriesOf = (stack: Stack): number => stack.layers.reduce((sum, layer) => sum + layer.entries, 0);

  const drop = (stack: Stack): void => {
    const at = stacks.indexOf(stack);
    if (at < 0) return;
    stacks.splice(at, 1);
    for (const layer of stack.layers) layers.release(layer);
  };

  const put: Shelf['put'] = (stack, base) => {
    for (const layer of base.layers) layer.uses += 1;
    drop(base);
    stacks.unshift(stack);
    // A layer that could not be made is nothing to build on.
    stack.ready.catch(() => drop(stack));
    const laid = (): number => stacks.reduce((sum, each) => sum + entriesOf(each), 0);
    while (stacks.length > 1 && (stacks.length > maxStacks || laid() > maxLaidEntries)) drop(stacks.at(-1) ?? stack);
  };

  const hold: Shelf['hold'] = (stack) => {
    const at = stacks.indexOf(stack);
    if (at > 0) stacks.unshift(...stacks.splice(at, 1));
    for (const layer of stack.layers) layer.uses += 1;
    return () => {
      for (const layer of stack.layers) layers.release(layer);
    };
  };

  return { stacks, put, hold };
}
