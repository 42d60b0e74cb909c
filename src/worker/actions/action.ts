// One action's way through the worker, top to bottom. Every step either goes on or throws a GrpcError: what the sandbox
// or this box could not do is an error of the execution, never a result, so that nobody takes it for the user's.
//
//   1 understand   the Action and its Command
//   2 look up      a result that is known already
//   3 toolchain    its directory, laid out at first use
//   4 tree         the input root, as layers and a small difference
//   5 run          on a free slot, in the sandbox
//   6 store        the outputs
//   7 answer       the result, kept for the next who asks
import type { Digest, DigestKey } from '../../reapi/digest.ts';
import { GrpcError, grpcCode } from '../../reapi/errors.ts';
import { jobUsageUrl } from '../../reapi/execute-call.ts';
import type { ActionResult, ExecutedActionMetadata } from '../../reapi/gen/remote_execution.ts';
import type { Timestamp } from '../../reapi/gen/google/protobuf/timestamp.ts';
import { JobUsage } from '../../reapi/gen/shoal.ts';
import type { ActionCache } from '../../store/action-cache.ts';
import type { BlobStore } from '../../store/blob-store.ts';
import { namedByCommand, type UnderstoodAction } from './action-input.ts';
import { rememberingPut, storeOutputs } from './outputs.ts';
import { madeDirectories, sandboxJob } from './sandbox-job.ts';
import type { SandboxResult, Trouble } from '../sandbox/sandbox.ts';
import type { SlotPool } from '../sandbox/slots.ts';
import type { WorkerToolchains } from '../toolchains/toolchains.ts';
import type { Trees } from '../trees/trees.ts';
import type { Lower } from '../trees/whole-directories.ts';

export type ActionWorld = {
  readonly name: string;
  readonly stateDir: string;
  readonly store: BlobStore;
  readonly results: ActionCache;
  readonly trees: Trees;
  readonly toolchains: WorkerToolchains;
  readonly slots: SlotPool;
  /** The time of day, in milliseconds. */
  readonly now: () => number;
};

export type ActionRequest = {
  readonly action: UnderstoodAction;
  readonly skipCacheLookup: boolean;
  /** Who asked first; clients take turns. */
  readonly client: string;
  readonly signal: AbortSignal;
  readonly onStart: () => void;
};

export type ActionEnd = {
  readonly result: ActionResult;
  readonly cached: boolean;
  /** Blobs of the result that are in memory anyway. */
  readonly fresh: ReadonlyMap<DigestKey, Buffer>;
};

export async function runAction(world: ActionWorld, request: ActionRequest): Promise<ActionEnd> {
  const { action, signal } = request;
  const known = request.skipCacheLookup || action.doNotCache ? undefined : world.results.get(action.digest);
  if (known !== undefined) return { result: known, cached: true, fresh: new Map() };

  const times: Times = { queued: world.now() };
  const toolchain = await toolchainLayer(world, action);
  const tree = await world.trees.prepare({
    root: action.inputRoot,
    isOwn: namedByCommand(action),
    made: madeDirectories(action),
    toolchainDir: toolchain?.path,
  });
  try {
    times.prepared = world.now();
    const job = sandboxJob(world, action, { tree, toolchain });
    const onStart = (): void => {
      times.started = world.now();
      request.onStart();
    };
    const ran = await world.slots.run(job, { client: request.client, signal, onStart });
    times.ended = world.now();
    if (action.toolchain !== undefined && !isPlainSuccess(ran)) world.toolchains.recheck();
    return finish(world, request, { ran, times });
  } finally {
    tree.release();
  }
}

type Times = { readonly queued: number; prepared?: number; started?: number; ended?: number };

async function toolchainLayer(world: ActionWorld, { toolchain }: UnderstoodAction): Promise<Lower | undefined> {
  if (toolchain === undefined) return undefined;
  const path = await world.toolchains.directory(toolchain);
  const directories = world.toolchains.counted(toolchain);
  if (path === undefined || directories === undefined) {
    throw new GrpcError(grpcCode.FAILED_PRECONDITION, `this worker does not have the toolchain ${toolchain.hash}`);
  }
  return { path, directories };
}

function isPlainSuccess(ran: SandboxResult): boolean {
  return ran.kind === 'ran' && ran.waitStatus === 0 && ran.trouble.length === 0;
}

const troubleCodes: Readonly<Record<Trouble, number>> = {
  deadline: grpcCode.DEADLINE_EXCEEDED,
  'disk-full': grpcCode.RESOURCE_EXHAUSTED,
  'output-limit': grpcCode.RESOURCE_EXHAUSTED,
  memory: grpcCode.RESOURCE_EXHAUSTED,
  signal: grpcCode.INTERNAL,
};

type Ran = Extract<SandboxResult, { readonly kind: 'ran' }>;

/** @throws GrpcError unless the command ran and ended by itself. */
function ranOrThrow(ran: SandboxResult): Ran {
  if (ran.kind === 'cancelled') throw new GrpcError(grpcCode.CANCELLED, 'nobody waits for this job any more');
  if (ran.kind === 'failed') {
    const code = ran.trouble === undefined ? grpcCode.INTERNAL : troubleCodes[ran.trouble];
    throw new GrpcError(code, `the sandbox failed: ${ran.why}`);
  }
  const [trouble] = ran.trouble;
  if (trouble !== undefined) {
    throw new GrpcError(troubleCodes[trouble], `the job met a bound of this worker: ${ran.trouble.join(', ')}`);
  }
  return ran;
}

function finish(
  world: ActionWorld,
  { action, client }: ActionRequest,
  run: { readonly ran: SandboxResult; readonly times: Times },
): ActionEnd {
  const ran = ranOrThrow(run.ran);
  const fresh = new Map<DigestKey, Buffer>();
  const put = rememberingPut(world.store, client, fresh);
  const streamDigest = (bytes: Buffer): Digest | undefined => (bytes.length === 0 ? undefined : put(bytes));
  const result: ActionResult = {
    ...storeOutputs(action, ran.outputs, put),
    exitCode: exitCodeOf(ran.waitStatus),
    stdoutRaw: noBytes,
    stdoutDigest: streamDigest(ran.stdout),
    stderrRaw: noBytes,
    stderrDigest: streamDigest(ran.stderr),
    executionMetadata: metadataOf(world, ran, run.times),
  };
  // A failure may be this box's after all; it is compiled again rather than kept.
  if (result.exitCode === 0 && !action.doNotCache) world.results.put(action.digest, result);
  return { result, cached: false, fresh };
}

const noBytes = Buffer.alloc(0);

/** As a shell has it: 128 and the signal's number for a command that a signal ended. */
function exitCodeOf(waitStatus: number): number {
  const signal = waitStatus & 0x7f;
  return signal === 0 ? (waitStatus >> 8) & 0xff : 128 + signal;
}

function timestamp(ms: number | undefined): Timestamp | undefined {
  if (ms === undefined) return undefined;
  const seconds = Math.floor(ms / 1000);
  return { seconds, nanos: Math.floor((ms - seconds * 1000) * 1e6) };
}

function metadataOf(world: ActionWorld, { usage }: Ran, times: Times): ExecutedActionMetadata {
  const value = Buffer.from(JobUsage.encode(usage).finish());
  const completed = timestamp(world.now());
  return {
    worker: world.name,
    queuedTimestamp: timestamp(times.queued),
    workerStartTimestamp: timestamp(times.queued),
    inputFetchStartTimestamp: timestamp(times.queued),
    inputFetchCompletedTimestamp: timestamp(times.prepared),
    executionStartTimestamp: timestamp(times.started),
    executionCompletedTimestamp: timestamp(times.ended),
    outputUploadStartTimestamp: timestamp(times.ended),
    outputUploadCompletedTimestamp: completed,
    workerCompletedTimestamp: completed,
    virtualExecutionDuration: { seconds: Math.floor(usage.wallUs / 1e6), nanos: (usage.wallUs % 1e6) * 1000 },
    auxiliaryMetadata: [{ typeUrl: jobUsageUrl, value }],
  };
}
