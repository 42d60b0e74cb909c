// The directories that a compiler searches by itself, for one language and one set of options: asked once (20 ms), kept
// for as long as the toolchain is the same.
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { writeKept } from '../kept-file.ts';
import { runTool } from './run-tool.ts';
import { searchListIn } from './toolchain-members.ts';
import type { BuiltinIncludes, Probe, Toolchain } from './toolchain.ts';

export type ProbeOptions = { readonly env: ReadonlyMap<string, string>; readonly cacheDir?: string };

export class ProbeError extends Error {
  readonly code = 'PROBE';
}

type Kept = { readonly found: readonly string[]; readonly missing: readonly string[] };

function readKept(path: string | undefined, cwd: string): Kept | undefined {
  if (path === undefined) return undefined;
  try {
    const kept = JSON.parse(readFileSync(path, 'utf8')) as Kept;
    // What was there must be there, what was not must not: else the list may be another.
    const current =
      kept.found.every((directory) => existsSync(resolve(cwd, directory))) &&
      !kept.missing.some((directory) => existsSync(resolve(cwd, directory)));
    return current ? kept : undefined;
  } catch {
    return undefined;
  }
}

/** @throws ProbeError if the compiler does not tell. */
export async function builtinIncludes(
  toolchain: Toolchain,
  probe: Probe,
  options: ProbeOptions,
): Promise<BuiltinIncludes> {
  const pathEnv = options.env.get('PATH') ?? '';
  const program = toolchain.family === 'clang' ? probe.compiler : toolchain.driver;
  const key = [toolchain.digest.hash, program, probe.language, probe.cwd, ...probe.options].join('\0');
  const name = `includes-${createHash('sha256').update(key).digest('hex').slice(0, 32)}.json`;
  const path = options.cacheDir === undefined ? undefined : join(options.cacheDir, name);
  const kept = readKept(path, probe.cwd);
  if (kept !== undefined) return { directories: kept.found, missing: kept.missing };
  const language = probe.language === 'assembler' ? 'assembler-with-cpp' : probe.language;
  const args = [...probe.options, '-v', '-E', '-x', language, '/dev/null', '-o', '/dev/null'];
  const { stderr, succeeded } = await runTool(program, args, { pathEnv, cwd: probe.cwd });
  if (!succeeded) throw new ProbeError(`${program} does not tell its include directories`);
  const { found, missing } = searchListIn(stderr);
  if (path !== undefined) writeKept(path, () => JSON.stringify({ found, missing } satisfies Kept));
  return { directories: found, missing };
}
