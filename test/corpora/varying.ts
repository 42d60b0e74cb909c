// What two builds differ in without a compile being different: the times, random names and compilers' paths that build
// tools write down. All of it is named here; everything else has to be the same.
import type { Farm } from '../farm/farm.ts';
import type { Reading } from './outputs.ts';

/** Ninja's and Meson's own memory, in forms of their own, with the times of files; CMake's trace with a time a line. */
const unread = /(?:^|\/)(?:\.ninja_log|\.ninja_deps|(?:coredata|build)\.dat|cmake_trace\.txt)$/;

/** Names of files that gcc and clang make for themselves. */
const temporary = /\/(?:cc\w{6}|\w+-[0-9a-f]{6})\.\w+/g;

/** Records of configure steps, in which a question to the compiler is a file of a random name. */
const records: readonly { readonly file: RegExp; readonly varies: readonly RegExp[] }[] = [
  {
    file: /(?:^|\/)CMake(?:Output|Error)\.log$/,
    varies: [/\bcmTC_[0-9a-f]{5}\b/g, /\bTryCompile-\w{6}\b/g, temporary],
  },
  { file: /(?:^|\/)meson-log\.txt$/, varies: [/^Build started at .*$/gm, /\btmp\w{8}\b/g, temporary] },
  { file: /(?:^|\/)config\.log$/, varies: [temporary] },
  { file: /(?:^|\/)configure\.log$/, varies: [/\bztest\d+\b/g, /^\w{3} \w{3} [ \d]\d [\d:]{8} UTC \d{4}$/gm] },
];

/** Files in which a build tool says what it calls. */
const recipes = /\.(?:txt|cmake|ninja|json|log|tcl)$|(?:^|\/)(?:Makefile|libtool|config\.status)$/;

/** What of a file counts. */
export function readingFor(farm: Farm): Reading {
  return (name, content) => {
    if (unread.test(name)) return Buffer.alloc(0);
    if (!recipes.test(name)) return content;
    const varies = records.filter(({ file }) => file.test(name)).flatMap((record) => record.varies);
    const text = varies.reduce((text, one) => text.replaceAll(one, '…'), content.toString('latin1'));
    return Buffer.from(withoutShoal(farm, text), 'latin1');
  };
}

/**
 * Under `shoal run` tools find the compilers in its directory of names, which configure lists, and CMake writes its
 * launcher down.
 */
function withoutShoal({ names }: Farm, text: string): string {
  return text
    .replaceAll(`PATH: ${names}/\n`, '')
    .replaceAll(`${names}/`, '/usr/bin/')
    .replaceAll(/\/\/Compiler launcher for \w+\.\nCMAKE_\w+_COMPILER_LAUNCHER:STRING=shoal\n\n/g, '')
    .replaceAll(/(?<=^|\s)shoal (?=\/usr\/bin\/)/gm, '');
}

const progress = /shoal: \d+ done \(.*\), .* here(?:, \d+ waiting)?\n/g;

/** The lines of a build's output, less how many steps ninja had done by then, and what shoal says in long builds. */
export function linesOf(farm: Farm, output: string): string[] {
  const text = withoutShoal(farm, output.replaceAll(progress, ''));
  return text
    .replaceAll(/^\[\d+\/\d+\] /gm, '')
    .split('\n')
    .filter(Boolean);
}

/** A line for each that only one of the builds wrote; the order is the builds' own, as they run several compiles at once. */
export function lineDifferences(farm: Farm, home: string, away: string): string[] {
  const left = new Map<string, number>();
  for (const line of linesOf(farm, home)) left.set(line, (left.get(line) ?? 0) + 1);
  for (const line of linesOf(farm, away)) left.set(line, (left.get(line) ?? 0) - 1);
  return [...left].flatMap(([line, count]) => {
    if (count === 0) return [];
    return [`${count > 0 ? 'not said' : 'said'} ${Math.abs(count)} ×: ${line}`];
  });
}
