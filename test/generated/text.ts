// What stands in the files of a generated program: directives in every form, around statements that leave in the object
// where they were met, and in what order.
import { oddIncludes } from '../includes/generated-tree.ts';
import type { Choices } from './choices.ts';
import { condition, numberNames } from './expressions.ts';
import { operandFor, type Layout } from './layout.ts';

type Place = { readonly choices: Choices; readonly layout: Layout; readonly path: string };

/** Macros of which an include may be made. */
const headerNames = ['M1', 'M2'] as const;

// TRACE leaves a place, SHOW a macro's value; both also in assembler text.
export const helpers = `#ifndef TRACE
#define CAT(a, b) CAT_(a, b)
#define CAT_(a, b) a ## b
#define STR(...) STR_(__VA_ARGS__)
#define STR_(...) #__VA_ARGS__
#define ANGLE(x) <x>
#define F(x) ((x) + 1)
#define ASK __has_include
#define HAS(x) __has_include(x)
#define HAS_NAMED(x) __has_include(STR(x))
#ifdef __ASSEMBLER__
#define TRACE .ascii __FILE__
#define SHOW(x) .ascii STR(STR(x))
#else
#define TRACE static const struct { const char *file; int line, level, number; } CAT(met_, __COUNTER__) __attribute__((used)) = { __FILE__, __LINE__, __INCLUDE_LEVEL__, __COUNTER__ };
#define SHOW(x) static const char *const CAT(show_, __COUNTER__) __attribute__((used)) = STR(x);
#endif
#endif
`;

const directiveForms = [
  '#include ',
  '#include ',
  '#include ',
  '#include ',
  '# include ',
  '#include',
  ...oddIncludes,
  '#include/**/',
] as const;

const behind = ['', '', '', '', '', ' // why', ' /* because */', '  ', ' /* of\n two lines */'] as const;

function include(place: Place): string {
  const { choices, layout } = place;
  if (choices.chance(8)) {
    const next = operand(place);
    const line = `#include_next ${next}`;
    return layout.isWild ? line : `#if __has_include_next(${next})\n${line}\n#endif`;
  }
  const form = choices.from(directiveForms);
  // The digraph is none in assembler text.
  return (layout.isAssembly ? form.replace('%:', '#') : form) + operand(place) + choices.from(behind);
}

function operand({ choices, layout, path }: Place): string {
  return operandFor(choices, layout, path);
}

function question(place: Place): string {
  const { choices, layout } = place;
  const word = choices.chance(75) ? '__has_include' : '__has_include_next';
  const asked = choices.weighted<() => string>([
    [6, () => operand(place)],
    [2, () => choices.from(['"none.h"', '<none.h>', '"a"', '<none/../x.h>'])],
    [layout.isWild ? 1 : 0, () => choices.from(headerNames)],
  ])();
  if (choices.chance(20)) return `HAS_NAMED(${asked.replace(/["<>]/g, '').replace('//', '/')})`;
  if (choices.chance(20)) return `${choices.from(['ASK', 'HAS'])}(${asked})`;
  return `${word}(${asked.endsWith('"') || asked.endsWith('>') || asked.startsWith('M') ? asked : '"x.h"'})`;
}

/** An include, or the definition of what it is made of and the include. */
function computed(place: Place): string {
  const { choices } = place;
  const name = choices.from(headerNames);
  const header = operand(place);
  const bare = header.replace(/["<>]/g, '');
  return choices.weighted<() => string>([
    [4, () => `#undef ${name}\n#define ${name} ${header}\n#include ${name}`],
    [bare.includes('//') ? 0 : 2, () => `#undef D\n#define D ${bare}\n#include STR(D)`],
    [header.startsWith('<') && !bare.includes('//') ? 2 : 0, () => `#undef D\n#define D ${bare}\n#include ANGLE(D)`],
    [2, () => `#ifdef ${name}\n#include ${name}\n#endif`],
    [1, () => `#undef HDR\n#define HDR(x) x\n#include HDR(${header})`],
    [1, () => `#undef M2\n#define M2 ${header}\n#include CAT(M, 2)`],
    [1, () => `#ifdef ${name}\n#if __has_include(${name})\n#include ${name}\n#endif\n#endif`],
    [1, () => `#if 0\n#include ${choices.from(['UNKNOWN', 'UNKNOWN(x.h)', name])}\n#endif`],
  ])();
}

function definition(place: Place): string {
  const { choices, layout } = place;
  const name = choices.from(numberNames);
  return choices.weighted<() => string>([
    [5, () => `#undef ${name}\n#define ${name} ${choices.upTo(3)}`],
    [1, () => `#define ${name} ${choices.upTo(3)}`],
    [2, () => `#undef ${name}`],
    [2, () => `#undef ${name}\n#define ${name} (${choices.from(numberNames)} + 1)`],
    [1, () => `#undef ${name}\n#define ${name}(x) F(x)`],
    [2, () => `#undef ${headerNames[0]}\n#define ${headerNames[0]} ${operand(place)}`],
    [layout.isWild ? 1 : 0, () => `#undef ${name}\n#define ${name} /* nothing */`],
    [1, () => `#pragma push_macro("${name}")\n#undef ${name}\n#define ${name} 2\n#pragma pop_macro("${name}")`],
    [1, () => `#undef ${name}\n#define ${name} \\\n 1 \\\n + 1`],
  ])();
}

function conditional(place: Place, depth: number): string {
  const { choices } = place;
  const ask = (): string => condition(choices, { question: () => question(place), isWild: place.layout.isWild });
  const block = (): string => statements(place, 1 + choices.upTo(1), depth - 1).join('\n');
  const name = choices.from([...numberNames, ...headerNames]);
  const opening = choices.weighted<() => string>([
    [6, () => `#if ${ask()}`],
    [2, () => `#ifdef ${name}`],
    [2, () => `#ifndef ${name}`],
    [1, () => '#if 0'],
    [2, () => `#if ${question(place)}`],
    [1, () => `#if !${question(place)} && !defined(${name})`],
  ])();
  const others = choices.weighted<() => string>([
    [4, () => ''],
    [3, () => `#else\n${block()}\n`],
    [2, () => `#elif ${ask()}\n${block()}\n#else\n${block()}\n`],
    [1, () => `#elif ${ask()}\n${block()}\n`],
  ])();
  return `${opening}\n${block()}\n${others}#endif`;
}

const ofC = [
  'static const char *const CAT(s_, __COUNTER__) __attribute__((unused)) = "/*"; // "',
  'static const char *const CAT(t_, __COUNTER__) __attribute__((unused)) = "#include \\"none.h\\"";',
  'typedef int int_; /* \n */ typedef int other_;',
  '_Pragma("message(\\"met\\")")',
] as const;

const oddities = [
  '// \\\n#include "none.h"',
  '/*\n#include "none.h"\n*/',
  '#pragma message("met")',
  '#warning met here',
  '#line 7',
  '#line 70 "x.h"',
  '#ident "shoal"',
  '#',
  '#pragma GCC system_header',
  '#pragma GCC diagnostic ignored "-Wcpp"',
  '#define M1 "y.h"',
  '\f',
] as const;

const faults = [
  '#endif // B',
  '#error the end',
  '#if 1 / 0\n#endif',
  '#else',
  '#if',
  '#unknown',
  'int = 1;',
  '#include',
  '#if 1',
  'int f( {',
] as const;

export function statements(place: Place, count: number, depth: number): string[] {
  const { choices, layout } = place;
  const kinds: (readonly [number, () => string])[] = [
    [26, () => include(place)],
    [14, () => definition(place)],
    [16, () => 'TRACE'],
    [6, () => `SHOW(${choices.from([...numberNames, ...headerNames, 'A B', 'F(A)', '__FILE__ __LINE__'])})`],
    [7, () => computed(place)],
    [3, () => choices.from(layout.isAssembly ? oddities : [...oddities, ...ofC])],
  ];
  if (depth > 0) kinds.push([14, () => conditional(place, depth)]);
  return Array.from({ length: count }, () =>
    layout.isWild && choices.chance(2) ? choices.from(faults) : choices.weighted(kinds)(),
  );
}

/** What keeps a header from including itself for ever. */
function guarded({ choices, path }: Place, text: string): string {
  const guard = `G_${path.replace(/\W/g, '_')}`;
  return choices.weighted<() => string>([
    [5, () => `#ifndef ${guard}\n#define ${guard}\n${text}#endif\n`],
    [2, () => `#if !defined(${guard})\n#define ${guard} 1\n${text}#endif // ${guard}\n`],
    [3, () => `#pragma once\n${text}`],
    [1, () => `_Pragma("once")\n${text}`],
    [2, () => `#if __INCLUDE_LEVEL__ < ${3 + choices.upTo(1)}\n${text}#endif\n`],
  ])();
}

/** The whole text of the file at the place. */
export function textOf(place: Place): string {
  const { choices, layout, path } = place;
  const isSource = path === layout.source;
  const lines = statements(place, isSource ? 6 + choices.upTo(5) : 2 + choices.upTo(3), 2);
  const text = `${helpers}TRACE\n${lines.join('\n')}\n`;
  const whole = isSource ? text : guarded(place, text);
  return choices.weighted<() => string>([
    [30, () => whole],
    [1, () => whole.replaceAll('\n', '\r\n')],
    [1, () => `\ufeff${whole}`],
    [1, () => whole.trimEnd()],
  ])();
}
