// The compilers of this box as jobs meet them: identified once, looked at again before each job. A compiler that was
// replaced in mid-build is another toolchain from its first job on.
import { statSync } from 'node:fs';
import { builtinIncludes } from '../compiler/builtin-includes.ts';
import { identifyToolchain } from '../compiler/identify.ts';
import type { BuiltinIncludes, NotACompiler, Probe, Toolchain } from '../compiler/toolchain.ts';

export type ToolchainView = {
  /** The toolchain behind a compiler's path, under the job's PATH and library path. */
  readonly find: (compiler: string, env: ReadonlyMap<string, string>) => Promise<Toolchain | NotACompiler>;
  readonly includes: (toolchain: Toolchain, probe: Probe, env: ReadonlyMap<string, string>) => Promise<BuiltinIncludes>;
};

type Known = { readonly found: Promise<Toolchain | NotACompiler>; stamp: string | undefined };

function stampOf(toolchain: Toolchain): string {
  let stamp = '';
  for (const path of toolchain.watch) {
    const found = statSync(path, { throwIfNoEntry: false });
    stamp += found === undefined ? '-;' : `${found.ino},${found.size},${found.mtimeMs},${found.ctimeMs};`;
  }
  return stamp;
}

export function newToolchainView(cacheDir: string): ToolchainView {
  const known = new Map<string, Known>();
  const probes = new Map<string, Promise<BuiltinIncludes>>();

  const identify = async (entry: { stamp: string | undefined }, compiler: string, env: ReadonlyMap<string, string>) => {
    const libraryPath = env.get('LD_LIBRARY_PATH');
    const found = await identifyToolchain(compiler, {
      pathEnv: env.get('PATH') ?? '',
      cacheDir,
      ...(libraryPath === undefined ? {} : { libraryPath }),
    });
    if (found.kind === 'toolchain') entry.stamp = stampOf(found);
    return found;
  };

  const find: ToolchainView['find'] = async (compiler, env) => {
    const key = [compiler, env.get('PATH') ?? '', env.get('LD_LIBRARY_PATH') ?? ''].join('\0');
    const entry = known.get(key);
    if (entry !== undefined) {
      const found = await entry.found;
      if (found.kind !== 'toolchain' || entry.stamp === undefined || stampOf(found) === entry.stamp) return found;
    }
    const fresh: { found: Promise<Toolchain | NotACompiler>; stamp: string | undefined } = {
      found: Promise.resolve({ kind: 'not-a-compiler', why: 'not looked at yet' }),
      stamp: undefined,
    };
    fresh.found = identify(fresh, compiler, env);
    known.set(key, fresh);
    return fresh.found;
  };

  const includes: ToolchainView['includes'] = (toolchain, probe, env) => {
    const key = [toolchain.digest.hash, toolchain.driver, probe.language, probe.cwd, ...probe.options].join('\0');
    let found = probes.get(key);
    if (found === undefined) {
      found = builtinIncludes(toolchain, probe, { env, cacheDir });
      probes.set(key, found);
      found.catch(() => probes.delete(key));
    }
    return found;
  };

  return { find, includes };
}
