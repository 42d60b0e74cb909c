// Finding an argument's row in the table of options.
import { optionTable, type OptionRow } from './option-table.ts';

export type Match =
  | { readonly kind: 'option'; readonly row: OptionRow; readonly value: string }
  /** The next word is the value. */
  | { readonly kind: 'needs-value'; readonly row: OptionRow };

const byName = new Map(optionTable.map((row) => [row[0], row]));
const longestName = Math.max(...optionTable.map(([name]) => name.length));

/** A row fits the argument if its form allows what follows the name. */
function fit(row: OptionRow, rest: string): Match | undefined {
  switch (row[1]) {
    case 'flag':
      return rest === '' ? { kind: 'option', row, value: '' } : undefined;
    case 'joined':
      return rest === '' ? undefined : { kind: 'option', row, value: rest };
    case 'separate':
      return rest === '' ? { kind: 'needs-value', row } : undefined;
    case 'either':
      return rest === '' ? { kind: 'needs-value', row } : { kind: 'option', row, value: rest };
    case 'prefix':
      return { kind: 'option', row, value: rest };
  }
}

/** The row with the longest name that fits, as both compilers choose; undefined for an option without a row. */
export function matchOption(argument: string): Match | undefined {
  for (let length = Math.min(argument.length, longestName); length >= 2; length -= 1) {
    const row = byName.get(argument.slice(0, length));
    const match = row === undefined ? undefined : fit(row, argument.slice(length));
    if (match !== undefined) return match;
  }
  return undefined;
}
