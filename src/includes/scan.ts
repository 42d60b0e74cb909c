// What one file can make a compiler read, found without preprocessing it.
//
// The scan may find too much, never too little: it does not follow conditionals, and a directive inside a comment or a
// string counts as one. That is what lets it jump from `#` to `#` instead of lexing. Only findings that would keep the
// compile at home are checked against the comments (comments.ts).
//
// The bytes are taken as Latin-1, one character a byte: everything that matters is ASCII, and names are decoded last.
import { commentTest } from './comments.ts';

export type Include = {
  readonly name: string;
  /** The directory of the including file is searched too: "…", or #include_next and #import, which are taken widely. */
  readonly beside: boolean;
};

/** An include, or the question `__has_include`, whose operand is made by macros. */
export type ComputedInclude = { readonly text: string; readonly line: number };

export type HazardKind =
  'date' | 'timestamp' | 'incbin' | 'embed' | 'dependency' | 'precompiled' | 'alias' | 'encoding';

export type Hazard = { readonly kind: HazardKind; readonly line: number };

export type ScanResult = {
  readonly includes: readonly Include[];
  readonly computed: readonly ComputedInclude[];
  /** Files that the assembler reads: literal operands of `.incbin` and `.include`. */
  readonly assembled: readonly string[];
  /** Files named by #line: gcc opens them to quote a line in a warning. */
  readonly quoted: readonly string[];
  readonly hazards: readonly Hazard[];
  /** A macro may ask `__has_include`: for which header is told where the macro is used (questions.ts). */
  readonly asksByMacro: boolean;
};

type Findings = { -readonly [K in keyof ScanResult]: ScanResult[K] extends readonly (infer T)[] ? T[] : ScanResult[K] };

type Source = { readonly text: string; readonly isComment: (at: number) => boolean; readonly found: Findings };

export function scan(bytes: Buffer): ScanResult {
  const found: Findings = {
    includes: [],
    computed: [],
    assembled: [],
    quoted: [],
    hazards: [],
    asksByMacro: false,
  };
  const hasBom = bytes.length > 2 && bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf;
  const text = bytes.toString('latin1', hasBom ? 3 : 0);
  scanText(joinSplitWords(text), found);
  // Trigraphs are read only under -std=c…: both readings count.
  if (text.includes('??') && /\?\?[=/'()!<>-]/.test(text)) scanText(joinSplitWords(replaceTrigraphs(text)), found);
  return found;
}

const newline = 10;
const carriageReturn = 13;
const slash = 47;
const backslash = 92;

/** Both compilers skip a NUL, with a warning. */
function isBlank(code: number): boolean {
  return code === 32 || code === 9 || code === 11 || code === 12 || code === carriageReturn || code === 0;
}

function isWord(code: number): boolean {
  return (code >= 97 && code <= 122) || (code >= 65 && code <= 90) || (code >= 48 && code <= 57) || code === 95;
}

/** The place after a backslash-newline at `at` (blanks between the two are allowed, as gcc does), or -1. */
function afterSplice(text: string, at: number): number {
  let end = at + 1;
  while (isBlank(text.charCodeAt(end))) end++;
  return text.charCodeAt(end) === newline ? end + 1 : -1;
}

const splice = /\\[ \t\v\f\r]*\n/g;

/**
 * A splice with blanks on either side only separates words, and the scan takes it for a blank. Where one may stand
 * inside a word, all lines are joined first, and the newlines taken out put behind the line: its number stays.
 */
function joinSplitWords(text: string): string {
  if (!hasSplitWord(text)) return text;
  let joined = '';
  let from = 0;
  let taken = 0;
  for (let at = text.indexOf('\\'); at >= 0; at = text.indexOf('\\', Math.max(at + 1, from))) {
    const after = afterSplice(text, at);
    if (after < 0) continue;
    const lineEnd = taken > 0 ? text.indexOf('\n', from) : -1;
    if (lineEnd >= 0 && lineEnd < at) {
      joined += text.slice(from, lineEnd) + '\n'.repeat(taken);
      from = lineEnd;
      taken = 0;
    }
    joined += text.slice(from, at);
    from = after;
    taken++;
  }
  return joined + text.slice(from);
}

function hasSplitWord(text: string): boolean {
  for (let at = text.indexOf('\\', 1); at >= 0; at = text.indexOf('\\', at + 1)) {
    const after = afterSplice(text, at);
    if (after < 0) continue;
    const before = text.charCodeAt(at - 1);
    const next = text.charCodeAt(after);
    if (!isBlank(before) && before !== newline && !isBlank(next) && next !== newline) return true;
  }
  return false;
}

const trigraphs: Readonly<Record<string, string>> = {
  '=': '#',
  '/': '\\',
  "'": '^',
  '(': '[',
  ')': ']',
  '!': '|',
  '<': '{',
  '>': '}',
  '-': '~',
};

export function replaceTrigraphs(text: string): string {
  return text.replace(/\?\?([=/'()!<>-])/g, (_, third: string) => trigraphs[third] ?? '');
}

function scanText(text: string, found: Findings): void {
  const source: Source = { text, isComment: commentTest(text), found };
  for (let at = text.indexOf('#'); at >= 0; at = text.indexOf('#', at + 1)) {
    if (mayBeginDirective(text, at)) readDirective(source, at, at + 1);
  }
  for (let at = text.indexOf('%:'); at >= 0; at = text.indexOf('%:', at + 2)) {
    if (mayBeginDirective(text, at)) readDirective(source, at, at + 2);
  }
  findWords(source);
}

/** True unless something stands before it on its line. A slash may be the end of a comment, even of a spliced one. */
export function mayBeginDirective(text: string, at: number): boolean {
  for (let before = at - 1; before >= 0; before--) {
    const code = text.charCodeAt(before);
    if (code === newline || code === carriageReturn || code === slash) return true;
    if (!isBlank(code)) return false;
  }
  return true;
}

/** Past blanks, splices and comments. */
function skipBlanks(text: string, from: number): number {
  for (let at = from; ;) {
    const code = text.charCodeAt(at);
    if (isBlank(code)) at++;
    else if (code === backslash) {
      const after = afterSplice(text, at);
      if (after < 0) return at;
      at = after;
    } else if (code === slash && text[at + 1] === '*') {
      const close = text.indexOf('*/', at + 2);
      if (close < 0) return text.length;
      at = close + 2;
    } else return at;
  }
}

function wordEnd(text: string, from: number): number {
  let end = from;
  while (isWord(text.charCodeAt(end))) end++;
  return end;
}

/** From `from` to the end of the line, which splices and comments may put off. */
export function restOfLine(text: string, from: number): string {
  const end = text.indexOf('\n', from);
  const line = end < 0 ? text.slice(from) : text.slice(from, end);
  if (end < 0 || !(line.includes('\\') || line.includes('/*'))) return line;
  const joined = text.slice(from, from + 4096).replace(splice, '');
  return joined.replace(/\/\*[^]*?\*\//g, ' ').split('\n', 1)[0] ?? '';
}

// First letters of the directives that matter: include, include_next, import; embed; line, or # 33 "file"; pragma.
function readDirective(source: Source, hash: number, from: number): void {
  const { text } = source;
  const start = skipBlanks(text, from);
  const first = text.charCodeAt(start);
  if (first === 105) {
    // "if", "ifdef" and "ifndef" go on with f.
    if (text.charCodeAt(start + 1) !== 102) readInclude(source, hash, start);
  } else if (first === 101) {
    if (text.startsWith('embed', start) && wordEnd(text, start) === start + 5) addHazard(source, 'embed', hash);
  } else if ((first >= 48 && first <= 57) || (first === 108 && text.startsWith('line', start))) {
    readLineMarker(source, start);
  } else if (first === 112 && text.startsWith('pragma', start)) {
    readPragma(source, hash, start + 6);
  }
}

function readInclude(source: Source, hash: number, start: number): void {
  const { text, found } = source;
  const end = wordEnd(text, start);
  const directive = text.slice(start, end);
  if (directive !== 'include' && directive !== 'include_next' && directive !== 'import') return;
  const operand = skipBlanks(text, end);
  const literal = headerName(text, operand);
  if (literal !== undefined) {
    found.includes.push(includeOf(literal.name, literal.isQuoted || directive !== 'include'));
    // Not UTF-8: neither we nor the protocol can name that file.
    if (literal.name.includes('\ufffd')) addHazard(source, 'encoding', hash);
    return;
  }
  const code = text.charCodeAt(operand);
  const isNameOfMacro = isWord(code) && !(code >= 48 && code <= 57);
  // Without its end on the line, <… is taken for tokens.
  const mayBeMacro = isNameOfMacro || code === 36 || code >= 128 || code === backslash || text[operand] === '<';
  if (mayBeMacro && !source.isComment(hash)) {
    found.computed.push({ text: copyOf(decode(restOfLine(text, operand).trim())), line: lineOf(text, hash) });
  }
}

// Headers are included by many files, so each include is kept once; and as a copy, for V8 makes a slice of a text hold the
// whole text: over 5,000 files of 2 KB both together took 15 MB.
const includesSeen = { beside: new Map<string, Include>(), searched: new Map<string, Include>() };
// More names than a build of the whole kernel has.
const mostIncludesSeen = 100_000;

function includeOf(name: string, beside: boolean): Include {
  const seen = beside ? includesSeen.beside : includesSeen.searched;
  const known = seen.get(name);
  if (known !== undefined) return known;
  if (seen.size >= mostIncludesSeen) seen.clear();
  const include = { name: copyOf(name), beside };
  seen.set(include.name, include);
  return include;
}

function copyOf(text: string): string {
  return Buffer.from(text, 'utf8').toString('utf8');
}

type HeaderName = { readonly name: string; readonly isQuoted: boolean; readonly end: number };

/** `<name>` or `"name"` at a place; there are no escapes in it. */
function headerName(text: string, at: number): HeaderName | undefined {
  const open = text[at];
  if (open !== '<' && open !== '"') return undefined;
  const close = text.indexOf(open === '<' ? '>' : '"', at + 1);
  if (close < 0) return undefined;
  let name = text.slice(at + 1, close);
  if (name.includes('\n')) {
    name = name.replace(splice, '');
    if (name.includes('\n')) return undefined;
  }
  return { name: decode(name), isQuoted: open === '"', end: close + 1 };
}

const beyondAscii = /[\x80-\xff]/;

/** Bytes that were read as Latin-1, as the UTF-8 that they are. */
export function decode(latin1: string): string {
  return beyondAscii.test(latin1) ? Buffer.from(latin1, 'latin1').toString('utf8') : latin1;
}

function lineOf(text: string, at: number): number {
  let line = 1;
  for (let i = text.indexOf('\n'); i >= 0 && i < at; i = text.indexOf('\n', i + 1)) line++;
  return line;
}

function addHazard({ text, isComment, found }: Source, kind: HazardKind, at: number): void {
  if (!isComment(at)) found.hazards.push({ kind, line: lineOf(text, at) });
}

function readLineMarker({ text, found }: Source, start: number): void {
  const name = /"((?:[^"\\]|\\.)*)"/.exec(restOfLine(text, start))?.[1];
  if (name === undefined || name.startsWith('<') || name.endsWith('//')) return;
  found.quoted.push(copyOf(decode(name.replace(/\\(.)/g, '$1'))));
}

function readPragma(source: Source, hash: number, start: number): void {
  const line = restOfLine(source.text, skipBlanks(source.text, start));
  if (/^(?:clang\s+)?include_alias/.test(line)) addHazard(source, 'alias', hash);
  else if (/^GCC\s+dependency/.test(line)) addHazard(source, 'dependency', hash);
}

// Words that matter wherever they stand. Several passes: one expression for all takes longer than all together.
const languageWords = /__(?:DATE__|TIME|has_)/g;
const assemblerWords = /\.[iI][nN][cC][bBlL]/g;

function findWords(source: Source): void {
  const { text } = source;
  languageWords.lastIndex = 0;
  for (let match = languageWords.exec(text); match !== null; match = languageWords.exec(text)) {
    if (match[0] === '__has_') readQuestion(source, match.index);
    else readClockWord(source, match.index);
  }
  assemblerWords.lastIndex = 0;
  for (let match = assemblerWords.exec(text); match !== null; match = assemblerWords.exec(text)) {
    readAssembly(source, match.index);
  }
  // What the string of a _Pragma would say, or an argument that a macro makes into one.
  for (let at = text.indexOf('dependency'); at >= 0; at = text.indexOf('dependency', at + 1)) {
    if (/GCC[ \t]+$/.test(text.slice(Math.max(0, at - 20), at))) addHazard(source, 'dependency', at);
  }
  const at = text.indexOf('pch_preprocess');
  if (at >= 0) addHazard(source, 'precompiled', at);
}

function readClockWord(source: Source, at: number): void {
  const { text } = source;
  const end = wordEnd(text, at);
  if (at > 0 && isWord(text.charCodeAt(at - 1)) && !isEscape(text, at - 1)) return;
  const word = text.slice(at, end);
  if (word === '__DATE__' || word === '__TIME__') addHazard(source, 'date', at);
  else if (word === '__TIMESTAMP__') addHazard(source, 'timestamp', at);
}

/** True for the n of \n: the word that follows it begins there. */
function isEscape(text: string, at: number): boolean {
  return text.charCodeAt(at - 1) === backslash;
}

/** __has_include, its _next and (gcc 5 to 9) its form with underscores behind. */
function readQuestion(source: Source, at: number): void {
  const { text, found } = source;
  if (at > 0 && isWord(text.charCodeAt(at - 1))) return;
  const end = wordEnd(text, at);
  const word = text.slice(at, end);
  if (!word.startsWith('__has_include') && !word.startsWith('__has_embed')) return;
  const open = skipBlanks(text, end);
  const hasParenthesis = text[open] === '(';
  const operand = hasParenthesis ? skipBlanks(text, open + 1) : open;
  const literal = headerName(text, operand);
  if (word.startsWith('__has_embed')) {
    if (literal !== undefined || hasParenthesis) addHazard(source, 'embed', at);
  } else if (literal !== undefined) {
    found.includes.push(includeOf(literal.name, literal.isQuoted || word.includes('next')));
    // Between <> parameters stand for what a macro is given.
    if (!literal.isQuoted && /^define[^]*\w\(/.test(directiveBefore(text, at))) found.asksByMacro = true;
  } else if (!isDefined(text, at, hasParenthesis) && !source.isComment(at)) {
    if (!hasParenthesis || !/^(?:el)?if(?!\w)/.test(directiveBefore(text, at))) found.asksByMacro = true;
    else {
      const call = parenthesized(restOfLine(text, open));
      found.computed.push({ text: copyOf(decode(call.slice(1, -1).trim())), line: lineOf(text, at) });
    }
  }
}

/** `#define __has_include(x) 0`, for compilers without it; or it is only asked whether this one has it. */
function isDefined(text: string, at: number, hasParenthesis: boolean): boolean {
  const before = text.slice(Math.max(0, at - 40), at);
  return (
    /define[ \t]+$/.test(before) ||
    (!hasParenthesis && /\b(?:(?:el)?ifn?def|undef|defined[ \t]*\(?)[ \t]*$/.test(before))
  );
}

/** From the word of the last directive that begins before that place, wherever it ends. */
function directiveBefore(text: string, at: number): string {
  let mark = at - 1;
  while (mark >= 0 && !(/^(?:#|%:)/.test(text.slice(mark, mark + 2)) && mayBeginDirective(text, mark))) mark--;
  return text.slice(skipBlanks(text, mark + (text[mark] === '%' ? 2 : 1)), at);
}

/** From a parenthesis to the one that closes it, or to a line's end in its place. */
export function parenthesized(text: string): string {
  let depth = 0;
  for (let at = 0; at < text.length; at++) {
    if (text[at] === '(') depth++;
    else if (text[at] === ')' && --depth === 0) return text.slice(0, at + 1);
  }
  return `${text})`;
}

/**
 * `.incbin "f"` in assembler text, `".incbin \"f\""` in a string of C. `.include` is also how a member named include is
 * called in C++, so it counts only with a string or an assembler macro's argument behind it.
 */
function readAssembly(source: Source, at: number): void {
  const { text, found } = source;
  if (at > 0 && isWord(text.charCodeAt(at - 1)) && !isEscape(text, at - 1)) return;
  const end = wordEnd(text, at + 1);
  const word = text.slice(at + 1, end).toLowerCase();
  if (word !== 'incbin' && word !== 'include') return;
  const lineEnd = text.indexOf('\n', end);
  const rest = text.slice(end, lineEnd < 0 ? text.length : lineEnd);
  if (word === 'include' && !/^[ \t]*["\\]/.test(rest)) return;
  const name = assemblyOperand(text, at, rest);
  if (name !== undefined) found.assembled.push(copyOf(decode(name)));
  else addHazard(source, 'incbin', at);
}

function assemblyOperand(text: string, at: number, rest: string): string | undefined {
  const escaped = /^[ \t]*\\"([^"\\%]+)\\"/.exec(rest)?.[1];
  if (escaped !== undefined) return escaped;
  const plain = /^[ \t]*"([^"\\%]+)"/.exec(rest)?.[1];
  if (plain === undefined || /^\s|\s$/.test(plain)) return undefined;
  // A quote before it on the line: the one behind it closes a string of C, and what follows is no name.
  const lineStart = text.lastIndexOf('\n', at) + 1;
  const isSpliced = /\\[ \t\r]*\n$/.test(text.slice(Math.max(0, lineStart - 40), lineStart));
  const isInString = isSpliced || text.slice(lineStart, at).includes('"');
  return isInString ? undefined : plain;
}
