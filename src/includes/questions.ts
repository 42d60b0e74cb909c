// Headers that are asked for by macros: `#define HAS(x) __has_include(x)`, and then `#if HAS("x.h")`. Which macros ask is
// worked out from all files of a closure, and again for macros that use those; then each #if that uses one is expanded.
// Only closures in which some file defines such a macro get here.
import { definitionFromOption } from './definitions.ts';
import { decode, mayBeginDirective, parenthesized, replaceTrigraphs, restOfLine } from './scan.ts';
import type { MacroDefinition } from './types.ts';

/** The words of the question itself, as gcc and clang know it. */
export const askingWords: ReadonlySet<string> = new Set([
  '__has_include',
  '__has_include__',
  '__has_include_next',
  '__has_include_next__',
]);

/** What one file has to do with some words. */
export type Uses = {
  /** Macros with one of them in a definition. */
  readonly macros: readonly string[];
  /** From such a word on, with its parentheses, where an #if or #elif has one. */
  readonly calls: readonly string[];
};

const identifier = /[A-Za-z_$\x80-\uffff][\w$\x80-\uffff]*/g;
const opening = /(?:#|%:)(?:[ \t\f\v]|\\[ \t\v\f\r]*\n|\/\*(?:[^*]|\*(?!\/))*\*\/)*(define|if|elif)(?![\w$])/g;

/** The places of the words in the text. */
function placesOf(text: string, words: ReadonlySet<string>): number[] {
  return [...text.matchAll(identifier)].filter(([word]) => words.has(word)).map(({ index }) => index);
}

/** The word at that place, with what is in its parentheses if there are any. */
function callAt(line: string, at: number): string {
  const [word = ''] = line.slice(at).match(identifier) ?? [];
  const rest = line.slice(at + word.length).trimStart();
  return rest.startsWith('(') ? word + parenthesized(rest) : word;
}

export function usesIn(bytes: Buffer, words: ReadonlySet<string>): Uses {
  const text = decode(bytes.toString('latin1'));
  const macros = new Set<string>();
  const calls = new Set<string>();
  for (const reading of text.includes('??') ? [text, replaceTrigraphs(text)] : [text]) {
    for (const match of reading.matchAll(opening)) {
      if (!mayBeginDirective(reading, match.index)) continue;
      const line = restOfLine(reading, match.index + match[0].length);
      const places = placesOf(line, words);
      if (places.length === 0) continue;
      if (match[1] !== 'define') for (const at of places) calls.add(callAt(line, at));
      else {
        const [name] = line.match(identifier) ?? [];
        if (name !== undefined && !askingWords.has(name)) macros.add(name);
      }
    }
  }
  return { macros: [...macros], calls: [...calls] };
}

/** The macros of -D with one of the words in their definition. */
export function optionsWith(macros: readonly MacroDefinition[], words: ReadonlySet<string>): string[] {
  return macros.flatMap(({ kind, text }) => {
    if (kind === 'undefine') return [];
    const { name, definition } = definitionFromOption(text);
    return placesOf(definition.body ?? '', words).length > 0 ? [name] : [];
  });
}
