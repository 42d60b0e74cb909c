// What a compiler's help says of its options, held against the table: an option may have no row, or one that keeps the
// compile here; but one that travels has to be read as the compiler reads it, and must not name a file unnoticed.
import type { Role } from '../../src/compiler/option-table.ts';
import { matchOption } from '../../src/compiler/options.ts';

export type HelpOption = {
  /** Up to the value, with the equals sign if there is one. */
  readonly name: string;
  readonly form: 'flag' | 'joined' | 'separate' | 'either';
  /** What stands for the value, and the description. */
  readonly text: string;
};

// Roles under which nothing is known of a file that a value, or the option itself, might bring in.
const fileless: ReadonlySet<Role> = new Set(['code', 'code-flag', 'code-word']);

// Words by which help texts give away that something is read, written or printed.
const suspicious = /\bfile(?:s|name)?\b|director|\bdump|\breport\b|statistic|\bstats\b|<path/i;

/** Why the table would misread the option, or undefined. */
export function misreading(option: HelpOption, reviewed: ReadonlySet<string>): string | undefined {
  const { name, form, text } = option;
  const bare = matchOption(name);
  const takesNext = form === 'separate' || form === 'either';
  if (takesNext && bare?.kind === 'option' && travels(bare.row[2])) {
    return `${name} takes the next word, and is read as an option by itself`;
  }
  if (!takesNext && bare?.kind === 'needs-value' && !name.endsWith('=')) {
    return `${name} stands alone, and is read with the next word`;
  }
  const match = form === 'joined' ? matchOption(`${name}value`) : bare;
  if (match === undefined || !isFileless(match.row[2])) return undefined;
  // A value after a flag keeps the compile here.
  if (match.row[2] === 'code-flag' && name.endsWith('=')) return undefined;
  // Warnings print, and parameters are numbers.
  if (/^(?:-W|-R|--param=|-fanalyzer)/.test(name)) return undefined;
  if (suspicious.test(text) && !reviewed.has(name))
    return `${name} travels as ${JSON.stringify(match.row[2])}: ${text}`;
  return undefined;
}

function travels(role: Role | { readonly here: string }): boolean {
  return typeof role === 'string' && role !== 'question';
}

function isFileless(role: Role | { readonly here: string }): boolean {
  return typeof role === 'string' && fileless.has(role);
}
