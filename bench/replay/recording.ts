// What the compiler that plays back knows: each source really compiled once, how long that took, and what came of it.
import { execFileSync, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import type { CompileLine } from '../corpus.ts';
import { makeCpuGroup, type CpuGroup } from '../cpu.ts';

export type Entry = {
  /** The source, as the command line names it. */
  readonly name: string;
  /** CPU time of the compile: what it takes on a box that does nothing else. */
  readonly wholeUs: number;
  /** Of the compile of preprocessed text, which is what a farm that preprocesses at home has to do. */
  readonly textUs: number;
  readonly object: string;
  readonly dependencies: string;
};

export type Recording = { readonly entries: readonly Entry[] };

type Tell = (text: string) => void;

/** The recording of these compiles; what is kept in `directory`, of the same compiler and commands, is not recorded again. */
export async function recordingOf(
  lines: readonly CompileLine[],
  { directory, tell }: { readonly directory: string; readonly tell: Tell },
): Promise<Recording> {
  const version = execFileSync('g++', ['--version'], { encoding: 'utf8' });
  const commands = lines.map((line) => line.arguments);
  const key = createHash('sha256')
    .update(JSON.stringify([version, commands]))
    .digest('hex')
    .slice(0, 16);
  const own = join(directory, key);
  mkdirSync(own, { recursive: true });
  return { entries: await record(lines, own, tell) };
}

async function record(lines: readonly CompileLine[], directory: string, tell: Tell): Promise<readonly Entry[]> {
  const entries: Entry[] = [];
  const left = [...lines.entries()];
  const lane = async (number: number): Promise<void> => {
    const group = makeCpuGroup(`record${number}`);
    try {
      for (let next = left.shift(); next !== undefined; next = left.shift()) {
        const [at, line] = next;
        entries[at] = await recordOne(line, { kept: join(directory, String(at)), group });
        if (at % 50 === 0) tell(`recorded ${at} of ${lines.length}`);
      }
    } finally {
      group.remove();
    }
  };
  await Promise.all(Array.from({ length: availableParallelism() }, (_, number) => lane(number)));
  return entries;
}

type Keeping = { readonly kept: string; readonly group: CpuGroup };

async function recordOne(line: CompileLine, { kept, group }: Keeping): Promise<Entry> {
  const { directory, file, output } = line;
  const whole = `${kept}.json`;
  const object = `${kept}.o`;
  const dependencies = `${kept}.d`;
  // The cache may have been moved since.
  if (existsSync(whole)) return { ...(JSON.parse(readFileSync(whole, 'utf8')) as Entry), object, dependencies };
  const text = `${kept}${file.endsWith('.c') ? '.i' : '.ii'}`;
  const wholeUs = await cpuOf(group, line.arguments, directory);
  await cpuOf(group, preprocessing(line, text), directory);
  const textUs = await cpuOf(group, compilingText(line, text), directory);
  rmSync(text);
  writeFileSync(object, readFileSync(join(directory, output)));
  writeFileSync(dependencies, readFileSync(join(directory, dependencyFile(line))));
  const entry: Entry = { name: file, wholeUs, textUs, object, dependencies };
  writeFileSync(whole, JSON.stringify(entry));
  return entry;
}

// The shell that enters the group counts for nobody until it becomes the compiler.
const enter = 'echo 0 >"$0" && exec "$@"';

async function cpuOf(group: CpuGroup, argv: readonly string[], cwd: string): Promise<number> {
  const beforeMs = group.usedMs();
  const child = spawn('/bin/sh', ['-c', enter, group.procsFile, ...argv], { cwd, stdio: ['ignore', 'ignore', 'pipe'] });
  let errors = '';
  child.stderr.on('data', (bytes: Buffer) => (errors += bytes.toString()));
  const [status] = (await once(child, 'close')) as [number | null];
  if (status !== 0) throw new Error(`${argv.join(' ')}: status ${status}\n${errors}`);
  return Math.round((group.usedMs() - beforeMs) * 1000);
}

function dependencyFile({ arguments: words, output }: CompileLine): string {
  const named = words.map((word) => /^-Wp,-MM?D,(.*)$/.exec(word)?.[1]).find((name) => name !== undefined);
  return named ?? output.replace(/\.o$/, '.d');
}

const isDependencyOption = (word: string): boolean => /^(-MM?D$|-Wp,-MM?D,)/.test(word);

function preprocessing({ arguments: words, output }: CompileLine, text: string): readonly string[] {
  const others = words.filter((word) => !isDependencyOption(word));
  return others.map((word) => (word === '-c' ? '-E' : word === output ? text : word));
}

const withWord = new Set(['-include', '-imacros', '-isystem', '-iquote', '-idirafter']);

/** As distccd runs it: without what only the preprocessor reads. */
function compilingText({ arguments: words, file }: CompileLine, text: string): readonly string[] {
  const left = words.filter((word, at) => {
    if (isDependencyOption(word) || withWord.has(word) || withWord.has(words[at - 1] ?? '')) return false;
    return !/^(-[IDU].*|-nostdinc)$/.test(word);
  });
  return left.map((word) => (word === file ? text : word));
}

/**
 * The least that any order of the compiles could take: all of the work over all of the slots, each at its host's speed, or
 * the longest of them on the fastest slot.
 */
export function boundMs({ entries }: Recording, speeds: readonly number[]): number {
  const times = entries.map(({ wholeUs }) => wholeUs / 1000);
  const total = times.reduce((sum, ms) => sum + ms, 0);
  const speed = speeds.reduce((sum, one) => sum + one, 0);
  return Math.max(total / speed, Math.max(...times) / Math.max(...speeds));
}

/**
 * What a farm takes that costs nothing and knows everything, if it is given the compiles as make does: in the order of the
 * makefile, the next one when a slot is free. It puts each where it will be done first.
 */
export function inOrderMs({ entries }: Recording, speeds: readonly number[]): number {
  const slots = speeds.map((speed) => ({ speed, freeMs: 0 }));
  for (const { wholeUs } of entries) {
    const ends = slots.map(({ speed, freeMs }) => freeMs + wholeUs / 1000 / speed);
    const first = ends.indexOf(Math.min(...ends));
    const slot = slots[first];
    if (slot !== undefined) slot.freeMs = ends[first] ?? 0;
  }
  return Math.max(...slots.map(({ freeMs }) => freeMs));
}

/** In the form that bench/programs/replay.c holds. */
export function encodeRecording({ entries }: Recording): Buffer {
  let place = 0;
  const blobs: Buffer[] = [];
  const index = entries.map(({ name, wholeUs, textUs, object, dependencies }) => {
    const [made, read] = [readFileSync(object), readFileSync(dependencies)];
    const line = [name, wholeUs, textUs, place, made.length, read.length].join('\t');
    blobs.push(made, read);
    place += made.length + read.length;
    return `${line}\n`;
  });
  return Buffer.concat([Buffer.from(`${index.join('')}\n`), ...blobs]);
}
