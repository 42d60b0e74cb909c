// Works out which files an include made by macros can name: every definition seen anywhere may be the one in force, so
// the expansion (after Dave Prosser's algorithm, with a set of names per token that it must not expand again) follows
// them all, and none too: a name may also be undefined at that place.
import type { Definition } from './definitions.ts';

export type Header = { readonly name: string; readonly isQuoted: boolean };

export type Lookup = (name: string) => readonly Definition[];

type Token = {
  readonly text: string;
  readonly kind: 'word' | 'string' | 'other';
  readonly hasSpace: boolean;
  readonly hidden: ReadonlySet<string>;
};

type Tokens = readonly Token[];

// The kernel's trace headers are the hardest known: with 20 event headers in one closure an operand has 924 readings and
// takes 80 ms (once, until one of the definitions changes), with 40 some 3,400.
const maxReadings = 30_000;
const maxSteps = 1_000_000;

class TooManyError extends Error {}

type Work = { readonly lookup: Lookup; steps: number };

/** The headers that the operand may name, none where every reading is an error; undefined if that cannot be told. */
export function headersNamed(operand: string, lookup: Lookup): readonly Header[] | undefined {
  return headersIn(operand, lookup, (tokens) => [tokens]);
}

/** As `headersNamed`, of those that are asked for where macros in the text come out as `__has_include`. */
export function headersAsked(call: string, lookup: Lookup): readonly Header[] | undefined {
  return headersIn(call, lookup, questionsOf);
}

/** What stands behind each `__has_include` (and not `defined(__has_include)`), in its parentheses if it has any. */
function questionsOf(tokens: Tokens): Tokens[] {
  return tokens.flatMap(({ text }, at) => {
    const before = tokens[tokens[at - 1]?.text === '(' ? at - 2 : at - 1]?.text;
    if (!text.startsWith('__has_include') || before === 'defined') return [];
    if (tokens[at + 1]?.text !== '(') return [tokens.slice(at + 1)];
    let depth = 0;
    const end = tokens.findIndex((token, index) => {
      if (index > at && token.text === '(') depth += 1;
      if (index > at && token.text === ')') depth -= 1;
      return index > at && depth === 0;
    });
    return [tokens.slice(at + 2, end < 0 ? tokens.length : end)];
  });
}

type Operands = (tokens: Tokens) => readonly Tokens[];

function headersIn(text: string, lookup: Lookup, operandsOf: Operands): readonly Header[] | undefined {
  const headers = new Map<string, Header>();
  let isCertain = true;
  try {
    for (const operand of expand({ lookup, steps: 0 }, tokensOf(text)).flatMap(operandsOf)) {
      const named = headersOf(operand);
      for (const header of named) headers.set(`${header.isQuoted}${header.name}`, header);
      isCertain &&= named.length > 0 || !operand.some(isUncertain);
    }
  } catch (error) {
    if (error instanceof TooManyError) return undefined;
    throw error;
  }
  const found = [...headers.values()];
  if (found.length === 0 && !isCertain) return undefined;
  // A name that is not UTF-8.
  return found.some(({ name }) => name.includes('\ufffd')) ? undefined : found;
}

/** Where no header comes out, it may be for want of a definition that is the compiler's own, or spelled in another way. */
function isUncertain({ text, kind }: Token): boolean {
  return text === '\\' || (kind === 'word' && !/^[A-Za-z]\w*$/.test(text));
}

const nothing: ReadonlySet<string> = new Set();
const lexeme =
  /(\s+)|([A-Za-z_$\x80-\uffff][\w$\x80-\uffff]*)|("(?:[^"\\]|\\.)*")|(\.?\d(?:[eEpP][+-]|[\w.$\x80-\uffff])*|##|'(?:[^'\\]|\\.)*'|[^])/g;

function tokensOf(text: string): Token[] {
  const tokens: Token[] = [];
  let hasSpace = false;
  for (const [, space, word, string, other] of text.matchAll(lexeme)) {
    if (space !== undefined) {
      hasSpace = true;
      continue;
    }
    const kind = word !== undefined ? 'word' : string !== undefined ? 'string' : 'other';
    tokens.push({ text: word ?? string ?? other ?? '', kind, hasSpace, hidden: nothing });
    hasSpace = false;
  }
  return tokens;
}

function step(work: Work): void {
  if (++work.steps > maxSteps) throw new TooManyError();
}

/** Readings that differ. */
function distinct(readings: readonly Tokens[]): Tokens[] {
  if (readings.length > maxReadings) throw new TooManyError();
  const byText = new Map<string, Tokens>();
  for (const tokens of readings) {
    const key = tokens.map(
      (token) => `${token.hasSpace ? ' ' : ''}${token.hidden.has(token.text) ? '!' : ''}${token.text}`,
    );
    byText.set(key.join('\0'), tokens);
  }
  return [...byText.values()];
}

/** Every way the tokens may come out. */
function expand(work: Work, tokens: Tokens): Tokens[] {
  if (!tokens.some((token) => isExpandable(work, token))) return [tokens];
  // From the end: what follows a token is worked out once for all its readings.
  const from: Tokens[][] = [];
  from[tokens.length] = [[]];
  for (let at = tokens.length - 1; at >= 0; at--) {
    const readings: Tokens[] = [];
    const heads = readingsAt(work, tokens, at);
    for (const { reading, next } of heads) {
      for (const tail of from[next] ?? []) {
        step(work);
        readings.push([...reading, ...tail]);
      }
      // A name of a macro with parentheses that only now meets its parentheses.
      const last = reading.at(-1);
      if (last === undefined || (reading.length === 1 && next === at + 1 && last === tokens[at])) continue;
      if (tokens[next]?.text !== '(' || !isExpandable(work, last)) continue;
      for (const joined of expand(work, [last, ...tokens.slice(next)]))
        readings.push([...reading.slice(0, -1), ...joined]);
    }
    from[at] = heads.length === 1 ? readings : distinct(readings);
  }
  return from[0] ?? [];
}

type Reading = { readonly reading: Tokens; readonly next: number };

function isExpandable(work: Work, token: Token): boolean {
  return token.kind === 'word' && !token.hidden.has(token.text) && work.lookup(token.text).length > 0;
}

/** The ways one token, with the arguments behind it, may come out. */
function readingsAt(work: Work, tokens: Tokens, at: number): Reading[] {
  step(work);
  const head = tokens[at];
  if (head === undefined) return [];
  if (!isExpandable(work, head)) return [{ reading: [head], next: at + 1 }];
  const hidden = new Set([...head.hidden, head.text]);
  const definitions = work.lookup(head.text);
  // As it is: undefined at this place, and then so throughout the directive; or without the parentheses that it needs.
  const needsCall = definitions.some((definition) => definition.parameters !== undefined);
  const readings: Reading[] = [{ reading: [needsCall ? head : { ...head, hidden }], next: at + 1 }];
  for (const definition of definitions) {
    const call =
      definition.parameters === undefined ? { args: [], next: at + 1 } : argumentsIn(tokens, at + 1, definition);
    if (call === undefined) continue;
    if (definition.body === undefined) throw new TooManyError();
    for (const replaced of substitute(work, definition, call.args)) {
      const marked = replaced.map((token, i) => ({
        ...token,
        hasSpace: i === 0 ? head.hasSpace : token.hasSpace,
        hidden: new Set([...token.hidden, ...hidden]),
      }));
      for (const reading of expand(work, marked)) readings.push({ reading, next: call.next });
    }
  }
  return readings;
}

type Call = { readonly args: readonly Tokens[]; readonly next: number };

function argumentsIn(tokens: Tokens, start: number, { parameters = [], isVariadic }: Definition): Call | undefined {
  if (tokens[start]?.text !== '(') return undefined;
  const args: Token[][] = [[]];
  let depth = 1;
  for (let at = start + 1; at < tokens.length; at++) {
    const token = tokens[at];
    if (token === undefined) return undefined;
    if (token.text === '(') depth++;
    if (token.text === ')' && --depth === 0) {
      const isNone = parameters.length === 0 && args.length === 1 && args[0]?.length === 0;
      return { args: isNone ? [] : args, next: at + 1 };
    }
    const isLast = isVariadic && args.length >= parameters.length;
    if (token.text === ',' && depth === 1 && !isLast) args.push([]);
    else args.at(-1)?.push(token);
  }
  return undefined;
}

type Substitution = { readonly body: Tokens; readonly definition: Definition; readonly args: readonly Tokens[] };

/** The body with its arguments in place: one reading for each combination of what the arguments come out as. */
function substitute(work: Work, definition: Definition, args: readonly Tokens[]): Tokens[] {
  const body = tokensOf(definition.body ?? '');
  if (body.some((token) => token.text === '__VA_OPT__')) throw new TooManyError();
  const substitution: Substitution = { body, definition, args };
  let readings: Tokens[] = [[]];
  for (let at = 0; at < body.length;) {
    const piece = pieceAt(work, substitution, at);
    const { isPasted } = piece;
    readings = readings.flatMap((done) => {
      return piece.readings.map((right) => {
        step(work);
        return isPasted ? paste(done, right) : [...done, ...right];
      });
    });
    at = piece.next;
  }
  return distinct(readings);
}

type Piece = { readonly readings: readonly Tokens[]; readonly next: number; readonly isPasted: boolean };

function pieceAt(work: Work, substitution: Substitution, at: number): Piece {
  const { body, definition } = substitution;
  const token = body[at];
  const next = body[at + 1];
  if (token === undefined) return { readings: [], next: at + 1, isPasted: false };
  if (token.text === '##' && next !== undefined) {
    return { readings: [argumentFor(substitution, next) ?? [next]], next: at + 2, isPasted: true };
  }
  if (token.text === '#' && next !== undefined && definition.parameters !== undefined) {
    const raw = argumentFor(substitution, next);
    if (raw !== undefined) return { readings: [[stringOf(raw, token.hasSpace)]], next: at + 2, isPasted: false };
  }
  const raw = argumentFor(substitution, token);
  if (raw === undefined || next?.text === '##') return { readings: [raw ?? [token]], next: at + 1, isPasted: false };
  const readings = expand(work, raw).map(([first, ...others]) => {
    return first === undefined ? [] : [{ ...first, hasSpace: token.hasSpace }, ...others];
  });
  return { readings, next: at + 1, isPasted: false };
}

function argumentFor({ definition, args }: Substitution, token: Token): Tokens | undefined {
  if (token.kind !== 'word') return undefined;
  const index = definition.parameters?.indexOf(token.text) ?? -1;
  return index < 0 ? undefined : (args[index] ?? []);
}

function paste(done: Tokens, right: Tokens): Tokens {
  const left = done.at(-1);
  const [first, ...others] = right;
  if (left === undefined || first === undefined) return [...done, ...right];
  const [joined] = tokensOf(left.text + first.text);
  const text = left.text + first.text;
  const kind = joined?.text === text ? joined.kind : 'other';
  return [...done.slice(0, -1), { text, kind, hasSpace: left.hasSpace, hidden: nothing }, ...others];
}

function spell(tokens: Tokens): string {
  return tokens.map((token, i) => (token.hasSpace && i > 0 ? ` ${token.text}` : token.text)).join('');
}

function stringOf(tokens: Tokens, hasSpace: boolean): Token {
  const inside = tokens.map((token, i) => {
    const text = token.kind === 'string' ? token.text.replace(/[\\"]/g, '\\$&') : token.text;
    return token.hasSpace && i > 0 ? ` ${text}` : text;
  });
  return { text: `"${inside.join('')}"`, kind: 'string', hasSpace, hidden: nothing };
}

/**
 * The compilers keep a space between tokens of <…> where there was one; both spellings are tried. Where the end is missing
 * gcc says so, and looks for what there is.
 */
function headersOf(tokens: Tokens): Header[] {
  const [first, ...rest] = tokens;
  if (first?.kind === 'string') return [{ name: first.text.slice(1, -1), isQuoted: true }];
  if (first?.text !== '<') return [];
  const close = rest.findIndex((token) => token.text === '>');
  const inside = close < 0 ? rest : rest.slice(0, close);
  const joined = inside.map((token) => token.text).join('');
  const spaced = (inside[0]?.hasSpace === true ? ' ' : '') + spell(inside);
  return [...new Set([joined, spaced])].map((name) => ({ name, isQuoted: false }));
}
