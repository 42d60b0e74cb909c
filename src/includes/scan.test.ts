import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { scan } from './scan.ts';

const names = (text: string): string[] => scan(Buffer.from(text)).includes.map((include) => include.name);
const hazards = (text: string): string[] => scan(Buffer.from(text)).hazards.map(({ kind, line }) => `${kind}:${line}`);

for (const [title, text] of [
  ['a plain include', '#include "x.h"\n'],
  ['an include at the end without a newline', '#include <x.h>'],
  ['blanks, tabs and form feeds', ' \t\f#\v include\t"x.h"'],
  ['a NUL, which both compilers skip', '\0#\0include\0"x.h"'],
  ['CRLF', 'int a;\r\n#include "x.h"\r\n'],
  ['a lone carriage return, which clang takes for a newline', 'int a;\r#include "x.h"'],
  ['a byte order mark', '\ufeff#include "x.h"'],
  ['a digraph', '%:include "x.h"'],
  ['a trigraph', '??=include "x.h"'],
  ['a comment before the mark', '/* a */ #include "x.h"'],
  ['a comment that ends before the mark', 'int a; /* a\n b */ #include "x.h"'],
  ['a comment whose end is split', '/* a *\\\n/ #include "x.h"'],
  ['a comment inside the directive', '# /* a */ include /* b\n c */ "x.h"'],
  ['a splice between the words', '#include \\\n "x.h"'],
  ['a splice inside the directive', '#inc\\\nlude "x.h"'],
  ['a splice after the mark', '#\\\ninclude "x.h"'],
  ['a splice with blanks behind the backslash', '#inc\\ \t\nlude "x.h"'],
  ['a splice made by a trigraph', '#inc??/\nlude "x.h"'],
  ['a splice inside the name', '#include "x\\\n.h"'],
  ['#include_next', '#include_next <x.h>'],
  ['#import', '#import "x.h"'],
  ['__has_include', '#if defined(A) && __has_include ( <x.h> )'],
  ['__has_include_next', '#if __has_include_next("x.h")'],
  ['the older spelling of __has_include', '#if __has_include__("x.h")'],
  ['a branch that is not taken', '#if 0\n#include "x.h"\n#endif'],
  ['what looks like the end of a raw string', 'const char *a = R"(\n#include "x.h"\n)";'],
] as const) {
  test(`the scan sees ${title}`, () => assert.deepEqual([...new Set(names(text))], ['x.h']));
}

test('what is no directive is no include', () => {
  assert.deepEqual(
    names('// see #include "x.h"\nf(#include "y.h")\n * #include "z.h"\n#included "w.h"\n#if include\n'),
    [],
  );
});

test('a name is decoded as UTF-8', () => assert.deepEqual(names('#include "grün.h"'), ['grün.h']));

test('only quotes, #include_next and #import look beside the including file', () => {
  const found = scan(Buffer.from('#include <a>\n#include "b"\n#include_next <c>\n#import <d>\n')).includes;
  assert.deepEqual(
    found.map((include) => include.beside),
    [false, true, true, true],
  );
});

test('an include made by macros keeps its text and line', () => {
  const found = scan(Buffer.from('\n#include F(x, /* y */ \\\n z) // c\n# if __has_include(MACRO)\n'));
  assert.deepEqual(found.computed, [
    { text: 'F(x,    z) // c', line: 2 },
    { text: 'MACRO', line: 4 },
  ]);
});

test('the operand of a question ends at its own parenthesis', () => {
  const found = scan(Buffer.from('#define S(x) #x\n#if __has_include(S(a(b)/x.h)) && A(1)\n#elif __has_include(M\n'));
  assert.deepEqual(
    found.computed.map(({ text }) => text),
    ['S(a(b)/x.h)', 'M'],
  );
});

test('a macro that asks for a header is noted, a test for the question is not', () => {
  const asks = (text: string): boolean => scan(Buffer.from(text)).asksByMacro;
  for (const text of [
    '#define HAS(x) __has_include(x)\n',
    '#define HAS __has_include\n',
    '#define HAS(x) __has_include(<x.h>)\n',
    '#if A\n%: define HAS(x) \\\n  (B && __has_include(x))\n#endif\n',
    '#define X \\\n #x __has_include(x)\n',
  ])
    assert.ok(asks(text), text);
  for (const text of [
    '#ifdef __has_include\n#ifndef __has_include\n#elifdef __has_include\n#undef __has_include\n',
    '#if defined(__has_include) && !defined __has_include && __has_include("x.h") && __has_include(M)\n',
    '#define __has_include(x) 0\n#define HAS_X __has_include("x.h")\n#define HAS_Y __has_include(<y.h>)\n',
    '/* by __has_include */ // __has_include(x)\n',
  ])
    assert.ok(!asks(text), text);
});

test('prose in a comment is no include made by macros', () => {
  const text = "/* to use it,\n   #include other stuff\n*/\n// x \\\n#include more stuff\nint a = 1'000; // don't\n";
  assert.deepEqual(scan(Buffer.from(text)).computed, []);
});

test('a definition of __has_include for compilers without it asks for nothing', () => {
  assert.deepEqual(scan(Buffer.from('#ifndef __has_include\n#define __has_include(x) 0\n#endif')).computed, []);
});

test('the clock macros count wherever they are not a comment', () => {
  assert.deepEqual(hazards('// __DATE__\n/* __TIME__ */ x = __DATE__;\n#define T __TIMESTAMP__\n'), [
    'date:2',
    'timestamp:3',
  ]);
  assert.deepEqual(hazards('int MY__DATE__, __TIMER__, __DATE__X; auto s = "/*" __TIME__ "*/";'), ['date:1']);
  assert.deepEqual(hazards('auto s = R"(/*)"; x = __DATE__; /* */'), ['date:1']);
  assert.deepEqual(hazards('__DA\\\nTE__'), ['date:1']);
});

test('a pragma that reads files counts, also from a string', () => {
  assert.deepEqual(hazards('#pragma GCC dependency "y"\n_Pragma("GCC dependency \\"y\\"")\n#pragma once\n'), [
    'dependency:1',
    'dependency:1',
    'dependency:2',
  ]);
  assert.deepEqual(hazards('#pragma GCC pch_preprocess "x.gch"'), ['precompiled:1']);
  assert.deepEqual(hazards('#pragma include_alias("a", "b")\n#embed "x"\n#if __has_embed("x")\n'), [
    'alias:1',
    'embed:2',
    'embed:3',
  ]);
});

test('files of the assembler are named where the name is a literal', () => {
  const assembled = (text: string): readonly string[] => scan(Buffer.from(text)).assembled;
  assert.deepEqual(assembled('.incbin "a.bin"\n\t.include "b.s"\n .INCBIN "c"'), ['a.bin', 'b.s', 'c']);
  assert.deepEqual(assembled('asm(".incbin \\"a.bin\\"\\n\\t.incbin \\"b.bin\\"");'), ['a.bin', 'b.bin']);
  assert.deepEqual(hazards('asm(".incbin \\"" FILE "\\"");'), ['incbin:1']);
  assert.deepEqual(hazards('asm(".incbin " FILE);\n.incbin \\file\n.incbin NAME'), [
    'incbin:1',
    'incbin:2',
    'incbin:3',
  ]);
  assert.deepEqual(hazards('range.include(x); y.include ("a"); // .incbin x'), []);
});

test('a file that #line names is noted: gcc opens it to quote a line', () => {
  const text = '#line 3 "parse.y"\n# 1 "a\\"b.c" 1 3\n# 1 "<built-in>"\n# 1 "/work//"\n#line 5\n';
  assert.deepEqual(scan(Buffer.from(text)).quoted, ['parse.y', 'a"b.c']);
});

test('the scan takes any bytes', () => {
  const piece = fc.constantFrom(
    '#',
    '%:',
    '??=',
    '??/',
    'include',
    ' ',
    '\\',
    '\n',
    '\r',
    '"',
    '<',
    '>',
    '/*',
    '*/',
    '//',
    'R"(',
    ')"',
    "'",
    '__has_include',
    '(',
    '.incbin',
    'x',
    '__DATE__',
  );
  fc.assert(
    fc.property(fc.array(fc.oneof(piece, fc.string({ maxLength: 3 })), { maxLength: 60 }), (parts) => {
      scan(Buffer.from(parts.join('')));
    }),
  );
});
