// The command line of a compile that is done once more, to compare its object: the same, but it writes elsewhere.
import type { TranslationUnit } from './translation-unit.ts';

// These write the command line, and with it the name of the object, into the object.
const recording = new Set(['-frecord-gcc-switches', '-grecord-command-line', '-frecord-command-line']);

/** Where the second compile writes. */
export type ProofFiles = { readonly object: string; readonly dependencies: string };

/**
 * The arguments (without the compiler) that leave object and dependencies at `files`; undefined if the compile leaves more
 * than these two, or its command line cannot be read as plainly as that.
 */
export function proofArguments(
  argv: readonly string[],
  { outputs }: Pick<TranslationUnit, 'outputs'>,
  files: ProofFiles,
): string[] | undefined {
  if (outputs.some(({ kind }) => kind !== 'object' && kind !== 'dependencies')) return undefined;
  const given = argv.slice(1);
  if (given.some((word) => word.startsWith('@') || word.startsWith('-Wp,') || recording.has(word))) return undefined;
  const kept: string[] = [];
  for (let at = 0; at < given.length; at += 1) {
    const word = given[at] ?? '';
    if (word === '-o') at += 1;
    else if (!word.startsWith('-o')) kept.push(word);
  }
  // Of several -MF the last counts, for both families.
  const dependencies = outputs.some(({ kind }) => kind === 'dependencies') ? ['-MF', files.dependencies] : [];
  return [...kept, '-o', files.object, ...dependencies];
}
