// A case of the matrix: a few files and a shell line that compiles something, told apart from running the compiler by
// nothing. In the line `$CC` and `$CXX` are the compilers of one family, found by their plain names on PATH.
import type { ReasonId } from '../../src/observe/reasons.ts';
import type { Family } from '../../src/compiler/translation-unit.ts';

/** What becomes of each compile of a case: it travels, or stays for a named reason. */
export type End = 'remote' | ReasonId;

export type FileContent = string | { readonly latin1: string } | { readonly link: string };

export type Case = {
  readonly name: string;
  /** What is laid out before; a path that ends in `/` is an empty directory. */
  readonly files: Readonly<Record<string, FileContent>>;
  /** For `sh -c`, in the directory of the files. */
  readonly run: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Only for this family; both without it. */
  readonly on?: Family;
  /** One for each compile of the line, in any order; one that travels where nothing is said. */
  readonly ends?: readonly End[];
  /** Where gcc's and clang's ends are not the same. */
  readonly clangEnds?: readonly End[];
  /** Files in which two runs of the compiler itself differ: their content is not compared. */
  readonly varying?: readonly string[];
};

export type Theme = { readonly name: string; readonly cases: readonly Case[] };

/** A case for one family. */
export type FamilyCase = Omit<Case, 'on' | 'clangEnds' | 'ends'> & {
  readonly family: Family;
  readonly ends: readonly End[];
};

export type Snapshot = Readonly<Record<string, Entry>>;

export type Entry = { readonly type: string; readonly mode: string; readonly content: string };

/** What a run said and left. The streams and short contents are Latin-1, long contents a digest. */
export type Outcome = {
  readonly status: number | null;
  readonly signal: string | null;
  readonly stdout: string;
  readonly stderr: string;
  readonly files: Snapshot;
  /** How its compiles ended, where a build session of its own counted them. */
  readonly ends?: readonly string[];
};

export function perFamily({ name: theme, cases }: Theme): FamilyCase[] {
  return cases.flatMap(({ on, ends = ['remote'], clangEnds = ends, ...rest }) => {
    return (['gcc', 'clang'] as const)
      .filter((family) => on === undefined || on === family)
      .map((family) => {
        return {
          ...rest,
          name: `${theme}: ${rest.name} (${family})`,
          family,
          ends: family === 'gcc' ? ends : clangEnds,
        };
      });
  });
}
