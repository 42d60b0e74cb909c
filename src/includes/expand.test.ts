import assert from 'node:assert/strict';
import { test } from 'node:test';
import { definitionFromOption, definitionsIn } from './definitions.ts';
import { headersNamed } from './expand.ts';

function named(operand: string, text: string): string[] | undefined {
  const definitions = definitionsIn(Buffer.from(text));
  const headers = headersNamed(operand, (name) => definitions.get(name) ?? []);
  return headers?.map(({ name, isQuoted }) => (isQuoted ? `"${name}"` : `<${name}>`)).toSorted();
}

test('a chain of macros leads to a name', () => {
  assert.deepEqual(named('A', '#define A B\n#define B <x/y.h>'), ['<x/y.h>']);
});

test('every definition counts, in whatever branch', () => {
  assert.deepEqual(named('A', '#if X\n# define A "x.h"\n#else\n#define A "y.h" // no\n#endif'), ['"x.h"', '"y.h"']);
});

test('the trace headers of the kernel are found', () => {
  const text = `#define TRACE_SYSTEM ext4
#define TRACE_SYSTEM sched
#define TRACE_INCLUDE_FILE TRACE_SYSTEM
#define TRACE_INCLUDE_PATH ../../fs/ext4
#define __stringify_1(x...)	#x
#define __stringify(x...)	__stringify_1(x)
#ifndef TRACE_INCLUDE_PATH
# define __TRACE_INCLUDE(system) <trace/events/system.h>
#else
# define __TRACE_INCLUDE(system) __stringify(TRACE_INCLUDE_PATH/system.h)
#endif
# define TRACE_INCLUDE(system) __TRACE_INCLUDE(system)`;
  const found = named('TRACE_INCLUDE(TRACE_INCLUDE_FILE)', text) ?? [];
  for (const name of ['"../../fs/ext4/ext4.h"', '<trace/events/sched.h>', '<trace/events/ext4.h>']) {
    assert.ok(found.includes(name), `${name} in ${found.join(' ')}`);
  }
});

test('tokens are pasted and made strings as the preprocessor does', () => {
  assert.deepEqual(
    named('CAT(na, me)', '#define CAT(a, b) CAT_(a, b)\n#define CAT_(a, b) a ## b\n#define name <n.h>'),
    ['<n.h>'],
  );
  assert.deepEqual(named('S(lib/x.h)', '#define S(...) #__VA_ARGS__'), ['"lib/x.h"']);
  assert.deepEqual(named('F ( G )', '#define F(x) <x>\n#define G a.h'), ['<G>', '<a.h>'], 'G may be undefined there');
});

test('forty event headers in one closure are no trouble', () => {
  const lines = Array.from({ length: 40 }, (_, i) => {
    return `#define TRACE_SYSTEM s${i}\n#define TRACE_INCLUDE_PATH ../../drivers/d${i}\n#define TRACE_INCLUDE_FILE t${i}\n`;
  });
  const text = `${lines.join('')}#define TRACE_INCLUDE_FILE TRACE_SYSTEM
#define STR_1(x...) #x
#define STR(x...) STR_1(x)
#define __TRACE_INCLUDE(system) <trace/events/system.h>
#define __TRACE_INCLUDE(system) STR(TRACE_INCLUDE_PATH/system.h)
#define TRACE_INCLUDE(system) __TRACE_INCLUDE(system)`;
  const found = named('TRACE_INCLUDE(TRACE_INCLUDE_FILE)', text) ?? [];
  assert.ok(found.includes('"../../drivers/d39/t7.h"') && found.includes('<trace/events/s5.h>'));
});

test('a name that only the expansion brings to its parentheses is expanded', () => {
  assert.ok(named('F(x.h)', '#define F G\n#define G(a) <lib/a>')?.includes('<lib/x.h>'));
  assert.ok(named('F G(x.h)', '#define F\n#define G(a) <lib/a>')?.includes('<lib/x.h>'));
});

test('a macro that leads to itself ends', () => {
  assert.deepEqual(named('A', '#define A B\n#define B A'), []);
});

test('what no definition makes a header is an error wherever it is read, and names none', () => {
  for (const operand of ['A', 'A(x.h)', 'A.h', 'F']) {
    assert.deepEqual(named(operand, '#define A B + 1\n#define F(x) <x>'), [], operand);
  }
  assert.deepEqual(named('UNKNOWN', ''), []);
});

test('a header name without its end is looked for as far as it goes', () => {
  assert.deepEqual(named('A', '#define A <inc//x.h>'), ['<inc>']);
  assert.deepEqual(named('<x.h', ''), ['<x.h>']);
});

test('what the compiler may know better is unknown', () => {
  for (const operand of ['__VERSION__', '_NAME', 'A', 'ü', 'C\\u00fc', '$D']) {
    assert.equal(named(operand, '#define A __own'), undefined, operand);
  }
});

test('definitions are found in every form, in whatever encoding', () => {
  assert.deepEqual(named('A', '#/* \n */define /*\n*/ A "x.h" /* y */'), ['"x.h"']);
  assert.deepEqual(named('A', '#define A \\\n "ü.h"\r\n'), ['"ü.h"']);
  assert.deepEqual(named('ü', '#define ü "x.h"'), ['"x.h"']);
  assert.deepEqual(named('S(D)', '#define S(x) S_(x)\n#define S_(x) #x\n#define D a/ü.h')?.at(-1), '"a/ü.h"');
  assert.equal(
    headersNamed('A', () => definitionsIn(Buffer.from('#define A "\xfc"', 'latin1')).get('A') ?? []),
    undefined,
  );
});

test('what cannot be told is unknown', () => {
  assert.equal(named('A', `#define A "${'x'.repeat(300)}"`), undefined);
  const values = Array.from({ length: 60 }, (_, i) => `#define B b${i}\n`).join('');
  assert.equal(named('A', `#define A B B B B B B\n${values}`), undefined);
});

test('an option defines as a directive does', () => {
  const parse = (text: string): unknown => definitionFromOption(text);
  assert.deepEqual(parse('A'), { name: 'A', definition: { parameters: undefined, isVariadic: false, body: '1' } });
  assert.deepEqual(parse('A='), { name: 'A', definition: { parameters: undefined, isVariadic: false, body: '' } });
  assert.deepEqual(parse('A="x.h"'), {
    name: 'A',
    definition: { parameters: undefined, isVariadic: false, body: '"x.h"' },
  });
  assert.deepEqual(parse('F(x)=<x>'), { name: 'F', definition: { parameters: ['x'], isVariadic: false, body: '<x>' } });
});
