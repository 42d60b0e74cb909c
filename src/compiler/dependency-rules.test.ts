import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isPlainRules } from './dependency-rules.ts';

const isPlain = (text: string, argv: readonly string[] = []): boolean => isPlainRules(Buffer.from(text), argv);

test('what compilers write is plain', () => {
  for (const [text, argv = []] of [
    ['a.o: a.c'],
    ['out/a.o: a.c /usr/include/stdc-predef.h \\\n b.h \\\n c.h\n'],
    ['a.o: a.c b.h\n\nb.h:\n'],
    ['a.o: a.c b.h\nb.h:\n/usr/include/c.h:\n'],
    ['a$$b.o: a$$b.c sharp\\#.h blank\\ name.h c:d.h\nblank\\ name.h:\n'],
    ['$(name): a.c\n', ['-MT', '$(name)']],
    ['a=b c: a.c\n', ['-MTa=b c']],
    ['a.o b.o: a.c\n', ['-Wp,-MD,x.d,-MT,a.o', '-MQ', 'b.o']],
    ['a.o:\n'],
    ['größe.o: größe.c\n'],
  ] as const) {
    assert.ok(isPlain(text, argv), text);
  }
});

test('what make would do more with than compare times is not', () => {
  for (const [text, argv = []] of [
    ['a.o: a.c $(shell id)\n'],
    ['$(shell id) a.o: a.c\n'],
    ['a.o: a.c ; id\n'],
    ['a.o: a.c\n\tid\n'],
    ['a.o: a.c\nb.h: ; id\n'],
    ['a.o: CC = id\n'],
    ['CC = id # a.o: a.c\n'],
    ['a.o: a.c\nSHELL:=/bin/id\n'],
    ['a.o: a.c\nSHELL = /bin/id\n'],
    ['a.o: a.c\ninclude /etc/passwd\n'],
    ['include x: y\n'],
    ['a.o: a.c\nall: a.o\n'],
    ['a.o:: a.c\n\tid\n'],
    ['a.o: a.c \\\n\tb.c\n\tid\n'],
    ['CC=id a.o: a.c\n', ['-MT', 'a.o']],
    ['a.c b.h\n'],
    [''],
  ] as const) {
    assert.ok(!isPlain(text, argv), text);
  }
});
