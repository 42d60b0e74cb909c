// Sources for a build that is too large to be really compiled: each is its own, and each reads the same kind of headers as
// the sources of abseil do, by the hundred.
import { execFileSync } from 'node:child_process';
import { appendFileSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { layOut } from '../corpus.ts';

export type GeneratedTree = {
  readonly directory: string;
  /** Relative to the directory. */
  readonly sources: readonly string[];
  /** How many headers the one source reads that has least of them. */
  readonly leastHeaders: number;
};

// These alone read more than 300 headers of abseil, libstdc++ and libc. The rest of a source's includes is its own choice.
const everywhere = ['absl/container/flat_hash_map.h', 'absl/strings/str_cat.h', 'absl/strings/str_format.h'];
const standard = ['algorithm', 'iostream', 'map', 'memory', 'string', 'vector'];
const ownChoice = 6;
const inOneDirectory = 100;

export const compileOptions: readonly string[] = ['-std=c++17', '-O2', '-Iabseil', '-MD'];

/** Makes `count` sources over abseil's headers in `directory`, and a Makefile whose rules compile them. */
export function generateSources(directory: string, cache: string, count: number): GeneratedTree {
  layOut(directory, cache, { projects: ['abseil'], flags: [] });
  const headers = chosenHeaders(join(directory, 'abseil'));
  const sources = Array.from({ length: count }, (_, at) => `src/${Math.floor(at / inOneDirectory)}/file${at}.cc`);
  for (const [at, source] of sources.entries()) {
    if (at % inOneDirectory === 0) {
      mkdirSync(join(directory, 'src', String(at / inOneDirectory)), { recursive: true });
      mkdirSync(join(directory, 'out', String(at / inOneDirectory)), { recursive: true });
    }
    writeFileSync(join(directory, source), sourceText(at, headers));
  }
  writeFileSync(join(directory, 'Makefile'), makefile(sources));
  writeFileSync(join(directory, 'least.cc'), includes([...standard, ...everywhere]));
  return { directory, sources, leastHeaders: headersOf(directory, 'least.cc') };
}

/** Another comment in each source: nobody has seen it before. */
export function changeSources({ directory, sources }: GeneratedTree, tag: string): void {
  for (const source of sources) appendFileSync(join(directory, source), `// ${tag}\n`);
}

export function objectOf(source: string): string {
  return source.replace(/^src/, 'out').replace(/\.cc$/, '.o');
}

/** The words of the compile of `source`, after the compiler's name. */
export function compileWords(source: string): readonly string[] {
  return [...compileOptions, '-c', source, '-o', objectOf(source)];
}

/** Abseil's public headers that a source may include as they are. */
function chosenHeaders(abseil: string): readonly string[] {
  const all = readdirSync(join(abseil, 'absl'), { recursive: true, encoding: 'utf8' });
  return all
    .filter((name) => /^(algorithm|base|container|hash|numeric|strings|time|types|utility)\/[a-z_]+\.h$/.test(name))
    .filter((name) => !/test|mock|benchmark|matchers|config\.h|options\.h/.test(name))
    .filter((name) => !/^#error/m.test(readFileSync(join(abseil, 'absl', name), 'utf8')))
    .map((name) => `absl/${name}`)
    .toSorted();
}

function sourceText(at: number, headers: readonly string[]): string {
  // Steps that share no factor with the number of headers reach all of them, in an order that differs from file to file.
  const own = Array.from({ length: ownChoice }, (_, step) => headers[(at * 7 + step * 11) % headers.length] ?? '');
  const body = [
    `namespace generated${at} {`,
    'absl::flat_hash_map<std::string, int> counts;',
    `int add(const std::string& name) { return ++counts[absl::StrCat(name, "${at}")]; }`,
    `std::string text(int value) { return absl::StrFormat("%d of ${at}", value); }`,
    '}  // namespace',
  ];
  return `${includes([...standard, ...everywhere, ...own])}${body.join('\n')}\n`;
}

const includes = (names: readonly string[]): string =>
  [...new Set(names)].map((name) => `#include <${name}>\n`).join('');

function headersOf(directory: string, source: string): number {
  const rule = execFileSync('g++', [...compileOptions.filter((word) => word !== '-MD'), '-M', source], {
    cwd: directory,
    encoding: 'utf8',
  });
  return rule.split(/\s+/).filter((word) => word !== '' && word !== '\\').length - 2;
}

function makefile(sources: readonly string[]): string {
  const rules = sources.map((source) => `${objectOf(source)}: ${source}\n\t$(CXX) ${compileWords(source).join(' ')}\n`);
  return [`all: ${sources.map(objectOf).join(' ')}`, '.PHONY: all', ...rules].join('\n');
}
