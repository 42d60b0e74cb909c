// One job of a distcc client on this worker, top to bottom: the same sandbox and the same slots as for shoal's own. What
// the box or the sandbox could not do ends without an answer, and the client compiles at home.
//
//   1 read       what the command line says
//   2 compiler   one of this worker's own, by name
//   3 root       its toolchain, and above it what the client sent
//   4 run        on a free slot
//   5 answer
import { relative } from 'node:path';
import { readCommand, type CompileCommand } from '../../distcc/compile-command.ts';
import { DistccError } from '../../distcc/errors.ts';
import { distccExit } from '../../distcc/exit-codes.ts';
import type { Request } from '../../distcc/request.ts';
import type { Response } from '../../distcc/response.ts';
import type { CompileFor } from '../../distcc/server.ts';
import { GrpcError, grpcCode } from '../../reapi/errors.ts';
import type { AuditLog, JobResult } from '../../observe/audit-log.ts';
import type { Limits, SandboxJob, SandboxOutput, SandboxResult } from '../sandbox/sandbox.ts';
import { sandboxOwn } from '../actions/sandbox-job.ts';
import type { SlotQueue } from '../sandbox/slot-queue.ts';
import type { WorkerToolchains } from '../toolchains/toolchains.ts';
import { emptyTree } from '../trees/tree-difference.ts';
import { countDirectories, wholeDirectories, type Lower } from '../trees/whole-directories.ts';
import type { WholeDirectory } from '../sandbox/codec.ts';
import type { BoxCompiler, Commands } from './commands.ts';
import { jobResultOf, peerOf } from './job-record.ts';
import { rootFor, type JobRoot } from './root.ts';
import { withSpecs } from './specs.ts';

export type DistccWorld = {
  readonly stateDir: string;
  readonly slots: Pick<SlotQueue, 'run'>;
  readonly toolchains: Pick<WorkerToolchains, 'directory' | 'counted'>;
  readonly commands: Commands;
  readonly limits: (timeoutMs: number) => Limits;
  /** After which a compile is ended. */
  readonly lifetimeMs: number;
  /** In which compilers talk. */
  readonly locale?: string | undefined;
  /** Where files that `-specs=` names are looked for; without it, commands with that option are refused. */
  readonly sysroot?: string | undefined;
  readonly audit: AuditLog['audit'];
};

export function compilesFor(world: DistccWorld): CompileFor {
  return async (request, { client, principal, signal }) => {
    const command = readCommand(request.argv);
    const name = request.argv[0] ?? '';
    const compiler = await world.commands.find(name);
    if (compiler === undefined) return missing(request, name, await world.commands.names());
    const toolchainDir = await world.toolchains.directory(compiler.digest);
    if (toolchainDir === undefined) throw new DistccError('FAILED', `${compiler.driver} cannot be used now`);
    const withSpecsFiles = await withSpecs(command, world.sysroot);
    const root = await rootFor(request, withSpecsFiles, { compiler, toolchainDir, pathEnv: world.commands.pathEnv });
    const counted = world.toolchains.counted(compiler.digest) ?? nothingCounted;
    const toolchain = { path: relative(world.stateDir, toolchainDir), directories: counted };
    // Preprocessed source opens no headers, of which alone there are enough to gain by it.
    const whole = request.version === 3 ? wholeBeside(root, toolchain) : [];
    const job = jobOf(world, { compiler, toolchain, root, whole });
    const tell = (result: JobResult): void =>
      world.audit({
        event: 'job',
        peer: peerOf(client, principal),
        action: undefined,
        toolchain: compiler.digest.hash,
        result,
      });
    const ran = await run(world, job, { client, signal, tell });
    return answer(request, command, { ran, root, lifetimeMs: world.lifetimeMs });
  };
}

/** What a box without that compiler answers, with the reason where its user sees it. */
function missing({ version }: Request, name: string, names: readonly string[]): Response {
  const has = names.length === 0 ? 'none' : names.join(', ');
  return failure(
    version,
    distccExit.compilerMissing,
    `no compiler ${JSON.stringify(name)} on this box, which has ${has}`,
  );
}

function failure(version: Request['version'], exitCode: number, why: string): Response {
  const none = Buffer.alloc(0);
  const stderr = Buffer.from(`distccd: ERROR: ${why}\n`);
  return { version, waitStatus: exitCode << 8, stderr, stdout: none, output: none, dependencies: none };
}

const nothingCounted = countDirectories([]);

type Parts = {
  readonly compiler: BoxCompiler;
  readonly toolchain: Lower;
  readonly root: JobRoot;
  readonly whole: readonly WholeDirectory[];
};

/** What of the toolchain the client's files and links leave as it is. */
function wholeBeside(root: JobRoot, toolchain: Lower): WholeDirectory[] {
  return wholeDirectories({
    lowers: [toolchain],
    hasToolchain: true,
    view: emptyTree,
    directories: [...root.directories, ...sandboxOwn],
    entries: [...root.additions, ...root.symlinks].map(({ path }) => path),
  });
}

function jobOf(world: DistccWorld, { compiler, toolchain, root, whole }: Parts): SandboxJob {
  const [, ...words] = root.argv;
  return {
    root: { kind: 'exact', lowerDirs: [toolchain.path], hostDirs: root.hostDirs },
    whole,
    additions: root.additions,
    symlinks: root.symlinks,
    directories: root.directories,
    deletions: [],
    argv: [compiler.called, ...words],
    // As of a daemon that was started by the system: no settings of anybody's.
    env: [
      `PATH=${world.commands.pathEnv}`,
      'TMPDIR=/tmp',
      ...(world.locale === undefined ? [] : [`LC_ALL=${world.locale}`]),
    ],
    cwd: root.cwd,
    outputs: [root.output, ...(root.dependencies === undefined ? [] : [root.dependencies])],
    limits: world.limits(world.lifetimeMs),
  };
}

type From = {
  readonly client: string;
  readonly signal: AbortSignal;
  readonly tell: (result: JobResult) => void;
};
type Ran = Extract<SandboxResult, { readonly kind: 'ran' }>;

async function run({ slots }: DistccWorld, job: SandboxJob, { tell, ...from }: From): Promise<Ran> {
  let ran: SandboxResult;
  try {
    ran = await slots.run(job, { ...from, onStart: () => undefined });
  } catch (error) {
    tell({ kind: 'failed', why: (error as Error).message });
    throw distccError(error);
  }
  tell(jobResultOf(ran));
  if (ran.kind === 'cancelled') throw new DistccError('GONE', 'the client has gone');
  if (ran.kind === 'failed') throw new DistccError('FAILED', `the sandbox failed: ${ran.why}`);
  return ran;
}

function distccError(error: unknown): unknown {
  if (!(error instanceof GrpcError)) return error;
  if (error.code === grpcCode.CANCELLED) return new DistccError('GONE', error.message);
  const isFull = error.code === grpcCode.UNAVAILABLE || error.code === grpcCode.RESOURCE_EXHAUSTED;
  return new DistccError(isFull ? 'BUSY' : 'FAILED', error.message, { cause: error });
}

type Finished = { readonly ran: Ran; readonly root: JobRoot; readonly lifetimeMs: number };

function answer(request: Request, { input }: CompileCommand, { ran, root, lifetimeMs }: Finished): Response {
  const { version } = request;
  if (ran.trouble.includes('deadline')) {
    const why = `compiling ${JSON.stringify(input)} took longer than ${Math.round(lifetimeMs / 1000)} s`;
    return failure(version, distccExit.timeout, why);
  }
  const [trouble] = ran.trouble;
  if (trouble !== undefined) throw new DistccError('FAILED', `the job met a bound of this worker: ${trouble}`);
  const { stderr, stdout, outputs } = ran;
  const waitStatus = ran.waitStatus & 0xffff;
  const output = contentOf(outputs, root.output);
  // `-fsyntax-only` and the like: at home no file appears, which this protocol cannot say.
  if (waitStatus === 0 && output === undefined) throw new DistccError('REFUSED', 'the compiler wrote no output');
  const none = Buffer.alloc(0);
  const dependencies = root.dependencies === undefined ? undefined : contentOf(outputs, root.dependencies);
  return { version, waitStatus, stderr, stdout, output: output ?? none, dependencies: dependencies ?? none };
}

function contentOf(outputs: readonly SandboxOutput[], path: string): Buffer | undefined {
  const found = outputs.find((each) => each.path === path);
  return found?.kind === 'file' ? found.content : undefined;
}
