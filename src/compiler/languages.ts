// Which language a file is in: by `-x`, else by its name's ending, which the two families read almost alike.
import type { Family, Language } from './translation-unit.ts';

export type SourceLanguage =
  | { readonly kind: 'unit'; readonly language: Language; readonly preprocessed: boolean }
  /** A header given as source makes a precompiled header. */
  | { readonly kind: 'header' }
  /** Fortran, Ada, CUDA, LLVM assembly and so on. */
  | { readonly kind: 'other' }
  /** Anything else is handed to the linker. */
  | { readonly kind: 'linker' };

const source = (language: Language): SourceLanguage => ({ kind: 'unit', language, preprocessed: false });
const done = (language: Language): SourceLanguage => ({ kind: 'unit', language, preprocessed: true });
const header: SourceLanguage = { kind: 'header' };
const other: SourceLanguage = { kind: 'other' };

const endings = new Map<string, SourceLanguage>([
  ['c', source('c')],
  ['i', done('c')],
  ...['C', 'cc', 'cp', 'cpp', 'cxx', 'c++', 'CPP'].map((ending) => [ending, source('c++')] as const),
  ['ii', done('c++')],
  ['m', source('objective-c')],
  ['mi', done('objective-c')],
  ['mm', source('objective-c++')],
  ['M', source('objective-c++')],
  ['mii', done('objective-c++')],
  ['s', done('assembler')],
  ['S', source('assembler-with-cpp')],
  ['sx', source('assembler-with-cpp')],
  ...['h', 'H', 'hh', 'hp', 'hpp', 'hxx', 'h++', 'HPP', 'tcc'].map((ending) => [ending, header] as const),
  ...['f', 'F', 'for', 'f90', 'F90', 'f95', 'F95', 'f03', 'F03', 'f08', 'F08', 'fpp', 'FPP', 'ftn', 'FTN'].map(
    (ending) => [ending, other] as const,
  ),
  ...[
    'adb',
    'ads',
    'd',
    'di',
    'dd',
    'go',
    'mod',
    'brig',
    'cl',
    'cu',
    'cui',
    'hip',
    'll',
    'bc',
    'ast',
    'pcm',
    'cppm',
  ].map((ending) => [ending, other] as const),
]);

// Endings that only clang takes for C++; gcc hands such a file to the linker.
const clangOnly = new Set(['CC', 'CP', 'CXX', 'C++']);

const names = new Map<string, SourceLanguage>([
  ['c', source('c')],
  ['cpp-output', done('c')],
  ['c++', source('c++')],
  ['c++-cpp-output', done('c++')],
  ['objective-c', source('objective-c')],
  ['objective-c-cpp-output', done('objective-c')],
  ['objc-cpp-output', done('objective-c')],
  ['objective-c++', source('objective-c++')],
  ['objective-c++-cpp-output', done('objective-c++')],
  ['objc++-cpp-output', done('objective-c++')],
  ['assembler', done('assembler')],
  ['assembler-with-cpp', source('assembler-with-cpp')],
  ['c-header', header],
  ['c++-header', header],
  ['c++-system-header', header],
  ['c++-user-header', header],
  ['objective-c-header', header],
  ['objective-c++-header', header],
]);

/** The language named by `-x`; `none` is not one. */
export function languageNamed(name: string): SourceLanguage {
  return names.get(name) ?? other;
}

export type DriverKind = { readonly family: Family; readonly cplusplusDriver: boolean };

/** The language of a file by its name. g++ and clang++ take C for C++; clang++ takes Objective-C for Objective-C++ too. */
export function languageOfFile(path: string, driver: DriverKind): SourceLanguage {
  const name = path.slice(path.lastIndexOf('/') + 1);
  const dot = name.lastIndexOf('.');
  const ending = dot < 0 ? '' : name.slice(dot + 1);
  if (driver.family === 'clang' && clangOnly.has(ending)) return source('c++');
  if (driver.family === 'clang' && ending === 'sx') return { kind: 'linker' };
  const found = endings.get(ending) ?? { kind: 'linker' };
  if (!driver.cplusplusDriver || found.kind !== 'unit') return found;
  if (found.language === 'c') return { ...found, language: 'c++' };
  return found.language === 'objective-c' && driver.family === 'clang'
    ? { ...found, language: 'objective-c++' }
    : found;
}
