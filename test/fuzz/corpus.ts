// Inputs that are kept, as files named by content: those that once went wrong, and some that reach far.
import { mkdirSync, readFileSync, readdirSync, writeFileSync, existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { digestOf } from '../../src/reapi/digest.ts';

const root = fileURLToPath(new URL('../../../test/fuzz/corpus', import.meta.url));

export function keptInputs(target: string): Buffer[] {
  const directory = join(root, target);
  return existsSync(directory) ? readdirSync(directory).map((name) => readFileSync(join(directory, name))) : [];
}

/** Gives the file's path. */
export function keepInput(target: string, input: Buffer): string {
  const path = join(root, target, digestOf(input).hash.slice(0, 16));
  mkdirSync(join(root, target), { recursive: true });
  writeFileSync(path, input);
  return path;
}
