// A program to be run by `shoal run`: one compile after the other, of each kind in turn, and how long each took.
//
//   node loop.js ROUNDS ANSWER-FILE
import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';

export type Kind = {
  readonly name: string;
  /** Round trips that a compile of it may take. */
  readonly most: number;
};

/** Of each kind, the compiles' times in milliseconds. */
export type LoopAnswer = Readonly<Record<string, readonly number[]>>;

type Case = Kind & { readonly file: string; readonly write: (fresh: string) => void };

const manyHeaders = 100;
const largeSourceBytes = 2 << 20;
// More than a worker sends along with a result.
const largeObjectBytes = 9 << 20;

const names = Array.from({ length: manyHeaders }, (_, at) => `many${at}.h`);

const cases: readonly Case[] = [
  {
    name: 'a small source is new',
    most: 1,
    file: 'small.c',
    write: (fresh) => writeFileSync('small.c', `#include <stdio.h>\nint small; /* ${fresh} */\n`),
  },
  {
    name: 'a small header is new',
    most: 2,
    file: 'header.c',
    write: (fresh) => {
      writeFileSync('header.h', `/* ${fresh} */\n`);
      writeFileSync('header.c', '#include "header.h"\nint header;\n');
    },
  },
  {
    name: `${manyHeaders} headers are new`,
    most: 2,
    file: 'many.c',
    write: (fresh) => {
      for (const name of names) writeFileSync(name, `/* ${name} ${fresh} */\n`);
      writeFileSync('many.c', `${names.map((name) => `#include "${name}"\n`).join('')}int many;\n`);
    },
  },
  {
    name: 'a source of 2 MB is new',
    most: 2,
    file: 'large.c',
    write: (fresh) => {
      const text = randomBytes(largeSourceBytes / 2).toString('hex');
      writeFileSync('large.c', `/* ${fresh} ${text} */\nint large;\n`);
    },
  },
  {
    name: 'an object of 9 MB comes back',
    most: 2,
    file: 'object.c',
    write: (fresh) => writeFileSync('object.c', `char object[${largeObjectBytes}] = "${fresh}";\n`),
  },
];

export const kinds: readonly Kind[] = cases;

const warmUps = 3;

function timeOf({ file, write }: Case, fresh: string): number {
  write(fresh);
  const startMs = performance.now();
  const { status, stderr } = spawnSync('gcc', ['-c', file, '-o', `${file}.o`], { encoding: 'utf8' });
  if (status !== 0) throw new Error(`${file}: status ${status}\n${stderr}`);
  return performance.now() - startMs;
}

function main(rounds: number, answer: string): void {
  const times = new Map(cases.map(({ name }) => [name, [] as number[]]));
  for (let round = -warmUps; round < rounds; round += 1) {
    for (const each of cases) {
      const ms = timeOf(each, randomBytes(8).toString('hex'));
      if (round >= 0) times.get(each.name)?.push(ms);
    }
  }
  writeFileSync(answer, JSON.stringify(Object.fromEntries(times) satisfies LoopAnswer));
}

const [rounds, answer] = process.argv.slice(2);
if (import.meta.filename === process.argv[1] && answer !== undefined) main(Number(rounds), answer);
