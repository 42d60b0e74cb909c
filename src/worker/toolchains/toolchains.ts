// The compilers of this box, announced by the digest of their trees. Jobs run copies, laid out at first use and checked
// file by file: an upgrade in mid-build changes nothing for the jobs that name the old compiler, and what is announced is
// what runs.
import { statSync } from 'node:fs';
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { NotACompiler, Toolchain } from '../../compiler/toolchain.ts';
import { digestKey, type Digest, type DigestKey } from '../../reapi/digest.ts';
import type { Toolchain as Announced } from '../../reapi/gen/shoal.ts';
import { StoreError, storeErrorFrom } from '../../store/blob-store.ts';
import { countDirectories, type DirectoryCount } from '../trees/whole-directories.ts';
import { layOutToolchain, type LaidFiles } from './layout.ts';

export type WorkerToolchains = {
  readonly announced: () => readonly Announced[];
  /** The toolchain's tree as a directory; undefined if this box does not have it, or no longer. */
  readonly directory: (digest: Digest) => Promise<string | undefined>;
  /** The directories of its tree; undefined as above. */
  readonly counted: (digest: Digest) => DirectoryCount | undefined;
  /** Looks now, not at the next round, whether a compiler of the box has changed. */
  readonly recheck: () => void;
  readonly close: () => void;
};

/** The compilers of a box. */
export type CompilerView = {
  /** Paths of what may be compilers. */
  readonly discover: () => Promise<readonly string[]>;
  readonly identify: (compiler: string) => Promise<Toolchain | NotACompiler>;
  /** Directories where a new compiler would appear. */
  readonly searched: readonly string[];
};

export type ToolchainsOptions = CompilerView & {
  readonly directory: string;
  readonly log: (event: ToolchainEvent) => void;
};

export type ToolchainEvent =
  | { readonly kind: 'toolchain-found'; readonly driver: string; readonly version: string; readonly hash: string }
  | { readonly kind: 'toolchain-gone'; readonly driver: string; readonly hash: string }
  | { readonly kind: 'toolchain-broken'; readonly driver: string; readonly why: string };

// A stat costs 2 µs; some two hundred files are looked at each round.
const roundMs = 5000;

type Known = {
  readonly toolchain: Toolchain;
  laid: Promise<string | undefined> | undefined;
  counted?: DirectoryCount;
  /** Not on the box any more: not announced, but served while this process lives if it is laid out. */
  gone: boolean;
};

/** What is behind a directory that may not be searched, such as root's on a PATH that su kept, is as if it were not there. */
function stampOfOne(path: string): string {
  try {
    const { ino, size, mtimeMs, ctimeMs } = statSync(path);
    return `${ino},${size},${mtimeMs},${ctimeMs};`;
  } catch {
    return '-;';
  }
}

function stampOf(paths: Iterable<string>): string {
  let stamp = '';
  for (const path of paths) stamp += stampOfOne(path);
  return stamp;
}

export async function openToolchains(options: ToolchainsOptions): Promise<WorkerToolchains> {
  const { directory, log } = options;
  const known = new Map<DigestKey, Known>();
  // Files of all that is laid out, by content: gcc and g++ share cc1's libraries and as.
  const laidFiles: LaidFiles = new Map();
  let watched: ReadonlySet<string> = new Set(options.searched);
  let stamp = '';
  let scanning: Promise<void> | undefined;

  const scan = async (): Promise<void> => {
    // Taken before looking: what changes meanwhile is seen next time.
    const before = stampOf(watched);
    const found = new Map<DigestKey, Toolchain>();
    const watch = new Set(options.searched);
    for (const compiler of await options.discover()) {
      const toolchain = await options.identify(compiler);
      if (toolchain.kind === 'not-a-compiler') continue;
      found.set(digestKey(toolchain.digest), toolchain);
      for (const path of toolchain.watch) watch.add(path);
    }
    for (const [key, entry] of known) {
      if (found.has(key) || entry.gone) continue;
      entry.gone = true;
      if (entry.laid === undefined) known.delete(key);
      log({ kind: 'toolchain-gone', driver: entry.toolchain.driver, hash: entry.toolchain.digest.hash });
    }
    for (const [key, toolchain] of found) {
      const before = known.get(key);
      if (before?.gone === false) continue;
      known.set(key, { toolchain, laid: before?.laid, gone: false });
      const { driver, version, digest } = toolchain;
      log({ kind: 'toolchain-found', driver, version, hash: digest.hash });
    }
    stamp = watched.size === watch.size ? before : stampOf(watch);
    watched = watch;
  };

  const rescan = (): Promise<void> => {
    scanning ??= scan()
      .catch((error: unknown) => log({ kind: 'toolchain-broken', driver: '', why: (error as Error).message }))
      .finally(() => (scanning = undefined));
    return scanning;
  };

  const recheck = (): void => {
    if (scanning === undefined && stampOf(watched) !== stamp) rescan().catch(() => undefined);
  };

  const lay = async ({ toolchain }: Known): Promise<string | undefined> => {
    try {
      return await layOutToolchain(join(directory, toolchain.digest.hash), toolchain.tree, laidFiles);
    } catch (error) {
      log({ kind: 'toolchain-broken', driver: toolchain.driver, why: (error as Error).message });
      // A disk that is full says nothing about the toolchain.
      const full = storeErrorFrom(error);
      if (full instanceof StoreError) throw full;
      return undefined;
    }
  };

  const directoryOf: WorkerToolchains['directory'] = async (digest) => {
    const entry = known.get(digestKey(digest));
    if (entry === undefined) return undefined;
    entry.laid ??= lay(entry);
    let path: string | undefined;
    try {
      path = await entry.laid;
    } finally {
      // Not for ever: the box's files may have been in the middle of an upgrade, or its disk full.
      if (path === undefined) entry.laid = undefined;
    }
    return path;
  };

  const counted: WorkerToolchains['counted'] = (digest) => {
    const entry = known.get(digestKey(digest));
    if (entry === undefined) return undefined;
    const { files, symlinks, directories } = entry.toolchain.tree;
    return (entry.counted ??= countDirectories(
      [...files, ...symlinks].map(({ path }) => path),
      directories,
    ));
  };

  await rescan();
  await sweep(directory, new Set([...known.values()].map(({ toolchain }) => toolchain.digest.hash)));
  const timer = setInterval(recheck, roundMs).unref();

  return {
    announced: () =>
      [...known.values()]
        .filter(({ gone }) => !gone)
        .map(({ toolchain: { digest, driver, version } }) => ({ digest, driver, version })),
    directory: directoryOf,
    counted,
    recheck,
    close: () => clearInterval(timer),
  };
}

/** Removes what no announced toolchain needs: compilers that have gone, layouts that were not finished. */
async function sweep(directory: string, wanted: ReadonlySet<string>): Promise<void> {
  for (const name of await readdir(directory).catch(() => [])) {
    if (!wanted.has(name)) await rm(join(directory, name), { recursive: true, force: true });
  }
}
