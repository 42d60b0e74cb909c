// The compilers of this box as jobs meet them: identified once, looked at again before each job. A compiler that was
// replaced in mid-build is another toolchain from its first job on.
import { statSync } from 'node:fs';
import { builtinIncludes } from '../../compiler/builtin-includes.ts';
import { clangConfiguration, type ClangConfiguration } from '../../compiler/clang-configuration.ts';
import { identifyToolchain } from '../../compiler/identify.ts';
import { searchedPath } from '../../compiler/toolchain-members.ts';
import type { BuiltinIncludes, NotACompiler, Probe, Toolchain } from '../../compiler/toolchain.ts';

export type ToolchainView = {
  /** The toolchain behind a compiler's path, under the job's PATH and library path. */
  readonly find: (compiler: string, env: ReadonlyMap<string, string>) => Promise<Toolchain | NotACompiler>;
  readonly includes: (toolchain: Toolchain, probe: Probe, env: ReadonlyMap<string, string>) => Promise<BuiltinIncludes>;
  /** A file with options of this box's own that the compiler, called by that path, reads; undefined if it reads none. */
  readonly configuration: (
    toolchain: Toolchain,
    compiler: string,
    env: ReadonlyMap<string, string>,
  ) => Promise<string | undefined>;
};

type Known = {
  readonly found: Promise<Toolchain | NotACompiler>;
  stamp: string | undefined;
  /** When an answer that is not sure may be asked for again. */
  againMs: number;
};

// Of other variables for the loader, and other places where parts of a compiler are found.
const mostKnown = 64;
const mostPaths = 256;
const mostProbes = 1000;
// What cannot be asked is asked again, in a tenth of the time at most.
const restFactor = 10;

function stampOf(paths: readonly string[]): string {
  let stamp = '';
  for (const path of paths) {
    const found = statSync(path, { throwIfNoEntry: false });
    stamp += found === undefined ? '-;' : `${found.ino},${found.size},${found.mtimeMs},${found.ctimeMs};`;
  }
  return stamp;
}

export function newToolchainView(cacheDir: string): ToolchainView {
  const known = new Map<string, Known>();
  const probes = new Map<string, Promise<BuiltinIncludes>>();

  const paths = new Map<string, string>();

  const searched = (path: string): string => {
    const found = paths.get(path) ?? searchedPath(path);
    if (paths.size >= mostPaths) paths.clear();
    paths.set(path, found);
    return found;
  };

  const identify = async (
    compiler: string,
    { pathEnv, libraryPath }: { readonly pathEnv: string; readonly libraryPath: string | undefined },
    note: (stamp: string | undefined, againMs: number) => void,
  ) => {
    const startedMs = performance.now();
    const found = await identifyToolchain(compiler, {
      pathEnv,
      cacheDir,
      ...(libraryPath === undefined ? {} : { libraryPath }),
    });
    const nowMs = performance.now();
    if (found.kind === 'toolchain') note(stampOf(found.watch), Infinity);
    else note(undefined, found.unsure === true ? nowMs + restFactor * (nowMs - startedMs) : Infinity);
    return found;
  };

  const isCurrent = (entry: Known, found: Toolchain | NotACompiler): boolean => {
    if (found.kind !== 'toolchain') return performance.now() < entry.againMs;
    return entry.stamp === undefined || stampOf(found.watch) === entry.stamp;
  };

  const find: ToolchainView['find'] = async (compiler, env) => {
    const pathEnv = searched(env.get('PATH') ?? '');
    const libraryPath = env.get('LD_LIBRARY_PATH');
    const key = [compiler, pathEnv, libraryPath ?? ''].join('\0');
    const entry = known.get(key);
    if (entry !== undefined) {
      const found = await entry.found;
      if (isCurrent(entry, found)) return found;
      if (known.get(key) !== entry) return find(compiler, env); // somebody asks already
    }
    const fresh: Known = {
      found: identify(compiler, { pathEnv, libraryPath }, (stamp, againMs) => Object.assign(fresh, { stamp, againMs })),
      stamp: undefined,
      againMs: Infinity,
    };
    if (known.size >= mostKnown) known.delete(known.keys().next().value ?? '');
    known.set(key, fresh);
    return fresh.found;
  };

  const includes: ToolchainView['includes'] = (toolchain, probe, env) => {
    const { compiler, language, cwd } = probe;
    const key = [toolchain.digest.hash, compiler, language, cwd, ...probe.options].join('\0');
    let found = probes.get(key);
    if (found === undefined) {
      if (probes.size >= mostProbes) probes.clear();
      found = builtinIncludes(toolchain, probe, { env, cacheDir });
      probes.set(key, found);
      found.catch(() => probes.delete(key));
    }
    return found;
  };

  const configurations = new Map<string, { readonly found: Promise<ClangConfiguration>; stamp: string | undefined }>();

  const configuration: ToolchainView['configuration'] = async (toolchain, compiler, env) => {
    if (toolchain.family !== 'clang') return undefined;
    const [pathEnv, libraryPath, home] = ['PATH', 'LD_LIBRARY_PATH', 'HOME'].map((name) => env.get(name));
    const key = [compiler, toolchain.digest.hash, home ?? ''].join('\0');
    const known = configurations.get(key);
    if (known !== undefined) {
      const { file, directories } = await known.found;
      if (known.stamp === undefined || stampOf(directories) === known.stamp) return file;
    }
    if (configurations.size >= mostKnown) configurations.clear();
    const asked = {
      pathEnv: pathEnv ?? '',
      ...(libraryPath !== undefined && { libraryPath }),
      ...(home !== undefined && { home }),
    };
    const fresh = { found: clangConfiguration(toolchain, compiler, asked), stamp: undefined as string | undefined };
    configurations.set(key, fresh);
    const { file, directories } = await fresh.found;
    fresh.stamp = stampOf(directories);
    return file;
  };

  return { find, includes, configuration };
}
