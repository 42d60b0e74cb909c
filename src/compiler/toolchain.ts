// A toolchain: everything that a compile reads and that is not the job's, at its absolute physical paths.
import type { Digest } from '../reapi/digest.ts';
import type { Family, Language } from './translation-unit.ts';

export type ToolchainFile = {
  /** Absolute and physical: no component is a symbolic link. */
  readonly path: string;
  readonly digest: Digest;
  readonly sizeBytes: number;
  readonly executable: boolean;
};

export type ToolchainLink = { readonly path: string; readonly target: string };

export type ToolchainTree = {
  readonly files: readonly ToolchainFile[];
  readonly symlinks: readonly ToolchainLink[];
  /** Directories that may be empty but have to exist; parents of files are not listed. */
  readonly directories: readonly string[];
  /** Encoded Directory messages by digestKey, the root's among them. */
  readonly messages: ReadonlyMap<string, Uint8Array>;
};

export type Toolchain = {
  readonly kind: 'toolchain';
  readonly family: Family;
  readonly version: string;
  /** What it compiles for unless told otherwise, in the driver's words: `x86_64-linux-gnu`. */
  readonly target: string;
  /** The driver's real path. */
  readonly driver: string;
  /** The symbolic links from the path asked for to the driver, in order. */
  readonly aliases: readonly ToolchainLink[];
  readonly cplusplusDriver: boolean;
  /** Of the tree's root Directory: the toolchain's name between hosts. */
  readonly digest: Digest;
  readonly tree: ToolchainTree;
  /** Directories that belong to the toolchain whole: no file below them is an input of a job. */
  readonly ownDirectories: readonly string[];
  /** Files to stat again before each job: a change means another toolchain. */
  readonly watch: readonly string[];
  /** True for a physical path that the tree answers for. */
  readonly isInside: (path: string) => boolean;
};

export type NotACompiler = {
  readonly kind: 'not-a-compiler';
  readonly why: string;
  /** It could not be asked, or not to the end: the next time it may answer. */
  readonly unsure?: boolean;
};

export type IdentifyOptions = {
  /** The job's PATH: gcc finds `as` on it. */
  readonly pathEnv: string;
  /** The job's LD_LIBRARY_PATH, if it has one. */
  readonly libraryPath?: string;
  /** Where digests are kept between runs; without it everything is read each time. */
  readonly cacheDir?: string;
};

export type BuiltinIncludes = {
  readonly directories: readonly string[];
  /** Searched, but not there when it was asked. */
  readonly missing: readonly string[];
};

export type Probe = {
  /** As it is called: clang takes its target from its name. */
  readonly compiler: string;
  readonly language: Language;
  readonly options: readonly string[];
  /** Where it is asked: relative directories start there. */
  readonly cwd: string;
};
