// A small program to be compiled: its files, its links, and a command line. `@ROOT@` in a text, a link or an option stands
// for the directory that it is laid out in.
import { mkdirSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

export type Program = {
  /** What it was made from, or what it is a witness of. */
  readonly name: string;
  readonly files: Readonly<Record<string, string>>;
  readonly links: Readonly<Record<string, string>>;
  readonly directories: readonly string[];
  /** Files that are a second older than the others: `#pragma once` looks at times. */
  readonly older: readonly string[];
  readonly argv: readonly string[];
};

/** Where it writes; empty before each compile. */
export const outputs = 'out';

const writtenAt = 1_600_000_000;

/** The program's command line in `root`. */
export function layOutProgram(root: string, program: Program): readonly string[] {
  const placed = (text: string): string => text.replaceAll('@ROOT@', root);
  for (const path of [...program.directories, outputs]) mkdirSync(join(root, path), { recursive: true });
  for (const [path, text] of Object.entries(program.files)) {
    const file = join(root, path);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, placed(text));
    utimesSync(file, writtenAt, writtenAt - (program.older.includes(path) ? 1 : 0));
  }
  for (const [path, target] of Object.entries(program.links)) symlinkSync(placed(target), join(root, path));
  return program.argv.map(placed);
}
