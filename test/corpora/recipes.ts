// The projects, and how their users build them: with the build files that they come with, unchanged.
import { layOut, type ProjectName } from '../../bench/corpus.ts';
import { corpus } from '../farm/farm.ts';
import { debianSource, kernelSource, type Source } from './sources.ts';

export type Compiler = { readonly cc: string; readonly cxx: string };

export const compilers = {
  'gcc-12': { cc: 'gcc', cxx: 'g++' },
  'gcc-11': { cc: 'gcc-11', cxx: 'g++-11' },
  'clang-14': { cc: 'clang', cxx: 'clang++' },
  'clang-13': { cc: 'clang-13', cxx: 'clang++-13' },
} as const satisfies Record<string, Compiler>;

export type CompilerName = keyof typeof compilers;

export type Step = {
  readonly argv: readonly string[];
  /** `plain`: without shoal on both sides, for what comes before the build. */
  readonly plain?: boolean;
};

export type Recipe = {
  readonly name: string;
  readonly source: Source;
  readonly steps: (compiler: Compiler) => readonly Step[];
  /**
   * How the farm comes in: `shoal make` and `shoal run`, or `CMAKE_C_COMPILER_LAUNCHER=shoal` and a daemon that the first
   * compile starts.
   */
  readonly by?: 'launcher';
};

// More than the processors here, fewer than the farm's slots. Lines of a compile's messages stay together.
const make: readonly string[] = ['make', '-j6', '-Oline'];

function kernel(compiler: Compiler, ...args: readonly string[]): readonly string[] {
  // Who built it, where and when is in the kernel's banner.
  const facts = [
    'KBUILD_BUILD_TIMESTAMP=Thu Jan  1 00:00:00 UTC 2026',
    'KBUILD_BUILD_USER=user',
    'KBUILD_BUILD_HOST=box',
  ];
  return [...make, `CC=${compiler.cc}`, `HOSTCC=${compiler.cc}`, ...facts, ...args];
}

// With W=1 many files warn, so there are messages to compare.
const kernelParts = ['init/', 'kernel/', 'mm/', 'block/', 'crypto/', 'ipc/', 'security/', 'fs/', 'lib/', 'net/'];

function benchTree(...projects: readonly ProjectName[]): Source {
  return (directory) => void layOut(directory, corpus(), { projects, flags: ['-O0', '-g', '-Wall', '-Wextra'] });
}

const pixman = debianSource(
  'pixman',
  'pixman_0.42.2.orig.tar.gz',
  'ea1480efada2fd948bc75366f7c349e1c96d3297d09a3fe62626e38e234a625e',
);
const jsonC = debianSource(
  'json-c',
  'json-c_0.16.orig.tar.gz',
  '3ecaeedffd99a60b1262819f9e60d7d983844073abc74e495cb822b251904185',
);
const xz = debianSource(
  'xz-utils',
  'xz-utils_5.4.1.orig.tar.xz',
  '5d9827aa1875b21c288f78864bb26d2650b436ea8d2cad364e4921eb6266a5a5',
);
const yamlCpp = debianSource(
  'yaml-cpp',
  'yaml-cpp_0.7.0+dfsg.orig.tar.xz',
  'dc63708605404e0b963e0ca3a9619d1c8270eda2839603e6fa0384e5e51e5312',
);
const zlib = debianSource(
  'zlib',
  'zlib_1.2.13.dfsg.orig.tar.bz2',
  '71feb7947e3c00ef125f83b79a4e529bde31171e5babe48b391f06758d1ab0a1',
);

const cmakeNinja = (...settings: readonly string[]): readonly Step[] => [
  { argv: ['cmake', '-G', 'Ninja', '-B', 'build', '-DCMAKE_BUILD_TYPE=RelWithDebInfo', ...settings] },
  // Ninja takes dependency files in and deletes them, unless told to keep them.
  { argv: ['ninja', '-C', 'build', '-j6', '-d', 'keepdepfile'] },
];

const mesonNinja: readonly Step[] = [
  { argv: ['meson', 'setup', 'build'] },
  { argv: ['ninja', '-C', 'build', '-j6', '-d', 'keepdepfile'] },
];

const configureMake: readonly Step[] = [{ argv: ['./configure'] }, { argv: make }];

export const recipes: readonly Recipe[] = [
  {
    name: 'linux-tinyconfig',
    source: kernelSource,
    steps: (compiler) => [{ argv: kernel(compiler, 'tinyconfig'), plain: true }, { argv: kernel(compiler) }],
  },
  {
    name: 'linux-defconfig',
    source: kernelSource,
    steps: (compiler) => [
      { argv: kernel(compiler, 'defconfig'), plain: true },
      // Warnings shall not end the build.
      { argv: ['scripts/config', '--disable', 'WERROR'], plain: true },
      { argv: kernel(compiler, 'prepare'), plain: true },
      { argv: kernel(compiler, 'W=1', ...kernelParts) },
    ],
  },
  { name: 'zlib', source: zlib, steps: () => configureMake },
  { name: 'xz', source: xz, steps: () => configureMake },
  { name: 'json-c', source: jsonC, steps: () => cmakeNinja() },
  { name: 'json-c-launcher', source: jsonC, steps: () => cmakeNinja(), by: 'launcher' },
  // Debian's archive is without the framework that its tests need.
  { name: 'yaml-cpp', source: yamlCpp, steps: () => cmakeNinja('-DYAML_CPP_BUILD_TESTS=OFF') },
  { name: 'pixman', source: pixman, steps: () => mesonNinja },
  {
    name: 'bench',
    source: benchTree('leveldb', 'abseil', 're2', 'sqlite'),
    steps: ({ cc, cxx }) => [{ argv: [...make, `CC=${cc}`, `CXX=${cxx}`] }],
  },
];
