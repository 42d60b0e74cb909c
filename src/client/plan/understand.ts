// Step 1 of a job: can this invocation run elsewhere at all? Looks at everything but the files that it includes.
import { isUtf8 } from 'node:buffer';
import { accessSync, constants, existsSync, lstatSync, readFileSync, realpathSync, statSync } from 'node:fs';
import { basename, dirname, resolve } from 'node:path';
import { ProbeError } from '../../compiler/builtin-includes.ts';
import { understand } from '../../compiler/command-line.ts';
import { environmentFor } from '../../compiler/environment.ts';
import type { BuiltinIncludes, Toolchain } from '../../compiler/toolchain.ts';
import type { Output, TranslationUnit } from '../../compiler/translation-unit.ts';
import { isOnTerminal, type FileIdentity, type LauncherRequest } from '../launcher-wire.ts';
import type { RunHere } from './run-here.ts';
import type { PlanWorld } from './world.ts';

export type PlannedOutput = Output & {
  /** Absolute, its directory physical: where the launcher writes. */
  readonly target: string;
};

export type UnderstoodJob = {
  readonly request: LauncherRequest;
  readonly toolchain: Toolchain;
  readonly unit: TranslationUnit;
  readonly builtins: BuiltinIncludes;
  /** The variables that go along, `NAME=value`, as the table of the compilers' variables says. */
  readonly env: readonly { readonly name: string; readonly value: string }[];
  readonly sourceDateEpoch: boolean;
  readonly outputs: readonly PlannedOutput[];
};

const here = (reason: RunHere['reason'], detail: string): RunHere => ({ kind: 'here', reason, detail });

const maxResponseFileBytes = 1 << 20;
const unlimited = 2n ** 64n - 1n;
// RLIMIT_CPU, FSIZE, DATA, RSS, AS: a user who bounds these wants the compiler to feel them.
const feltLimits: ReadonlySet<number> = new Set([0, 1, 2, 5, 9]);
const stackLimit = 3;
// gcc raises its own soft stack limit to 64 MB where the hard one allows.
const stackWanted = 64n * 1024n * 1024n;
const closedBits = 8 | 16 | 32;

/** Of a variable that is there twice the first counts, as for getenv(). */
export function environmentMap(env: readonly string[]): Map<string, string> {
  const map = new Map<string, string>();
  for (const entry of env) {
    const at = entry.indexOf('=');
    const name = entry.slice(0, at);
    if (at > 0 && !map.has(name)) map.set(name, entry.slice(at + 1));
  }
  return map;
}

function isSame(path: string, { dev, ino }: FileIdentity): boolean {
  const found = statSync(path, { bigint: true, throwIfNoEntry: false });
  return found !== undefined && found.dev === dev && found.ino === ino;
}

const ownMounts = statSync('/proc/self/ns/mnt', { bigint: true, throwIfNoEntry: false });

/**
 * The launcher's `/`, working directory and sources must be the very files that the daemon sees under these names. That
 * says nothing of its headers where it has mounts of its own.
 */
function otherRoot(request: LauncherRequest): RunHere | undefined {
  const { dev, ino } = request.mounts;
  if (dev !== (ownMounts?.dev ?? 0n) || ino !== (ownMounts?.ino ?? 0n)) return here('other-root', 'other mounts');
  if (!isSame('/', request.root)) return here('other-root', '/');
  if (!isSame(request.cwd, request.cwdIdentity)) return here('other-root', request.cwd);
  for (const { index, identity } of request.sources) {
    const spelled = request.argv[index];
    if (spelled === undefined || !isSame(resolve(request.cwd, spelled), identity)) {
      return here('other-root', spelled ?? '');
    }
  }
  return undefined;
}

function limited(request: LauncherRequest): RunHere | undefined {
  if ((request.terminal.bits & closedBits) !== 0) return here('limits', 'a standard stream is closed');
  for (const { resource, soft, hard } of request.limits) {
    if (feltLimits.has(resource) && soft !== unlimited) return here('limits', `limit ${resource} is ${soft}`);
    if (resource === stackLimit && hard < stackWanted) return here('limits', `the stack is limited to ${hard} bytes`);
  }
  return undefined;
}

// Where ncurses looks before the system's own directories; clang asks it whether a terminal can show colours.
function ownTerminals(
  toolchain: Toolchain,
  request: LauncherRequest,
  env: ReadonlyMap<string, string>,
): RunHere | undefined {
  if (toolchain.family !== 'clang' || !isOnTerminal(request.terminal)) return undefined;
  const named = ['TERMINFO', 'TERMINFO_DIRS'].find((name) => env.has(name));
  if (named !== undefined) return here('environment', named);
  const own = `${env.get('HOME') ?? ''}/.terminfo`;
  return existsSync(own) ? here('environment', own) : undefined;
}

function planOutput(cwd: string, output: Output): PlannedOutput | RunHere {
  const spelled = resolve(cwd, output.path);
  let directory: string;
  try {
    directory = realpathSync.native(dirname(spelled));
  } catch {
    return here('output-directory-missing', output.path);
  }
  // A directory behind a symbolic link would have to be one on the worker too; rare, and cheap to do here.
  if (directory !== dirname(spelled)) return here('output-link', output.path);
  const target = `${directory === '/' ? '' : directory}/${basename(spelled)}`;
  const existing = lstatSync(target, { throwIfNoEntry: false });
  if (existing !== undefined) {
    if (existing.isSymbolicLink() || (existing.isFile() && existing.nlink > 1)) return here('output-link', output.path);
    if (!existing.isFile()) return here('output-special', output.path);
    if (!isWritable(target)) return here('output-read-only', output.path);
  }
  return { ...output, target };
}

/** clang asks before it writes, gcc's assembler replaces what it may not write, cc1 fails: each says so here best. */
function isWritable(path: string): boolean {
  try {
    accessSync(path, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

function planOutputs(cwd: string, unit: TranslationUnit): readonly PlannedOutput[] | RunHere {
  const planned: PlannedOutput[] = [];
  for (const output of unit.outputs) {
    const one = planOutput(cwd, output);
    if ('reason' in one) return one;
    planned.push(one);
  }
  const source = resolve(cwd, unit.source);
  if (planned.some((output) => output.target === source)) return here('output-is-input', unit.source);
  return planned;
}

function responseFileReader(cwd: string): (path: string) => string | undefined {
  return (path) => {
    try {
      const file = resolve(cwd, path);
      const found = statSync(file);
      if (!found.isFile() || found.size > maxResponseFileBytes) return undefined;
      const bytes = readFileSync(file);
      // What it names would not be found by another spelling.
      return isUtf8(bytes) ? bytes.toString() : undefined;
    } catch {
      return undefined;
    }
  };
}

// clang takes __DATE__ from SOURCE_DATE_EPOCH since its version 16, gcc since 7.
function knowsSourceDate({ family, version }: Toolchain): boolean {
  return Number.parseInt(version, 10) >= (family === 'gcc' ? 7 : 16);
}

type Asked = {
  readonly request: LauncherRequest;
  readonly toolchain: Toolchain;
  readonly unit: TranslationUnit;
  readonly env: Map<string, string>;
};

/** The compiler's own directories; options that it refuses, it refuses here, in its own words. */
async function askBuiltins(
  world: Pick<PlanWorld, 'toolchains'>,
  { request, toolchain, unit, env }: Asked,
): Promise<BuiltinIncludes | RunHere> {
  try {
    const { language, probeOptions: options } = unit;
    // A sysroot that is relative is so to the working directory, and so are the directories that the compiler names.
    const cwd = unit.sysroot === undefined || unit.sysroot.startsWith('/') ? '/' : request.cwd;
    return await world.toolchains.includes(toolchain, { compiler: request.compiler, language, options, cwd }, env);
  } catch (error) {
    if (!(error instanceof ProbeError)) throw error;
    return here('probe-failed', unit.probeOptions.join(' '));
  }
}

export async function understandJob(
  world: Pick<PlanWorld, 'toolchains'>,
  request: LauncherRequest,
): Promise<{ readonly kind: 'understood'; readonly job: UnderstoodJob } | RunHere> {
  const env = environmentMap(request.env);
  const toolchain = await world.toolchains.find(request.compiler, env);
  if (toolchain.kind === 'not-a-compiler') {
    const reason = toolchain.unsure === true ? 'compiler-silent' : 'not-a-compiler';
    return here(reason, `${request.compiler}: ${toolchain.why}`);
  }
  const verdict = understand({
    argv: request.argv,
    env,
    family: toolchain.family,
    cplusplusDriver: toolchain.cplusplusDriver,
    readResponseFile: responseFileReader(request.cwd),
  });
  if (verdict.kind === 'here') return verdict;
  const { unit } = verdict;
  const apart = otherRoot(request) ?? limited(request) ?? ownTerminals(toolchain, request, env);
  if (apart !== undefined) return apart;
  const variables = environmentFor(env);
  if (variables.kind === 'here') return variables;
  const configuration = await world.toolchains.configuration(toolchain, request.compiler, env);
  if (configuration !== undefined) return here('own-parts', configuration);
  const builtins = await askBuiltins(world, { request, toolchain, unit, env });
  if ('reason' in builtins) return builtins;
  const outputs = planOutputs(request.cwd, unit);
  if ('reason' in outputs) return outputs;
  const sourceDateEpoch = env.has('SOURCE_DATE_EPOCH') && knowsSourceDate(toolchain);
  return {
    kind: 'understood',
    job: { request, toolchain, unit, builtins, env: variables.variables, sourceDateEpoch, outputs },
  };
}
