// The compilers of a box, found on PATH by the shape of their names, not listed by hand.
import { readdir, realpath, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';

// cc, gcc, g++, c++, clang, clang++; with a target in front, a version behind. Not gcc-ar, clang-format, cc1.
const compilerName =
  /^(?:[a-z0-9_]+(?:-[a-z0-9_.]+){1,3}-)?(?:cc|gcc|g\+\+|c\+\+|clang|clang\+\+)(?:-[0-9]+(?:\.[0-9]+)*)?$/;

const wrappers: ReadonlySet<string> = new Set([
  'ccache',
  'colorgcc',
  'distcc',
  'icecc',
  'icecream',
  'sccache',
  'shoal',
]);

export function isCompilerName(name: string): boolean {
  return compilerName.test(name);
}

export type FoundCompiler = { readonly name: string; readonly path: string; readonly realPath: string };

async function namesIn(directory: string): Promise<string[]> {
  try {
    return (await readdir(directory)).filter(isCompilerName);
  } catch {
    return [];
  }
}

async function examine(path: string): Promise<string | undefined> {
  try {
    const [target, found] = await Promise.all([realpath(path), stat(path)]);
    const usable = found.isFile() && (found.mode & 0o111) !== 0 && !wrappers.has(basename(target));
    return usable ? target : undefined;
  } catch {
    return undefined;
  }
}

/** The first compiler of each name on PATH; ccache's, distcc's and our own stand-ins are passed over. */
export async function findCompilers(pathEnv: string): Promise<FoundCompiler[]> {
  const found = new Map<string, FoundCompiler>();
  for (const directory of pathEnv.split(':')) {
    if (!directory.startsWith('/')) continue;
    for (const name of await namesIn(directory)) {
      if (found.has(name)) continue;
      const path = join(directory, name);
      const realPath = await examine(path);
      if (realPath !== undefined) found.set(name, { name, path, realPath });
    }
  }
  return [...found.values()];
}

/** The names that builds call compilers by on this box, sorted. */
export async function discoverCompilers(pathEnv: string): Promise<string[]> {
  return (await findCompilers(pathEnv)).map(({ name }) => name).toSorted();
}
