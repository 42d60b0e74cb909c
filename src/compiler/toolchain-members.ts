// Which paths belong to a compiler: its driver, the programs that the driver runs, their libraries and loader, and the
// directories that are the compiler's own. libc's headers are not among them: they are inputs of a job, like any other.
import { existsSync, readdirSync, realpathSync, statSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { runTool, type ToolEnvironment } from './run-tool.ts';
import type { Family } from './translation-unit.ts';

export type Members = {
  /** Programs, libraries and single files, as found: links on the way belong to the tree too. */
  readonly files: readonly string[];
  /** Directories taken whole, less what only a link step reads. */
  readonly wholeDirectories: readonly string[];
  /** The programs, to be looked at again before each job. */
  readonly programs: readonly string[];
};

// What the driver runs for a compile; objcopy for -gsplit-dwarf.
const gccPrograms = ['cc1', 'cc1plus', 'cc1obj', 'cc1objplus', 'as', 'objcopy'];

// A UTF-8 locale that every build may ask for; other locales are inputs of the jobs that use them.
const plainLocale = '/usr/lib/locale/C.utf8';

/** False also for what may not be looked at: a PATH that su kept names root's own directories. */
function isFile(path: string): boolean {
  try {
    return statSync(path).isFile();
  } catch {
    return false;
  }
}

/** A directory behind the links to it; undefined if there is none, or it may not be looked at. */
function physical(directory: string): string | undefined {
  try {
    return realpathSync(directory);
  } catch {
    return undefined;
  }
}

/** Each once, whatever it is called: where /bin leads to /usr/bin, it does not matter which of the two a PATH has first. */
function directoriesOf(pathEnv: string): string[] {
  const named = pathEnv.split(':').filter((directory) => directory.startsWith('/'));
  return [...new Set(named.flatMap((directory) => physical(directory) ?? []))];
}

function onPath(name: string, pathEnv: string): string | undefined {
  return directoriesOf(pathEnv)
    .map((directory) => join(directory, name))
    .find(isFile);
}

const usualDirectories = ['/usr/bin', '/bin'];

/** Other names of a program, by links to its directory: a job's own PATH may have it by those. */
function otherNames(path: string): string[] {
  const directory = dirname(path);
  const links = usualDirectories.filter((usual) => usual !== directory && physical(usual) === directory);
  return links.map((link) => join(link, basename(path)));
}

/** Of a PATH, the directories where something of a compiler's is found: all that its identity depends on. */
export function searchedPath(pathEnv: string): string {
  const names = [...gccPrograms, 'ldd'];
  return directoriesOf(pathEnv)
    .filter((directory) => names.some((name) => isFile(join(directory, name))))
    .join(':');
}

/** Shared libraries and the loader of a dynamic program, by ldd: the loader's own view. */
async function librariesOf(program: string, env: ToolEnvironment): Promise<string[]> {
  const ldd = onPath('ldd', `${env.pathEnv}:/usr/bin:/bin`);
  if (ldd === undefined) return [];
  const { stdout } = await runTool(ldd, [program], { ...env, pathEnv: `${env.pathEnv}:/usr/bin:/bin` });
  const paths: string[] = [];
  for (const line of stdout.split('\n')) {
    const found = /(?:=>\s*)?(\/\S+)\s+\(0x/.exec(line);
    if (found?.[1] !== undefined) paths.push(found[1]);
  }
  return paths;
}

async function withLibraries(programs: readonly string[], env: ToolEnvironment): Promise<string[]> {
  const libraries = await Promise.all(programs.map((program) => librariesOf(program, env)));
  return [...new Set([...programs, ...libraries.flat()])];
}

/** The directories of `#include` that a compiler has built in, as it prints them. */
export function searchListIn(verbose: string): { readonly found: string[]; readonly missing: string[] } {
  const found: string[] = [];
  let inside = false;
  for (const line of verbose.split('\n')) {
    if (line.startsWith('#include "..."') || line.startsWith('#include <...>')) inside = true;
    else if (line.startsWith('End of search list')) inside = false;
    else if (inside && line.startsWith(' ')) found.push(line.trim().replace(/ \(framework directory\)$/, ''));
  }
  const missing = [...verbose.matchAll(/^ignoring nonexistent directory "(.*)"$/gm)].flatMap((match) => match[1] ?? []);
  return { found, missing };
}

const isCplusplusDirectory = (directory: string): boolean => /\/c\+\+(\/|$)/.test(directory);

async function cplusplusDirectories(driver: string, env: ToolEnvironment): Promise<string[]> {
  const { stderr } = await runTool(driver, ['-v', '-E', '-x', 'c++', '/dev/null'], env);
  return searchListIn(stderr).found.filter((directory) => isCplusplusDirectory(directory) && existsSync(directory));
}

async function gccMembers(driver: string, env: ToolEnvironment): Promise<Members | undefined> {
  const programs: string[] = [driver];
  for (const name of gccPrograms) {
    const { stdout } = await runTool(driver, [`-print-prog-name=${name}`], env);
    const answer = stdout.trim();
    const path = answer.startsWith('/') ? answer : onPath(answer, env.pathEnv);
    if (path !== undefined && existsSync(path)) programs.push(path);
    else if (name === 'as') return undefined;
  }
  if (!programs.some((path) => /\/cc1(plus)?$/.test(path))) return undefined;
  const { stdout } = await runTool(driver, ['-print-search-dirs'], env);
  const install = /^install: (.*)$/m.exec(stdout)?.[1];
  if (install === undefined || !existsSync(install)) return undefined;
  const own = [install, ...(await cplusplusDirectories(driver, env))];
  return membersOf(programs, [], { own, env });
}

/** clang looks which gcc is installed and takes that one's C++ library: the marks it goes by belong to it. */
function gccMarks(): string[] {
  const marks: string[] = [];
  for (const base of ['/usr/lib/gcc', '/usr/lib64/gcc', '/usr/lib/gcc-cross']) {
    if (!existsSync(base)) continue;
    for (const triple of readdirSync(base)) {
      const versions = statSync(join(base, triple)).isDirectory() ? readdirSync(join(base, triple)) : [];
      for (const version of versions) {
        const directory = join(base, triple, version);
        for (const place of ['.', '32', '64', 'x32']) marks.push(join(directory, place, 'crtbegin.o'));
      }
    }
  }
  return marks.filter((mark) => existsSync(mark));
}

async function clangMembers(driver: string, env: ToolEnvironment): Promise<Members | undefined> {
  const { stdout, succeeded } = await runTool(driver, ['-print-resource-dir'], env);
  const resources = stdout.trim();
  if (!succeeded || !existsSync(resources)) return undefined;
  const own = [resources, ...(await cplusplusDirectories(driver, env))];
  const objcopy = onPath('objcopy', env.pathEnv);
  const programs = [driver, ...(objcopy === undefined ? [] : [objcopy])];
  return membersOf(programs, gccMarks(), { own, env });
}

async function membersOf(
  programs: readonly string[],
  marks: readonly string[],
  { own, env }: { readonly own: readonly string[]; readonly env: ToolEnvironment },
): Promise<Members> {
  const files = [...(await withLibraries(programs, env)), ...programs.flatMap(otherNames), ...marks];
  const locale = existsSync(plainLocale) ? [plainLocale] : [];
  return { files, wholeDirectories: [...own, ...locale], programs };
}

/** The members of the compiler behind `driver` (its real path), or undefined if a part of it is not there. */
export function membersOfCompiler(driver: string, family: Family, env: ToolEnvironment): Promise<Members | undefined> {
  return family === 'gcc' ? gccMembers(driver, env) : clangMembers(driver, env);
}

// What a compile never reads: libraries, other languages' compilers, headers for plugins.
const linkOnlyNames =
  /(?:\.a|\.so(?:\.[0-9.]+)?|\.o\.dwp|\.py)$|^(?:lto1|lto-dump|lto-wrapper|f951|go1|cgo|d21|gnat1|g\+\+-mapper-server|collect2|plugin|adainclude|adalib|finclude|install-tools)$/;

/** True for an entry of a whole directory that stays out of the tree. */
export function isLeftOut(name: string): boolean {
  return linkOnlyNames.test(name);
}

export function familyOf(versionText: string): Family | undefined {
  if (/\bclang version\b/.test(versionText)) return 'clang';
  if (/\bgcc version\b|Free Software Foundation/.test(versionText)) return 'gcc';
  return undefined;
}
