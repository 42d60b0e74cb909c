// One job at a server of distcc's protocol: what goes there (request.ts), the exchange, and what comes back, in the
// form of any host's answer, so that it is checked as such.
import { classifyFailure } from '../../compiler/diagnostics.ts';
import { DistccError } from '../../distcc/errors.ts';
import { askServer, type Answered } from '../../distcc/exchange.ts';
import { distccExit } from '../../distcc/exit-codes.ts';
import { rewrapped } from '../../distcc/dependencies.ts';
import type { DistccReady } from '../../farm/host.ts';
import { FileChangedError } from '../../includes/types.ts';
import type { Clock } from '../../observe/clock.ts';
import { digestKey, digestOf, type DigestKey } from '../../reapi/digest.ts';
import { grpcCode } from '../../reapi/errors.ts';
import { ActionResult, ExecutedActionMetadata, OutputFile } from '../../reapi/gen/remote_execution.ts';
import type { Traffic } from '../../reapi/traffic.ts';
import { rootRelative } from '../plan/action.ts';
import { isSet, prepare, valueOf, type DistccJob, type NotPrepared, type Prepared } from './request.ts';
import type { ExecuteEnd } from '../attempt/end.ts';
import { faultOf, type HostFault } from '../attempt/faults.ts';
import type { UnderstoodJob } from '../plan/understand.ts';

export type DistccExecution = {
  readonly job: DistccJob | undefined;
  readonly env: readonly string[];
  readonly signal: AbortSignal;
  readonly clock: Clock;
  readonly traffic: Traffic;
};

const usualIdleMs = 300_000;
// As long as our own server gives a request.
const answerMs = 300_000;
// No worker of shoal's sends more than a quarter of that.
const mostAnswerBytes = 2 ** 30;

/** DISTCC_IO_TIMEOUT, in seconds. */
function idleMsOf(env: readonly string[]): number {
  const text = valueOf(env, 'DISTCC_IO_TIMEOUT');
  const seconds = Number(text);
  return text !== undefined && seconds > 0 && seconds < 86_400 ? seconds * 1000 : usualIdleMs;
}

export async function executeByDistcc(ready: DistccReady, execution: DistccExecution): Promise<ExecuteEnd> {
  const { job, env, signal, clock, traffic } = execution;
  if (job === undefined) return { kind: 'job-fault', reason: 'distcc-protocol', detail: ready.server.name };
  let prepared: Prepared | NotPrepared;
  try {
    prepared = await prepare(ready, job);
  } catch (error) {
    if (error instanceof FileChangedError) return { kind: 'job-fault', reason: 'file-changed', detail: error.path };
    return { kind: 'job-fault', reason: 'client-failed', detail: (error as Error).message };
  }
  if ('kind' in prepared) return prepared;
  const { version, request } = prepared;
  try {
    const stream = await job.way.open(ready.server, signal);
    const limits = { idleMs: idleMsOf(env), answerMs, bodyBytes: mostAnswerBytes, nowMs: clock.nowMs };
    const answered = await askServer(stream, { version, request, signal, ...limits });
    traffic.sent += answered.sentBytes;
    traffic.received += answered.receivedBytes;
    const keepsFailures = isSet(env, 'DISTCC_SKIP_LOCAL_RETRY');
    return outcomeOf(ready, job, { prepared, answered, keepsFailures });
  } catch (error) {
    return silentFault(ready, job, error) ?? faultOfError(error);
  }
}

// Of hosts that may not be asked for a compiler any more.
const mostSilences = 2;

/**
 * A server that does not have the compiler ends the connection without a word (stock distccd 3.4 does), and so does one that
 * is ending itself. The first time that is not known; a host that does it again is not asked for that compiler.
 */
function silentFault(
  { lacks, silences }: DistccReady,
  { understood }: DistccJob,
  error: unknown,
): HostFault | undefined {
  if (!(error instanceof DistccError) || error.code !== 'SILENT') return undefined;
  const key = digestKey(understood.toolchain.digest);
  const silent = (silences.get(key) ?? 0) + 1;
  silences.set(key, silent);
  if (silent < mostSilences) return undefined;
  lacks.add(key);
  return { kind: 'host-fault', reason: 'no-toolchain', detail: error.message, counts: 'never' };
}

/** What went wrong on the way, as a fault of any host. */
function faultOfError(error: unknown): HostFault {
  const { message } = error as Error;
  switch (error instanceof DistccError ? error.code : undefined) {
    case 'PROTOCOL':
    case 'TOO_LARGE':
      return faultOf(grpcCode.DATA_LOSS, message);
    case 'TIMEOUT':
      return { ...faultOf(grpcCode.DEADLINE_EXCEEDED, message), counts: 'at-once' };
    case 'REFUSED':
      return { ...faultOf(grpcCode.UNKNOWN, message), counts: 'at-once' };
    default:
      // The end of a connection is how distccd says that it does not do something, too: one such may be the job's doing.
      return { ...faultOf(grpcCode.UNAVAILABLE, message), counts: isUnreachable(error) ? 'at-once' : 'if-repeated' };
  }
}

const isUnreachable = (error: unknown): boolean => error instanceof DistccError && error.code === 'UNREACHABLE';

type Back = {
  readonly prepared: Prepared;
  readonly answered: Answered;
  /** A failure there is the job's own end, whatever a compile here would say. */
  readonly keepsFailures: boolean;
};

/**
 * As in distcc, a compile that fails there is tried here: its compiler may be another, and so are its words. Where it is not
 * the source that is at fault, another host may do it.
 */
function failedThere(stderr: Buffer, exitCode: number): ExecuteEnd {
  const said = /^.*(?:error|Killed|memory).*$/im.exec(stderr.toString('utf8'))?.[0].slice(0, 200);
  const detail = `status ${exitCode}${said === undefined ? '' : `: ${said}`}`;
  if (classifyFailure(stderr, exitCode) === 'user')
    return { kind: 'job-fault', reason: 'remote-compile-failed', detail };
  return { kind: 'host-fault', reason: 'remote-compile-failed', detail, counts: 'if-repeated' };
}

const stamp = (ms: number) => ({ seconds: Math.floor(ms / 1000), nanos: Math.round((ms % 1000) * 1e6) });

/** The answer in the form that a worker's has: outputs by their paths and digests, and the times that it took. */
function outcomeOf(
  ready: DistccReady,
  { understood }: DistccJob,
  { prepared, answered, keepsFailures }: Back,
): ExecuteEnd {
  const { response, sentBytes, sendMs, waitMs } = answered;
  const exitCode = response.waitStatus >> 8;
  if (exitCode === distccExit.compilerMissing) {
    ready.lacks.add(digestKey(understood.toolchain.digest));
    const detail = `it has no compiler of that name: ${response.stderr.toString('utf8').trim().slice(0, 200)}`;
    return { kind: 'host-fault', reason: 'no-toolchain', detail, counts: 'never' };
  }
  if (exitCode > distccExit.compilerMissing - 11 && exitCode <= 120) {
    return faultOf(grpcCode.UNKNOWN, `distcc's own status ${exitCode}`);
  }
  if ((response.waitStatus & 0x7f) !== 0) {
    return faultOf(grpcCode.UNKNOWN, `the compiler there ended by signal ${response.waitStatus & 0x7f}`);
  }
  if (exitCode !== 0 && !keepsFailures) return failedThere(response.stderr, exitCode);
  ready.silences.delete(digestKey(understood.toolchain.digest));
  const blobs = new Map<DigestKey, Buffer>();
  const outputFiles = filesIn(understood, { prepared, answered }).map(({ path, content }) => {
    const digest = digestOf(content);
    blobs.set(digestKey(digest), content);
    return { ...OutputFile.decode(Buffer.alloc(0)), path: rootRelative(path), digest };
  });
  const [begin, end] = [stamp(0), stamp(waitMs)];
  const result: ActionResult = {
    ...ActionResult.decode(Buffer.alloc(0)),
    exitCode,
    outputFiles: exitCode === 0 ? outputFiles : [],
    stdoutRaw: response.stdout,
    stderrRaw: Buffer.concat([prepared.stderr, withoutTemporary(response.stderr, prepared)]),
    executionMetadata: {
      ...ExecutedActionMetadata.decode(Buffer.alloc(0)),
      queuedTimestamp: begin,
      executionStartTimestamp: begin,
      executionCompletedTimestamp: end,
      workerCompletedTimestamp: end,
    },
  };
  const transfer = { bytes: sentBytes, ms: sendMs };
  return {
    kind: 'done',
    result,
    cached: false,
    blobs,
    usage: undefined,
    client: undefined,
    action: undefined,
    transfer,
    madeHere: prepared.version === 3 ? undefined : 'dependencies',
  };
}

function filesIn({ outputs, toolchain }: UnderstoodJob, { prepared, answered }: Omit<Back, 'keepsFailures'>) {
  const { output, dependencies } = answered.response;
  const [object] = outputs;
  const files = object === undefined ? [] : [{ path: object.target, content: output }];
  const listed = outputs.find(({ kind }) => kind === 'dependencies');
  // Otherwise preprocessing has written them, here.
  if (prepared.version === 3 && listed !== undefined) {
    const content = toolchain.family === 'gcc' ? rewrapped(dependencies) : dependencies;
    files.push({ path: listed.target, content });
  }
  return files;
}

/** Stock distccd leaves the name of its temporary directory before the absolute names of what it was sent. */
function withoutTemporary(stderr: Buffer, { version }: Prepared): Buffer {
  if (version !== 3 || !stderr.includes('/distccd_')) return stderr;
  return Buffer.from(stderr.toString('latin1').replaceAll(/\/[^\s:'"]*?\/distccd_[A-Za-z0-9]{6}(?=\/)/g, ''), 'latin1');
}
