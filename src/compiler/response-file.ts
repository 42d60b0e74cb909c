// Response files: `@file` stands for the words in the file. Both compilers split it alike: blanks separate, quotes of
// either kind group, and a backslash takes the next character as it is, inside quotes too.

// Files in files; libiberty gives up at 2000 expansions, and builds do not nest beyond two.
const deepest = 8;

/** The words of a response file's text. */
export function splitWords(text: string): string[] {
  const words: string[] = [];
  let word: string | undefined;
  let quote = '';
  for (let at = 0; at < text.length; at += 1) {
    const character = text.charAt(at);
    if (character === '\\') {
      at += 1;
      word = (word ?? '') + text.charAt(at);
    } else if (quote !== '') {
      if (character === quote) quote = '';
      else word = (word ?? '') + character;
    } else if (character === '"' || character === "'") {
      quote = character;
      word ??= '';
    } else if (/[ \t\n\v\f\r]/.test(character)) {
      if (word !== undefined) words.push(word);
      word = undefined;
    } else {
      word = (word ?? '') + character;
    }
  }
  if (word !== undefined) words.push(word);
  return words;
}

export type Expansion =
  | { readonly kind: 'words'; readonly words: readonly string[]; readonly files: readonly string[] }
  | { readonly kind: 'unreadable'; readonly file: string };

type Reader = (path: string) => string | undefined;

/** The words with each `@file` replaced by what it holds. */
export function expandResponseFiles(words: readonly string[], read: Reader | undefined, depth = 0): Expansion {
  if (!words.some((word) => word.startsWith('@') && word.length > 1)) return { kind: 'words', words, files: [] };
  const expanded: string[] = [];
  const files: string[] = [];
  for (const word of words) {
    if (!word.startsWith('@') || word.length === 1) {
      expanded.push(word);
      continue;
    }
    const file = word.slice(1);
    const text = depth < deepest ? read?.(file) : undefined;
    if (text === undefined) return { kind: 'unreadable', file };
    const inner = expandResponseFiles(splitWords(text), read, depth + 1);
    if (inner.kind === 'unreadable') return inner;
    files.push(file, ...inner.files);
    expanded.push(...inner.words);
  }
  return { kind: 'words', words: expanded, files };
}
