// What a distcc client asks its include server: which files has this compile to be sent with? Answered from the include
// closure, as a job of ours is. What the server's compiler finds by itself is left to it.
import { accessSync, constants, realpathSync, statSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { closureOf, type JobClosure } from '../plan/closure.ts';
import type { FileIdentity, LauncherRequest } from '../launcher-wire.ts';
import { systemInputs } from '../plan/system-inputs.ts';
import { understandJob, type UnderstoodJob } from '../plan/understand.ts';
import type { PlanWorld } from '../plan/world.ts';

export type IncludeQuestion = { readonly cwd: string; readonly argv: readonly string[] };

export type SentFiles = {
  readonly kind: 'files';
  /** Directories that the server has of its own. */
  readonly left: readonly string[];
  readonly files: JobClosure['files'];
  readonly links: JobClosure['symlinks'];
  /** Only have to be there. */
  readonly directories: readonly string[];
};

export type IncludeAnswer = SentFiles | { readonly kind: 'none'; readonly why: string };

export type IncludeWorld = Pick<PlanWorld, 'includes' | 'toolchains' | 'epochs'> & {
  readonly env: Readonly<Record<string, string | undefined>>;
};

const wrappers: ReadonlySet<string> = new Set(['ccache', 'distcc', 'icecc', 'sccache', 'shoal']);

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile() && !wrappers.has(basename(realpathSync(path)));
  } catch {
    return false;
  }
}

/** As the launcher finds it: never a link to something that calls compilers itself. */
function findCompiler(word: string, cwd: string, path: string): string | undefined {
  if (word.includes('/')) return resolve(cwd, word);
  return path
    .split(':')
    .map((directory) => join(directory === '' ? cwd : directory, word))
    .find(isProgram);
}

function identityOf(path: string): FileIdentity {
  const found = statSync(path, { bigint: true, throwIfNoEntry: false });
  return { dev: found?.dev ?? 0n, ino: found?.ino ?? 0n };
}

/** The question as a launcher would have put it. */
function requestOf({ cwd, argv }: IncludeQuestion, env: IncludeWorld['env']): LauncherRequest | undefined {
  const compiler = findCompiler(argv[0] ?? '', cwd, env['PATH'] ?? '/usr/bin:/bin');
  if (compiler === undefined || !cwd.startsWith('/')) return undefined;
  return {
    compiler,
    argv: [compiler, ...argv.slice(1)],
    env: Object.entries(env).flatMap(([name, value]) => (value === undefined ? [] : [`${name}=${value}`])),
    cwd,
    umask: 0o022,
    limits: [],
    terminal: { bits: 0, columns: 0, rows: 0 },
    root: identityOf('/'),
    cwdIdentity: identityOf(cwd),
    mounts: identityOf('/proc/self/ns/mnt'),
    sources: [],
    pid: process.pid,
    asDistcc: true,
    notUtf8: undefined,
  };
}

const isBelow = (path: string, directory: string): boolean => path.startsWith(`${directory}/`);

/** Those that lie in no other. */
function topmost(directories: readonly string[]): string[] {
  return directories.filter((one) => !directories.some((other) => other !== one && isBelow(one, other)));
}

function sentFiles(job: UnderstoodJob, closure: JobClosure): SentFiles {
  const left = topmost([...new Set(job.builtins.directories)]);
  const own = new Set([...systemInputs(job), ...job.toolchain.aliases.map(({ path }) => path)]);
  const isLeft = (path: string): boolean =>
    own.has(path) || left.some((directory) => path === directory || isBelow(path, directory));
  const files = closure.files.filter(({ path }) => !isLeft(path));
  const links = closure.symlinks.filter(
    ({ path }) => !isLeft(path) && !left.some((directory) => isBelow(directory, path)),
  );
  const there = new Set(['/']);
  for (const path of [...left, ...files.map((file) => file.path), ...links.map((link) => link.path)]) {
    for (let up = dirname(path); !there.has(up); up = dirname(up)) there.add(up);
  }
  const directories = closure.directories.map(({ path }) => path).filter((path) => !there.has(path) && !isLeft(path));
  return { kind: 'files', left, files, links, directories };
}

export async function answerQuestion(world: IncludeWorld, question: IncludeQuestion): Promise<IncludeAnswer> {
  const request = requestOf(question, world.env);
  if (request === undefined) return { kind: 'none', why: `${question.argv[0] ?? ''}: no such compiler` };
  const understood = await understandJob(world, request);
  if (understood.kind === 'here') return { kind: 'none', why: `${understood.reason} ${understood.detail}` };
  const closure = closureOf(world, { job: understood.job, epoch: world.epochs.begin() });
  if (closure.kind === 'here') return { kind: 'none', why: `${closure.reason} ${closure.detail}` };
  return sentFiles(understood.job, closure);
}
