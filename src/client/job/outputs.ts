// Step 6 of a job: from an ActionResult to what the launcher writes. Only what was asked for is taken, at the places
// where it was asked for; a failure is the user's only if it can be proved so.
import { classifyFailure } from '../../compiler/diagnostics.ts';
import type { Host } from '../../farm/host.ts';
import { isPlainRules } from '../../compiler/dependency-rules.ts';
import { objectFlaw } from '../../compiler/object-format.ts';
import { digestKey, digestOf, isDigest, sameDigest, type Digest } from '../../reapi/digest.ts';
import { GrpcError, grpcCode } from '../../reapi/errors.ts';
import { rootRelative } from '../plan/action.ts';
import type { DoneOutcome } from '../attempt/end.ts';
import { faultIn, faultOf, type HostFault } from '../attempt/faults.ts';
import type { JobAnswer } from './answer.ts';
import type { RunHere } from '../plan/run-here.ts';
import type { OutputFile } from '../launcher-wire.ts';
import type { PlannedOutput, UnderstoodJob } from '../plan/understand.ts';

const badAnswer = (detail: string): HostFault => faultOf(grpcCode.DATA_LOSS, detail);

const unproved = (detail: string): RunHere => ({ kind: 'here', reason: 'remote-compile-failed', detail });

// No worker of shoal's sends more than a quarter of that.
const mostOutputBytes = 2 ** 30;

async function contentOf(done: DoneOutcome, digest: Digest): Promise<Buffer> {
  if (digest.sizeBytes > mostOutputBytes)
    throw new GrpcError(grpcCode.DATA_LOSS, `${digest.sizeBytes} bytes of output`);
  const bytes = done.blobs.get(digestKey(digest)) ?? (await done.client?.read(digest));
  if (bytes === undefined) throw new GrpcError(grpcCode.DATA_LOSS, 'an output did not come');
  return bytes;
}

async function stream(done: DoneOutcome, raw: Uint8Array, digest: Digest | undefined): Promise<Buffer> {
  if (digest === undefined || digest.sizeBytes === 0) return Buffer.from(raw);
  if (raw.length === 0) return contentOf(done, digest);
  const bytes = Buffer.from(raw);
  if (!sameDigest(digestOf(bytes), digest))
    throw new GrpcError(grpcCode.DATA_LOSS, 'a stream is not what its digest says');
  return bytes;
}

/** What is wrong with an output: it would be found out later, by the linker, make or gcov, and is the host's fault. */
function flawOf({ request, toolchain }: UnderstoodJob, { kind }: PlannedOutput, content: Buffer): string | undefined {
  switch (kind) {
    case 'object':
      return objectFlaw({ ...toolchain, compiler: request.compiler, argv: request.argv }, content);
    case 'dwo':
      // clang leaves an empty one beside assembly.
      return content.length === 0
        ? undefined
        : objectFlaw({ ...toolchain, compiler: request.compiler, argv: request.argv }, content);
    case 'dependencies':
      return content.includes(':') ? undefined : 'names no target';
    case 'coverage-notes':
      return /^(?:oncg|gcno)$/.test(content.toString('latin1', 0, 4)) ? undefined : 'holds no coverage notes';
    default:
      return undefined;
  }
}

/**
 * Also where there is nothing to write: the object; the dependencies of what is preprocessed on the way. Of two dependency
 * files (-Wp,-MD,a -MD -MF b) the compiler may write one alone.
 */
function isAlwaysWritten({ unit, outputs }: UnderstoodJob, output: PlannedOutput): boolean {
  if (output === outputs[0]) return true;
  const ofKind = outputs.filter(({ kind }) => kind === output.kind);
  return output.kind === 'dependencies' && ofKind.length === 1 && !unit.preprocessed;
}

function firstError(stderr: Buffer): string {
  return /^.*(?:error|Killed|memory).*$/im.exec(stderr.toString('utf8'))?.[0].slice(0, 200) ?? '';
}

const nothing = Buffer.alloc(0);

/** The old file of an output that a failing compile did not write: gone, or as it was. Tried with gcc 12 and clang 14. */
function isTakenAway({ toolchain, outputs }: UnderstoodJob, output: PlannedOutput): boolean {
  if (toolchain.family === 'clang') return output === outputs[0];
  return output.kind === 'assembly' || output.kind === 'coverage-notes';
}

type Outputs = { readonly kind: 'outputs'; readonly outputs: readonly OutputFile[] };

async function collect(
  job: UnderstoodJob,
  done: DoneOutcome,
  succeeded: boolean,
): Promise<Outputs | HostFault | RunHere> {
  const files = new Map(done.result.outputFiles.map((file) => [file.path, file.digest]));
  const named = job.outputs.map(({ target }) => rootRelative(target));
  if (done.result.outputFiles.filter(({ path }) => named.includes(path)).length > new Set(named).size)
    return badAnswer('an output is there twice');
  const outputs: OutputFile[] = [];
  for (const output of job.outputs) {
    if (output.kind === done.madeHere) continue;
    const path = rootRelative(output.target);
    if (!files.has(path)) {
      if (!succeeded && isTakenAway(job, output))
        outputs.push({ path: output.target, how: 'remove', content: nothing });
      // A compiler may end well and write nothing (an input that it leaves to the linker): not the host's fault.
      if (succeeded && isAlwaysWritten(job, output)) return unproved(`it succeeded without ${output.path}`);
      continue;
    }
    const digest = files.get(path);
    if (!isDigest(digest)) return badAnswer(`${output.path} has no digest`);
    const content = await contentOf(done, digest);
    const flaw = succeeded || output.kind === 'object' ? flawOf(job, output, content) : undefined;
    if (flaw !== undefined) return badAnswer(`${output.path} ${flaw}`);
    // make would run what it says.
    if (output.kind === 'dependencies' && !isPlainRules(content, job.request.argv))
      return unproved(`${output.path} holds more than names of files`);
    outputs.push({ path: output.target, how: output.how === 'replace' ? 'replace' : 'in-place', content });
  }
  return { kind: 'outputs', outputs };
}

/** The answer for the launcher, or why this result cannot be taken. */
export async function completedFrom(job: UnderstoodJob, host: Host, done: DoneOutcome): Promise<JobAnswer | HostFault> {
  const { result } = done;
  const exitCode = result.exitCode;
  if (exitCode < 0 || exitCode > 255) return badAnswer(`exit code ${exitCode}`);
  try {
    const stdout = await stream(done, result.stdoutRaw, result.stdoutDigest);
    const stderr = await stream(done, result.stderrRaw, result.stderrDigest);
    const failure = exitCode === 0 ? undefined : classifyFailure(stderr, exitCode);
    if (failure === 'no-room') return faultOf(grpcCode.RESOURCE_EXHAUSTED, firstError(stderr));
    if (failure === 'infrastructure') return unproved(`${host.spec.name}, status ${exitCode}`);
    const collected = await collect(job, done, exitCode === 0);
    if (collected.kind !== 'outputs') return collected;
    const { outputs } = collected;
    return {
      kind: 'completed',
      completed: { outputs, stdout, stderr, waitStatus: exitCode << 8 },
      end: { kind: 'remote', host: host.spec.name, cached: done.cached, failed: exitCode !== 0 },
    };
  } catch (error) {
    return faultIn(error) ?? badAnswer((error as Error).message);
  }
}
