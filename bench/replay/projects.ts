// What is built with the compiler that plays back: leveldb and abseil, and the kernel's own files in its smallest
// configuration. Of the kernel the compiles alone, as its build runs them: its links and checks no farm takes over.
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { layOut, type CompileLine } from '../corpus.ts';

export type Project = {
  readonly name: string;
  readonly lines: readonly CompileLine[];
  /** Where `make` builds it all; `prepare` makes that so that nothing is built and no source has been seen before. */
  readonly directory: string;
  readonly prepare: (tag: string) => void;
};

export type ProjectsAt = { readonly scratch: string; readonly cache: string };

export function corpusProject({ scratch, cache }: ProjectsAt): Project {
  const directory = join(scratch, 'corpus');
  const lay = (): readonly CompileLine[] =>
    layOut(directory, cache, { projects: ['leveldb', 'abseil'], flags: ['-O2', '-g'] }).lines;
  const lines = lay();
  const prepare = (tag: string): void => {
    lay();
    change(lines, tag);
  };
  return { name: 'leveldb + abseil, -O2 -g', lines, directory, prepare };
}

const archive = '/usr/src/linux-source-6.1.tar.xz';

export function kernelProject({ scratch, cache }: ProjectsAt): Project {
  const tree = join(cache, 'linux-tinyconfig');
  if (!existsSync(tree)) buildKernel(tree);
  const lines = kernelLines(tree);
  const directory = join(scratch, 'kernel');
  mkdirSync(directory);
  writeFileSync(join(directory, 'Makefile'), kernelMakefile(tree, lines));
  const prepare = (tag: string): void => {
    for (const { output } of lines) rmSync(join(tree, output), { force: true });
    change(lines, tag);
  };
  return { name: 'linux 6.1 tinyconfig', lines, directory, prepare };
}

/** Once, for what is generated and for the commands that the build leaves beside each object. */
function buildKernel(tree: string): void {
  const half = `${tree}.${process.pid}`;
  mkdirSync(half, { recursive: true });
  try {
    execFileSync('tar', ['-xf', archive, '-C', half, '--strip-components=1', '--no-same-owner']);
    for (const target of [['tinyconfig'], ['-j4', 'vmlinux']]) {
      execFileSync('make', ['--silent', ...target], { cwd: half, stdio: ['ignore', 'ignore', 'inherit'] });
    }
    renameSync(half, tree);
  } finally {
    rmSync(half, { recursive: true, force: true });
  }
}

const parts: readonly string[] = ['arch', 'block', 'drivers', 'fs', 'init', 'kernel', 'lib', 'mm', 'security'];

function kernelLines(tree: string): CompileLine[] {
  const commands = parts.flatMap((part) =>
    readdirSync(join(tree, part), { recursive: true, encoding: 'utf8' })
      .filter((name) => /(^|\/)\.[^/]*\.o\.cmd$/.test(name))
      .map((name) => join(tree, part, name)),
  );
  return commands.toSorted().flatMap((file) => lineOf(tree, readFileSync(file, 'utf8')) ?? []);
}

/** The compile in a command file: `cmd_init/main.o := gcc … -c -o init/main.o init/main.c`, and perhaps more commands. */
function lineOf(tree: string, text: string): CompileLine | undefined {
  const command = /^(?:saved)?cmd_\S+ := (gcc .* -c -o \S+ \S+\.c)\s*(?:;|$)/m.exec(text)?.[1];
  if (command === undefined) return undefined;
  const unescaped = command.replaceAll('$$', '$').replaceAll('$(pound)', '#');
  const printed = execFileSync('/bin/sh', ['-c', `printf '%s\\0' ${unescaped}`], { encoding: 'utf8' });
  const words = printed.split('\0').slice(0, -1);
  const [output = '', file = ''] = words.slice(-2);
  // Outside the tree's own paths there are the compiler's (-isystem …) alone.
  return { directory: tree, file, arguments: words, output };
}

function kernelMakefile(tree: string, lines: readonly CompileLine[]): string {
  const quoted = (word: string): string => (/^[\w.,/=+:@%-]+$/.test(word) ? word : `'${word}'`);
  const rules = lines.map(({ file, output, arguments: [, ...rest] }) => {
    const words = rest.map((word) => quoted(word).replaceAll('$', '$$$$').replaceAll('#', '\\#'));
    return `${tree}/${output}: ${tree}/${file}\n\tcd ${tree} && $(CC) ${words.join(' ')}\n`;
  });
  const all = lines.map(({ output }) => `${tree}/${output}`).join(' ');
  return ['CC = gcc', `all: ${all}`, '.PHONY: all', '', ...rules].join('\n');
}

const mark = '\n/* bench: ';

/** Each source ends in a comment that no other source and no other build has. */
function change(lines: readonly CompileLine[], tag: string): void {
  for (const { directory, file } of lines) {
    const path = join(directory, file);
    const [own = ''] = readFileSync(path, 'utf8').split(mark);
    writeFileSync(path, `${own}${mark}${tag}: ${file} */\n`);
  }
}
