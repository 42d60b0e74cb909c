// A project for the simulated compiler: sources over headers that include each other, on the disk, since the client looks
// at real files. What a source costs stands in its first line.
import { mkdirSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Choices } from '../generated/choices.ts';
import { sourceText } from './compiler.ts';
import { compileTime, type Draw } from './draw.ts';

export type ProjectJob = {
  readonly source: string;
  readonly text: Buffer;
  readonly workMs: number;
  /** The command line after the compiler. */
  readonly words: readonly string[];
};

export type Project = { readonly cwd: string; readonly jobs: readonly ProjectJob[] };

const writtenAt = 1_600_000_000;

function write(path: string, text: string): void {
  writeFileSync(path, text);
  // Long ago: what has just been written is looked at twice.
  utimesSync(path, writtenAt, writtenAt);
}

export type ProjectSize = { readonly sources: number; readonly headers: number; readonly medianMs: number };

export function layOutProject(cwd: string, size: ProjectSize, choices: Choices, draw: Draw): Project {
  const { sources, headers, medianMs } = size;
  for (const name of ['include', 'src']) mkdirSync(join(cwd, name), { recursive: true });
  const include = (below: number): string => (below > 0 ? `#include "h${choices.upTo(below - 1)}.h"\n` : '');
  for (let at = 0; at < headers; at += 1) {
    write(join(cwd, `include/h${at}.h`), `#pragma once\n${include(at)}${include(at)}int h${at};\n`);
  }
  const jobs = Array.from({ length: sources }, (_, at): ProjectJob => {
    const source = `src/f${at}.c`;
    const workMs = Math.round(compileTime(draw, medianMs)) + 1;
    const text = sourceText(workMs, `${include(headers)}${include(headers)}int f${at};\n`);
    write(join(cwd, source), text);
    const optimised = choices.chance(50) ? ['-O2'] : [];
    return {
      source,
      text: Buffer.from(text),
      workMs,
      words: [...optimised, '-Iinclude', '-c', source, '-o', `f${at}.o`],
    };
  });
  return { cwd, jobs };
}
