// The two C programs, the launcher and the sandbox's init: where they are, and how they come to be. A package carries
// static ones in native/<arch>/; a checkout, or another machine, compiles them at first use (0.3 s) into the user's
// cache. Nothing depends on install scripts, which npm blocks.
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  accessSync,
  constants,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

export type Native = { readonly launcher: string; readonly init: string };

export class NativeError extends Error {
  readonly code = 'NATIVE';
}

const run = promisify(execFile);

/** The package's root: dist/src/native.js is two directories below it. */
function packageRoot(): string {
  return join(dirname(fileURLToPath(import.meta.url)), '..', '..');
}

// Static, so that they start in 0.2 ms; with musl the launcher is a tenth of the size. The init starts once a slot, and
// wants the kernel's headers, which musl-gcc does not see.
const compilers: readonly (readonly [string, ...string[]])[] = [['gcc', '-static'], ['cc', '-static'], ['cc']];
const launcherCompilers: typeof compilers = [['musl-gcc', '-static'], ...compilers];
const flags = ['-O2', '-std=gnu11', '-Wall', '-Wextra'];
const compileTimeoutMs = 60_000;

type Sources = { readonly launcher: readonly string[]; readonly init: readonly string[] };

function sourcesIn(directory: string): Sources {
  const files = readdirSync(directory).filter((name) => name.endsWith('.c'));
  const isInit = (name: string): boolean => name.startsWith('init');
  const paths = (names: readonly string[]): string[] => names.toSorted().map((name) => join(directory, name));
  return { launcher: paths(files.filter((name) => !isInit(name))), init: paths(files.filter(isInit)) };
}

async function compileOne(sources: readonly string[], output: string, candidates: typeof compilers): Promise<void> {
  const failures: string[] = [];
  for (const [compiler, ...options] of candidates) {
    try {
      await run(compiler, [...options, ...flags, '-o', output, ...sources], { timeout: compileTimeoutMs });
      return;
    } catch (error) {
      failures.push(`${compiler}: ${(error as Error).message.split('\n').slice(0, 3).join(' ')}`);
    }
  }
  throw new NativeError(`no C compiler could build ${output}: ${failures.join('; ')}`);
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** What the launcher reads beside itself: the node and the script that `shoal make` and the daemon's start mean. */
function installText(root: string): string {
  return `${process.execPath}\0${join(root, 'dist/src/cli/main.js')}\0`;
}

function programsIn(directory: string): Native {
  return { launcher: join(directory, 'shoal'), init: join(directory, 'shoal-init') };
}

function isComplete(directory: string, install: string): boolean {
  const { launcher, init } = programsIn(directory);
  if (!isExecutable(launcher) || !isExecutable(init)) return false;
  try {
    return readFileSync(join(directory, 'shoal.install'), 'utf8') === install;
  } catch {
    return false;
  }
}

/** Compiles both programs into `directory`, which appears complete or not at all. */
export async function buildNative(directory: string, root: string = packageRoot()): Promise<Native> {
  const { launcher, init } = sourcesIn(join(root, 'launcher'));
  mkdirSync(dirname(directory), { recursive: true });
  const temporary = mkdtempSync(`${directory}.`);
  try {
    const made = programsIn(temporary);
    await Promise.all([compileOne(launcher, made.launcher, launcherCompilers), compileOne(init, made.init, compilers)]);
    writeFileSync(join(temporary, 'shoal.install'), installText(root), { mode: 0o644 });
    rmSync(directory, { recursive: true, force: true });
    renameSync(temporary, directory);
  } catch (error) {
    rmSync(temporary, { recursive: true, force: true });
    // Somebody else may have put the same in place meanwhile.
    if (!isComplete(directory, installText(root))) throw error;
  }
  return programsIn(directory);
}

function digestOfSources(root: string, install: string): string {
  const hash = createHash('sha256').update(install);
  const directory = join(root, 'launcher');
  for (const name of readdirSync(directory).toSorted()) {
    if (/\.[ch]$/.test(name)) hash.update(name).update(readFileSync(join(directory, name)));
  }
  return hash.digest('hex').slice(0, 16);
}

/** The programs of this installation, compiled now if there are none. @throws NativeError without a C compiler. */
export async function ensureNative(): Promise<Native> {
  const root = packageRoot();
  const install = installText(root);
  const carried = join(root, 'native', process.arch);
  if (isComplete(carried, install)) return programsIn(carried);
  const cache = join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'shoal');
  const directory = join(cache, `native-${digestOfSources(root, install)}`);
  if (isComplete(directory, install)) return programsIn(directory);
  return buildNative(directory, root);
}
