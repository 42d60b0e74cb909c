// A program for a seed.
import { choicesOf, type Choices } from './choices.ts';
import { directories, makeLayout, type Layout } from './layout.ts';
import { outputs, type Program } from './program.ts';
import { textOf } from './text.ts';

const compilers = [
  { driver: 'gcc', suffix: '.c' },
  { driver: 'g++', suffix: '.cc' },
  { driver: 'clang', suffix: '.c' },
  { driver: 'clang++', suffix: '.cc' },
] as const;

export function generate(seed: number): Program {
  const choices = choicesOf(seed);
  const { driver, suffix } = choices.from(compilers);
  const isAssembly = choices.chance(3);
  const layout = makeLayout(choices, isAssembly ? '.S' : suffix);
  const paths = [layout.source, ...layout.headers];
  const files = Object.fromEntries(paths.map((path) => [path, textOf({ choices, layout, path })]));
  // A namesake of the same content, but for its place.
  const [first = '', second = ''] = layout.headers;
  if (choices.chance(20)) files[second] = files[first] ?? '';
  return {
    name: `seed ${seed}`,
    files,
    links: layout.links,
    directories,
    older: paths.filter(() => choices.chance(20)),
    argv: [driver, ...optionsFor(choices, layout, driver), '-c', layout.source, '-o', `${outputs}/m.o`],
  };
}

function optionsFor(choices: Choices, layout: Layout, driver: string): string[] {
  const some = (percent: number, make: () => readonly string[]): readonly string[] =>
    choices.chance(percent) ? make() : [];
  const isGcc = driver.startsWith('g');
  const header = choices.from(layout.headers);
  const dialects = driver.endsWith('++')
    ? (['-std=c++17', '-std=gnu++11'] as const)
    : (['-std=c99', '-std=gnu11'] as const);
  return [
    ...layout.searchOptions,
    // A guard that is broken may make gcc go on for ever; clang stops by itself.
    ...(isGcc ? ['-fmax-errors=20'] : []),
    ...some(30, () => [`-DA=${choices.upTo(3)}`]),
    ...some(15, () => [choices.from(['-DB', '-UB', '-DB=A', '-D B=2'])]),
    ...some(10, () => [`-DM1="${header}"`]),
    ...some(6, () => ['-DF(x)=((x) - 1)']),
    ...some(18, () => ['-include', header]),
    ...some(10, () => ['-imacros', header]),
    ...some(50, () => [choices.from(['-MD', '-MMD'])]),
    ...some(10, () => ['-MD', '-MP', '-MT', 'the target', '-MF', `${outputs}/m.dep`]),
    ...some(25, () => [choices.from(['-g', '-g3', '-g3'])]),
    ...some(12, () => ['-H']),
    ...some(40, () => ['-Wall', '-Wextra', ...some(50, () => ['-Wundef', '-Wunused-macros'])]),
    ...some(10, () => ['-pedantic']),
    ...some(8, () => ['-Wsystem-headers']),
    ...some(20, () => [choices.from(dialects)]),
    ...some(4, () => ['-ffile-prefix-map=@ROOT@=/there']),
    ...some(4, () => ['-fmacro-prefix-map=inc=there']),
    ...some(isGcc ? 4 : 1, () => [isGcc ? '-fno-canonical-system-headers' : '-fno-integrated-as']),
  ];
}
