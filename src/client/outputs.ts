// Step 6 of a job: from an ActionResult to what the launcher writes. Only what was asked for is taken, at the places
// where it was asked for; a failure is the user's only if it can be proved so.
import { classifyFailure } from '../compiler/diagnostics.ts';
import type { Host } from '../farm/host.ts';
import { digestKey, isDigest, type Digest } from '../reapi/digest.ts';
import { rootRelative } from './action.ts';
import type { DoneOutcome } from './execute.ts';
import type { JobAnswer, RunHere } from './job.ts';
import type { OutputFile } from './launcher-wire.ts';
import type { PlannedOutput, UnderstoodJob } from './understand.ts';

// ELF, LLVM bitcode and its wrapper, WebAssembly, Mach-O, and COFF by its machines: clang compiles for them all.
const objectMagics = [
  '7f454c46',
  '4243',
  'dec0170b',
  '0061736d',
  'cffaedfe',
  'cefaedfe',
  '6486',
  '4c01',
  '64aa',
  'c001',
  'c401',
].map((magic) => Buffer.from(magic, 'hex'));

const badAnswer = (detail: string): RunHere => ({ kind: 'here', reason: 'bad-answer', detail });

const unproved = (detail: string): RunHere => ({ kind: 'here', reason: 'remote-compile-failed', detail });

async function contentOf(done: DoneOutcome, digest: Digest): Promise<Buffer> {
  return done.blobs.get(digestKey(digest)) ?? done.client.read(digest);
}

async function stream(done: DoneOutcome, raw: Uint8Array, digest: Digest | undefined): Promise<Buffer> {
  if (raw.length > 0 || digest === undefined || digest.sizeBytes === 0) return Buffer.from(raw);
  return contentOf(done, digest);
}

/** An object that is no object would be found by the linker only: it is the host's fault, and seen here. */
function isPlausible(output: PlannedOutput, content: Buffer): boolean {
  if (output.kind !== 'object') return true;
  return objectMagics.some((magic) => content.subarray(0, magic.length).equals(magic));
}

const nothing = Buffer.alloc(0);

/** The old file of an output that a failing compile did not write: gone, or as it was. Tried with gcc 12 and clang 14. */
function isTakenAway({ toolchain, outputs }: UnderstoodJob, output: PlannedOutput): boolean {
  if (toolchain.family === 'clang') return output === outputs[0];
  return output.kind === 'assembly' || output.kind === 'coverage-notes';
}

async function collect(job: UnderstoodJob, done: DoneOutcome, succeeded: boolean): Promise<OutputFile[] | RunHere> {
  const files = new Map(done.result.outputFiles.map((file) => [file.path, file.digest]));
  const outputs: OutputFile[] = [];
  for (const output of job.outputs) {
    const digest = files.get(rootRelative(output.target));
    if (digest === undefined) {
      if (!succeeded && isTakenAway(job, output))
        outputs.push({ path: output.target, how: 'remove', content: nothing });
      // A compiler may end well and write nothing (an input that it leaves to the linker): not the host's fault.
      if (succeeded && output === job.outputs[0]) return unproved(`it succeeded without ${output.path}`);
      continue;
    }
    if (!isDigest(digest)) return badAnswer(`${output.path} has no digest`);
    const content = await contentOf(done, digest);
    if (!isPlausible(output, content)) return badAnswer(`${output.path} is no object file`);
    outputs.push({ path: output.target, how: output.how === 'replace' ? 'replace' : 'in-place', content });
  }
  return outputs;
}

/** The answer for the launcher, or why this result cannot be taken. */
export async function completedFrom(job: UnderstoodJob, host: Host, done: DoneOutcome): Promise<JobAnswer> {
  const { result } = done;
  const exitCode = result.exitCode;
  if (exitCode < 0 || exitCode > 255) return badAnswer(`exit code ${exitCode}`);
  try {
    const stdout = await stream(done, result.stdoutRaw, result.stdoutDigest);
    const stderr = await stream(done, result.stderrRaw, result.stderrDigest);
    if (exitCode !== 0 && classifyFailure(stderr, exitCode) !== 'user') {
      return unproved(`${host.spec.name}, status ${exitCode}`);
    }
    const outputs = await collect(job, done, exitCode === 0);
    if ('reason' in outputs) return outputs;
    return {
      kind: 'completed',
      completed: { outputs, stdout, stderr, waitStatus: exitCode << 8 },
      end: { kind: 'remote', host: host.spec.name, cached: done.cached, failed: exitCode !== 0 },
    };
  } catch (error) {
    return badAnswer((error as Error).message);
  }
}
