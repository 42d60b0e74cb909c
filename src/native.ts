// The C programs, the launcher, the sandbox's init and the GSS-API's helper: where they are, and how they come to be. A package carries
// static ones in native/<arch>/; a checkout, or another machine, compiles them at first use (0.3 s) into the user's
// cache. Nothing depends on install scripts, which npm blocks.
//
//   shoal, shoal-init   the programs; shoal-gss, if it could be built, for who asks for it
//   shoal.sources       the digest of what they were compiled from: edited sources are never run as old programs
//   shoal.install       for the launcher: node and the script of this installation. A package that was unpacked
//                       elsewhere has none that fits, and may be read-only: its programs are copied to the cache
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  accessSync,
  chmodSync,
  constants,
  copyFileSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { makeDirectory } from './make-directory.ts';
import { cacheDir } from './user-directories.ts';

export type Native = { readonly launcher: string; readonly init: string };

export class NativeError extends Error {
  readonly code = 'NATIVE';
}

const run = promisify(execFile);

/** The package's root: dist/src/native.js and dist/shoal/*.js are two directories below it. */
export function packageRoot(): string {
  return join(dirname(fileURLToPath(import.meta.url)), '..', '..');
}

/** What holds this program's files and those that it depends on: beside it, or above it where npm has flattened them. */
export function installation(): string {
  const root = packageRoot();
  const modules = `${sep}node_modules${sep}`;
  const at = root.indexOf(modules);
  return at < 0 ? root : root.slice(0, at + modules.length - 1);
}

// Static, so that they start in 0.2 ms; with musl the launcher is a tenth of the size. The init starts once a slot, and
// wants the kernel's headers, which musl-gcc does not see.
const compilers: readonly (readonly [string, ...string[]])[] = [['gcc', '-static'], ['cc', '-static'], ['cc']];
const launcherCompilers: typeof compilers = [['musl-gcc', '-static'], ...compilers];
// It opens a library when it runs, which a static program cannot. Before glibc 2.34 that took a library of its own.
const gssCompilers: typeof compilers = [
  ['gcc', '-Wl,--no-as-needed', '-ldl'],
  ['cc', '-Wl,--no-as-needed', '-ldl'],
];
const flags = ['-O2', '-s', '-std=gnu11', '-Wall', '-Wextra'];
const compileTimeoutMs = 60_000;

type Sources = {
  readonly launcher: readonly string[];
  readonly init: readonly string[];
  readonly gss: readonly string[];
};

function sourcesIn(directory: string): Sources {
  const files = readdirSync(directory).filter((name) => name.endsWith('.c'));
  const programOf = (name: string): keyof Sources =>
    name.startsWith('init') ? 'init' : name.startsWith('gss') ? 'gss' : 'launcher';
  const of = (program: keyof Sources): string[] =>
    files
      .filter((name) => programOf(name) === program)
      .toSorted()
      .map((name) => join(directory, name));
  return { launcher: of('launcher'), init: of('init'), gss: of('gss') };
}

async function compileOne(sources: readonly string[], output: string, candidates: typeof compilers): Promise<void> {
  const failures: string[] = [];
  // The compiler on PATH may be a launcher itself: it must not ask for a daemon that waits for this one.
  const env = { ...process.env, SHOAL_DISABLE: '1' };
  for (const [compiler, ...options] of candidates) {
    try {
      await run(compiler, [...options, ...flags, '-o', output, ...sources], { timeout: compileTimeoutMs, env });
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

function textOf(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}

/** What must stand beside programs of this installation. */
type Marks = { readonly sources: string; readonly install: string };

function marksOf(root: string): Marks {
  const hash = createHash('sha256').update(flags.join(' '));
  const directory = join(root, 'launcher');
  for (const name of readdirSync(directory).toSorted()) {
    if (/\.[ch]$/.test(name)) hash.update(`\0${name}\0`).update(readFileSync(join(directory, name)));
  }
  // What the launcher reads beside itself: the node and the script that `shoal make` and the daemon's start mean.
  const install = `${process.execPath}\0${join(root, 'dist/shoal/main.js')}\0`;
  return { sources: hash.digest('hex'), install };
}

function programsIn(directory: string): Native {
  return { launcher: join(directory, 'shoal'), init: join(directory, 'shoal-init') };
}

/** `elsewhere`: the programs are right, their shoal.install is of another installation, or open to others. */
type Found = 'ready' | 'elsewhere' | 'nothing';

function look(directory: string, marks: Marks): Found {
  const { launcher, init } = programsIn(directory);
  if (textOf(join(directory, 'shoal.sources')) !== marks.sources) return 'nothing';
  if (!isExecutable(launcher) || !isExecutable(init)) return 'nothing';
  const path = join(directory, 'shoal.install');
  return textOf(path) === marks.install && (statSync(path).mode & 0o022) === 0 ? 'ready' : 'elsewhere';
}

/** What somebody else has put there in the meantime stays, since it may be running: a full directory is not renamed over. */
function putInPlace(temporary: string, directory: string, marks: Marks): void {
  try {
    renameSync(temporary, directory);
  } catch {
    if (look(directory, marks) === 'ready') return;
    rmSync(directory, { recursive: true, force: true });
    renameSync(temporary, directory);
  }
}

/** Makes `directory`, which appears complete or not at all; of several that make it at once, one is kept. */
async function place(directory: string, marks: Marks, make: (into: Native) => Promise<void> | void): Promise<Native> {
  makeDirectory(dirname(directory));
  const temporary = mkdtempSync(`${directory}.`);
  try {
    await make(programsIn(temporary));
    writeFileSync(join(temporary, 'shoal.sources'), marks.sources);
    writeFileSync(join(temporary, 'shoal.install'), marks.install, { mode: 0o644 });
    chmodSync(temporary, 0o755); // other users run what root has installed
    putInPlace(temporary, directory, marks);
  } catch (error) {
    // Between these two lines somebody else may have put the same in place.
    if (look(directory, marks) !== 'ready') throw error;
  } finally {
    rmSync(temporary, { recursive: true, force: true });
  }
  return programsIn(directory);
}

/** Compiles both programs into `directory`, if it does not hold them. @throws NativeError without a C compiler. */
export async function buildNative(directory: string, root: string = packageRoot()): Promise<Native> {
  const marks = marksOf(root);
  if (look(directory, marks) === 'ready') return programsIn(directory);
  const sources = sourcesIn(join(root, 'launcher'));
  return place(directory, marks, async ({ launcher, init }) => {
    // Both are awaited, so that a failure leaves no compiler that still writes.
    const both = [compileOne(sources.launcher, launcher, launcherCompilers), compileOne(sources.init, init, compilers)];
    for (const one of await Promise.allSettled(both)) if (one.status === 'rejected') throw one.reason;
    // Few need it, and who does is told then.
    await compileOne(sources.gss, gssIn(dirname(init)), gssCompilers).catch(() => undefined);
  });
}

function gssIn(directory: string): string {
  return join(directory, 'shoal-gss');
}

/** That it starts on this box: one that was carried may be for another C library. */
async function starts(program: string): Promise<boolean> {
  const end = await run(program, [], { timeout: compileTimeoutMs }).catch(
    (error: { readonly code?: unknown }) => error,
  );
  return 'code' in end && end.code === usageStatus;
}

const usageStatus = 64;

/** The GSS-API's helper, compiled now if the one of this installation does not start here. @throws NativeError */
export async function ensureGss(root: string = packageRoot()): Promise<string> {
  const { init } = await ensureNative(root);
  const beside = gssIn(dirname(init));
  if (await starts(beside)) return beside;
  const directory = join(cacheDir(), `gss-${marksOf(root).sources.slice(0, 16)}`);
  const program = gssIn(directory);
  if (await starts(program)) return program;
  makeDirectory(directory);
  const temporary = `${program}.${process.pid}`;
  try {
    await compileOne(sourcesIn(join(root, 'launcher')).gss, temporary, gssCompilers);
    renameSync(temporary, program);
  } finally {
    rmSync(temporary, { force: true });
  }
  return program;
}

/** The programs of this installation, compiled now if there are none. @throws NativeError without a C compiler. */
export async function ensureNative(root: string = packageRoot()): Promise<Native> {
  const marks = marksOf(root);
  const carried = join(root, 'native', process.arch);
  const found = look(carried, marks);
  if (found === 'ready') return programsIn(carried);
  const key = createHash('sha256').update(marks.sources).update(marks.install).digest('hex').slice(0, 16);
  const directory = join(cacheDir(), `native-${key}`);
  if (found === 'nothing' || look(directory, marks) === 'ready') return buildNative(directory, root);
  const from = programsIn(carried);
  return place(directory, marks, (into) => {
    copyFileSync(from.launcher, into.launcher);
    copyFileSync(from.init, into.init);
    if (isExecutable(gssIn(carried))) copyFileSync(gssIn(carried), gssIn(dirname(into.init)));
  });
}
