// What a command line means: the translation unit it compiles, or why it has to run here.
import type { ReasonId } from '../observe/reasons.ts';

export type Family = 'gcc' | 'clang';

/** Languages as `-x` names them; their preprocessed forms are the same language with `preprocessed` set. */
export type Language = 'c' | 'c++' | 'objective-c' | 'objective-c++' | 'assembler-with-cpp' | 'assembler';

export type OutputKind =
  'object' | 'assembly' | 'dependencies' | 'dwo' | 'stack-usage' | 'callgraph' | 'coverage-notes' | 'listing';

/**
 * A file that the compile leaves. `replace`: the compiler unlinks or renames, the file has a new inode afterwards;
 * `truncate`: it writes into the file that is there, so links to it see the new content.
 */
export type Output = {
  readonly path: string;
  readonly kind: OutputKind;
  readonly how: 'replace' | 'truncate';
};

/** Directories for #include, as spelled and in order; the environment's (CPATH and the like) are among them. */
export type SearchDirectories = {
  /** `-iquote`: for #include "…" only, after the including file's own directory. */
  readonly quote: readonly string[];
  /** `-I` and CPATH. */
  readonly angle: readonly string[];
  /** `-isystem`, C_INCLUDE_PATH, CPLUS_INCLUDE_PATH: searched before the built-in directories. */
  readonly system: readonly string[];
  /** `-idirafter`: searched after the built-in directories. */
  readonly after: readonly string[];
};

export type ForcedInclude = { readonly kind: 'include' | 'imacros'; readonly file: string };

/** `text` is the option's argument: `NAME`, `NAME=VALUE` or `NAME(x)=VALUE`. */
export type MacroOption = { readonly kind: 'define' | 'undefine'; readonly text: string };

export type TranslationUnit = {
  readonly language: Language;
  /** True if the source is preprocessed already (.i, .ii, -fpreprocessed, .s): it includes nothing. */
  readonly preprocessed: boolean;
  /** As spelled on the command line. */
  readonly source: string;
  /** The main output, as spelled or under its default name. */
  readonly object: string;
  /** Everything it can leave, the main output first. */
  readonly outputs: readonly Output[];
  readonly search: SearchDirectories;
  readonly forced: readonly ForcedInclude[];
  readonly macros: readonly MacroOption[];
  /** Other files that options name, response files among them. */
  readonly inputs: readonly string[];
  readonly sysroot?: string;
  /** False after -nostdinc: the built-in directories are not searched. */
  readonly standardIncludes: boolean;
  /** The options that decide the built-in directories and predefined macros, in order: key and arguments of a probe. */
  readonly probeOptions: readonly string[];
};

export type Verdict =
  | { readonly kind: 'travel'; readonly unit: TranslationUnit }
  | { readonly kind: 'here'; readonly reason: ReasonId; readonly detail: string };

export type CommandLine = {
  readonly argv: readonly string[];
  readonly env: ReadonlyMap<string, string>;
  readonly family: Family;
  /** True for g++ and clang++: a `.c` file is C++ there (for clang++ too, with a warning). */
  readonly cplusplusDriver: boolean;
  /** The content of a response file, or undefined if it cannot be read. */
  readonly readResponseFile?: (path: string) => string | undefined;
};
