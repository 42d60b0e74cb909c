// A small project to build over and over: a dozen of C files of one kind, which leave an object and a dependency file each.
import { mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export type Project = {
  readonly directory: string;
  readonly files: number;
  /** Takes what a build left away, and changes a header so that every compile is a new one with the same result. */
  readonly renew: () => void;
  /** What a build has left, by name. */
  readonly products: () => ReadonlyMap<string, Buffer>;
};

export type Kind = {
  readonly files: number;
  /** In each file; 350 take a second. */
  readonly functions: number;
  /** Of data in each object. */
  readonly bytes?: number;
};

export function writeProject(directory: string, kind: Kind): Project {
  const { files } = kind;
  mkdirSync(directory);
  const sources = Array.from({ length: files }, (_, at) => `file${at}.c`);
  const objects = sources.map((name) => name.replace('.c', '.o')).join(' ');
  sources.forEach((name, at) => writeFileSync(join(directory, name), sourceText(at, kind)));
  writeFileSync(join(directory, 'Makefile'), `all: ${objects}\n%.o: %.c\n\t$(CC) -g -O2 -MD -c $< -o $@\n`);
  let round = 0;
  const names = (): string[] => readdirSync(directory).filter((name) => /\.[od]$/.test(name));
  const renew = (): void => {
    for (const name of names()) rmSync(join(directory, name));
    writeFileSync(join(directory, 'shared.h'), `int shared(int value); /* ${(round += 1)} */\n`);
  };
  renew();
  return {
    directory,
    files,
    renew,
    products: () => new Map(names().map((name) => [name, readFileSync(join(directory, name))])),
  };
}

function sourceText(at: number, { functions, bytes = 0 }: Kind): string {
  const bodies = Array.from({ length: functions }, (_, index) => {
    return `int f${at}_${index}(int n) { char b[64]; for (int i = 0; i < n; i++) snprintf(b, sizeof b, "%d", shared(i * ${index} + n)); return (int)strlen(b); }`;
  });
  const includes = ['<stdio.h>', '<stdlib.h>', '<string.h>', '"shared.h"'].map((name) => `#include ${name}\n`).join('');
  const data = bytes === 0 ? '' : `char data[${bytes}] = { 1 };\n`;
  return `${includes}${data}${bodies.join('\n')}\n`;
}
