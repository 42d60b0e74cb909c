// Specs files that a command names: `-specs=FILE`. With `--sysroot DIR` they are this box's, below that directory; without
// it such commands are refused, as stock distccd does, because a specs file can have the driver run anything.
import { readFile, realpath, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { DistccError } from '../../distcc/errors.ts';
import type { CompileCommand } from '../../distcc/compile-command.ts';
import type { Addition } from '../sandbox/sandbox.ts';

export type CommandWithFiles = { readonly command: CompileCommand; readonly files: readonly Addition[] };

const option = '-specs=';
const maxSpecsBytes = 1 << 20;

async function contentBelow(directory: string, name: string): Promise<Buffer> {
  const refuse = (why: string, cause?: unknown): DistccError =>
    new DistccError('REFUSED', `${option}${name}: ${why} ${directory}`, { cause });
  try {
    const [root, path] = await Promise.all([realpath(directory), realpath(join(directory, name))]);
    if (!path.startsWith(`${root}/`)) throw refuse('it is not below');
    const { size } = await stat(path);
    if (size > maxSpecsBytes) throw refuse('it is too large, in');
    return await readFile(path);
  } catch (error) {
    throw error instanceof DistccError ? error : refuse('it cannot be read in', error);
  }
}

/** @throws DistccError REFUSED without a `sysroot`, or if there is no such file. */
export async function withSpecs(command: CompileCommand, sysroot: string | undefined): Promise<CommandWithFiles> {
  const files: Addition[] = [];
  const argv: string[] = [];
  for (const word of command.argv) {
    if (!word.startsWith(option)) {
      argv.push(word);
      continue;
    }
    if (sysroot === undefined) throw new DistccError('REFUSED', `${word}: specs files are taken with --sysroot only`);
    const path = `tmp/distccd-specs-${files.length}`;
    const content = await contentBelow(sysroot, word.slice(option.length));
    files.push({ path, content, executable: false });
    argv.push(`${option}/${path}`);
  }
  return { command: { ...command, argv }, files };
}
