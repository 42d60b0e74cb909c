// What a compile can read, as the client sees it.
import type { ReasonId } from '../observe/reasons.ts';
import type { Digest } from '../reapi/digest.ts';

/** One version of one file. The same object stands for the same path, content and time as long as they are current. */
export type FileEntry = {
  readonly kind: 'file';
  readonly id: number;
  /** Absolute and physical: no component is a symbolic link. */
  readonly path: string;
  readonly digest: Digest;
  readonly sizeBytes: number;
  readonly executable: boolean;
  readonly mtimeNs: bigint;
  /** `device:inode`, where the file has more than one name. */
  readonly hardLink?: string;
  /** The content of this very version; throws FileChangedError if it is gone. */
  readonly bytes: () => Buffer;
};

/** A symbolic link at a path whose parents are no links. */
export type SymlinkEntry = {
  readonly kind: 'symlink';
  readonly id: number;
  readonly path: string;
  readonly target: string;
};

/** A directory that is searched or passed through; it has to exist, even if empty. */
export type DirectoryEntry = { readonly kind: 'directory'; readonly id: number; readonly path: string };

export type TreeEntry = FileEntry | SymlinkEntry | DirectoryEntry;

export type MacroDefinition = { readonly kind: 'define' | 'undefine'; readonly text: string };

/** The paths that every worker with this toolchain has already. `key` names the set: one key, one answer for each path. */
export type ToolchainPaths = { readonly key: string; readonly isInside: (path: string) => boolean };

export type ClosureRequest = {
  /** What has been checked in an epoch is not checked again in it: a new number for each job, or batch of jobs. */
  readonly epoch: number;
  /** The physical working directory; relative paths start here. */
  readonly cwd: string;
  readonly source: string;
  /** `-include` and `-imacros`. */
  readonly forced: readonly string[];
  /** Read as they are, not for their includes. */
  readonly extraInputs: readonly string[];
  /** `-iquote`. */
  readonly quoteDirs: readonly string[];
  /** All other directories that are searched (-I, -isystem, built-in, -idirafter), in any order. */
  readonly searchDirs: readonly string[];
  /** `-D` and `-U`, and predefined macros if known. */
  readonly macros: readonly MacroDefinition[];
  readonly toolchain: ToolchainPaths;
  /** True if SOURCE_DATE_EPOCH is set: then __DATE__ and __TIME__ are the same everywhere. */
  readonly sourceDateEpoch: boolean;
  /** The source includes nothing by `#include` (.i, .ii, .s). */
  readonly preprocessed: boolean;
};

export type Closure = {
  readonly kind: 'closure';
  readonly source: FileEntry;
  /** Every file outside the toolchain, the source among them, each path once. */
  readonly files: readonly FileEntry[];
  readonly symlinks: readonly SymlinkEntry[];
  readonly directories: readonly DirectoryEntry[];
  /** The view's generation that it was found in. */
  readonly generation: number;
};

export type Here = { readonly kind: 'here'; readonly reason: ReasonId; readonly detail: string };

export type ClosureResult = Closure | Here;

export type IncludeView = {
  readonly closure: (request: ClosureRequest) => ClosureResult;
  /** True if all that the closure rests on is still so in `epoch`; false may also mean that it has to be found anew. */
  readonly holds: (closure: Closure, epoch: number) => boolean;
  /** Those of the entries (of this view) that are no longer there, or no longer of that kind; content is not looked at. */
  readonly vanished: <E extends TreeEntry>(entries: Iterable<E>, epoch: number) => E[];
  /** What is known of files, for a later process. */
  readonly save: () => Buffer;
  /** Takes over what `save` wrote; false (and nothing taken) if it is not wholly intact. */
  readonly load: (saved: Buffer) => boolean;
  readonly counts: () => ViewCounts;
};

/** How much work was done so far. */
export type ViewCounts = {
  readonly filesKnown: number;
  readonly filesRead: number;
  readonly fileStats: number;
  readonly directoryStats: number;
  readonly directoriesListed: number;
  readonly contextsMade: number;
  /** Rises when a name that some compile asked for came, went or became something else. */
  readonly generation: number;
};

/** The version of a file that was asked for no longer exists. */
export class FileChangedError extends Error {
  readonly code = 'file-changed';
  readonly path: string;
  constructor(path: string, options?: ErrorOptions) {
    super(`${path} changed while a job was prepared`, options);
    this.path = path;
  }
}
