// The compilers of this box as the worker finds them.
import { findCompilers } from '../../compiler/discover.ts';
import { identifyToolchain } from '../../compiler/identify.ts';
import type { CompilerView } from './toolchains.ts';

// Where compilers are installed, whatever PATH a service manager gives.
const usualDirectories = ['/usr/local/bin', '/usr/bin', '/bin'];

/** This PATH, and where compilers usually are. */
export function searchPath(path: string | undefined): string {
  const given = (path ?? '').split(':').filter((each) => each.startsWith('/'));
  return [...new Set([...given, ...usualDirectories])].join(':');
}

export function localCompilers(path: string | undefined, cacheDir: string): CompilerView {
  const pathEnv = searchPath(path);
  const searched = pathEnv.split(':');
  return {
    searched,
    discover: async () => {
      const byRealPath = new Map<string, string>();
      for (const { path, realPath } of await findCompilers(pathEnv)) byRealPath.set(realPath, path);
      return [...byRealPath.values()];
    },
    identify: (compiler) => identifyToolchain(compiler, { pathEnv, cacheDir }),
  };
}
