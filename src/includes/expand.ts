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

// Kernel trace headers, with some 20 event headers in one closure, need about 2,000.
const maxSteps = 50_000;
const maxHeaders = 4096;

class TooManyError extends Error {}

type Work = { readonly lookup: Lookup; steps: number };

/** The headers that the operand may name; undefined if that cannot be told. */
export function headersNamed(operand: string, lookup: Lookup): readonly Header[] | undefined {
  const headers = new Map<string, Header>();
  try {
    for (const tokens of expand({ lookup, steps: 0 }, tokensOf(operand))) {
      for (const header of headersOf(tokens)) headers.set(`${header.isQuoted}${header.name}`, header);
      if (headers.size > maxHeaders) return undefined;
    }
  } catch (error) {
    if (error instanceof TooManyError) return undefined;
    throw error;
  }
  return headers.size === 0 ? undefined : [...headers.values()];
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

/** Every way the tokens may come out. */
function* expand(work: Work, tokens: Tokens): Generator<Tokens> {
  const [head, ...rest] = tokens;
  if (head === undefined) {
    yield [];
    return;
  }
  if (++work.steps > maxSteps) throw new TooManyError();
  for (const tail of expand(work, rest)) yield [head, ...tail];
  if (head.kind !== 'word' || head.hidden.has(head.text)) return;
  for (const definition of work.lookup(head.text)) {
    const call = definition.parameters === undefined ? { args: [], rest } : argumentsIn(rest, definition);
    if (call === undefined) continue;
    if (definition.body === undefined) throw new TooManyError();
    const hidden = new Set([...head.hidden, head.text]);
    for (const replaced of substitute(work, definition, call.args)) {
      const first = replaced[0];
      const spaced = first === undefined ? replaced : [{ ...first, hasSpace: head.hasSpace }, ...replaced.slice(1)];
      const marked = spaced.map((token) => ({ ...token, hidden: new Set([...token.hidden, ...hidden]) }));
      yield* expand(work, [...marked, ...call.rest]);
    }
  }
}

type Call = { readonly args: readonly Tokens[]; readonly rest: Tokens };

function argumentsIn(tokens: Tokens, { parameters = [], isVariadic }: Definition): Call | undefined {
  if (tokens[0]?.text !== '(') return undefined;
  const args: Token[][] = [[]];
  let depth = 0;
  for (const [i, token] of tokens.entries()) {
    if (token.text === '(' && depth++ === 0) continue;
    if (token.text === ')' && --depth === 0) {
      const isNone = parameters.length === 0 && args.length === 1 && args[0]?.length === 0;
      return { args: isNone ? [] : args, rest: tokens.slice(i + 1) };
    }
    const isLast = isVariadic && args.length >= parameters.length;
    if (token.text === ',' && depth === 1 && !isLast) args.push([]);
    else args.at(-1)?.push(token);
  }
  return undefined;
}

function* substitute(work: Work, definition: Definition, args: readonly Tokens[]): Generator<Tokens> {
  const body = tokensOf(definition.body ?? '');
  if (body.some((token) => token.text === '__VA_OPT__')) throw new TooManyError();
  yield* substituteFrom(work, { body, definition, args }, { at: 0, done: [] });
}

type Substitution = { readonly body: Tokens; readonly definition: Definition; readonly args: readonly Tokens[] };

function* substituteFrom(
  work: Work,
  substitution: Substitution,
  { at, done }: { readonly at: number; readonly done: Tokens },
): Generator<Tokens> {
  if (++work.steps > maxSteps) throw new TooManyError();
  const { body, definition } = substitution;
  const token = body[at];
  if (token === undefined) {
    yield done;
    return;
  }
  const next = body[at + 1];
  if (token.text === '##' && next !== undefined) {
    const raw = argumentFor(substitution, next) ?? [next];
    yield* substituteFrom(work, substitution, { at: at + 2, done: paste(done, raw) });
    return;
  }
  if (token.text === '#' && next !== undefined && definition.parameters !== undefined) {
    const raw = argumentFor(substitution, next);
    if (raw !== undefined) {
      yield* substituteFrom(work, substitution, { at: at + 2, done: [...done, stringOf(raw, token.hasSpace)] });
      return;
    }
  }
  const raw = argumentFor(substitution, token);
  if (raw === undefined || next?.text === '##') {
    yield* substituteFrom(work, substitution, { at: at + 1, done: [...done, ...(raw ?? [token])] });
    return;
  }
  for (const expanded of expand(work, raw)) {
    const [first, ...others] = expanded;
    const spaced = first === undefined ? [] : [{ ...first, hasSpace: token.hasSpace }, ...others];
    yield* substituteFrom(work, substitution, { at: at + 1, done: [...done, ...spaced] });
  }
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

/** The compilers keep a space between tokens of <…> where there was one; both spellings are tried. */
function headersOf(tokens: Tokens): Header[] {
  const [first, ...rest] = tokens;
  if (first?.kind === 'string') return [{ name: first.text.slice(1, -1), isQuoted: true }];
  if (first?.text !== '<') return [];
  const close = rest.findIndex((token) => token.text === '>');
  if (close < 0) return [];
  const inside = rest.slice(0, close);
  const joined = inside.map((token) => token.text).join('');
  const spaced = (inside[0]?.hasSpace === true ? ' ' : '') + spell(inside);
  return [...new Set([joined, spaced])].map((name) => ({ name, isQuoted: false }));
}
