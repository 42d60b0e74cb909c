// Conditions of #if: arithmetic over the few macros of a generated program, and questions about headers.
import type { Choices } from './choices.ts';

/** Macros whose values are numbers, in most programs. */
export const numberNames = ['A', 'B', 'C'] as const;

const operators = ['+', '-', '*', '<', '<=', '>', '==', '!=', '&&', '||', '&', '|', '^', '<<', '>>'] as const;

const literals = ['0', '1', '2', '0x10', '07', '1u', '2L', "'a'", '-1', '!0', '~0'] as const;

export type Condition = {
  /** A whole `__has_include(…)`. */
  readonly question: () => string;
  /** It may be wrong. */
  readonly isWild: boolean;
};

export function condition(choices: Choices, asked: Condition, depth = 2): string {
  const inner = (): string => condition(choices, asked, depth - 1);
  const name = choices.from(numberNames);
  if (depth === 0) return choices.from([...literals, name, name, `defined ${name}`]);
  return choices.weighted<() => string>([
    [4, () => choices.from(literals)],
    [6, () => name],
    [5, () => `defined(${name})`],
    [3, () => `!defined ${name}`],
    [8, () => `${inner()} ${choices.from(operators)} ${inner()}`],
    [2, () => `(${inner()} ? ${inner()} : ${inner()})`],
    [2, () => `${name} / (${name} * ${name} + 1)`],
    [3, () => `F(${choices.from([...literals, name])})`],
    [2, () => `__INCLUDE_LEVEL__ ${choices.from(['<', '==', '>'])} ${choices.upTo(3)}`],
    [2, () => `__COUNTER__ % 2`],
    [1, () => `__LINE__ & 1`],
    [4, asked.question],
    [2, () => `defined __has_include && ${inner()}`],
    [1, () => `${inner()} /* ${name} */ || \\\n ${inner()}`],
    [asked.isWild ? 1 : 0, () => `${name} / ${name}`],
    [asked.isWild ? 1 : 0, () => `${name}(${inner()})`],
  ])();
}
