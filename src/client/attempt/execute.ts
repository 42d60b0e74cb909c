// One action on one host: sends what the host lacks, executes, and mends a loss of blobs once.
import { forgetAll, type NativeReady } from '../../farm/host.ts';
import { newSharedUpload } from '../../farm/shared-upload.ts';
import { FileChangedError } from '../../includes/types.ts';
import type { Clock } from '../../observe/clock.ts';
import { digestKey, type Digest } from '../../reapi/digest.ts';
import { grpcCode } from '../../reapi/errors.ts';
import type { ExecuteOutcome, ReapiClient } from '../../reapi/client.ts';
import type { Traffic } from '../../reapi/traffic.ts';
import { maxInlineInputBytes, type InlineInput } from '../../reapi/inline-inputs.ts';
import { blobsMissing, type TreeBlob } from '../plan/input-tree.ts';
import type { PlannedAction } from '../plan/action.ts';
import type { DoneOutcome, ExecuteEnd, Transfer } from './end.ts';
import { busyFault, faultIn, faultOf } from './faults.ts';

// Past this many unknown blobs it pays to ask first: 40 digests are 3 KB, and a host that served an earlier build has
// most of them.
const askFromBlobs = 40;
// As much as goes along with Execute, or right before it; more is asked for and waited for.
const mostUnaskedBytes = maxInlineInputBytes;
// Fits into one message with others, so that its upload begins with the call that makes it.
const largestAtOnceBytes = 3 << 20;
// A worker that says neither progress nor result for this long has lost the job.
const executeDeadlineMs = 10 * 60_000;
const mostMends = 2;

export type Execution = {
  /** Undefined for jobs that no worker can be given. */
  readonly action: PlannedAction | undefined;
  /** An action that had the same result to give, if one is remembered. */
  readonly earlier: Digest | undefined;
  readonly signal: AbortSignal;
  readonly resultCache: boolean;
  readonly clock: Clock;
  readonly traffic: Traffic;
};

/** One with the client that counts what it sends and receives. */
type Running = Execution & { readonly client: ReapiClient; readonly action: PlannedAction };

const noTransfer: Transfer = { bytes: 0, ms: 0 };

type Missing = ReturnType<typeof blobsMissing>;

/** With their bytes. @throws FileChangedError if those of one are gone. */
function load(blobs: readonly TreeBlob[]) {
  return blobs.map(({ digest, bytes, place }) => ({ digest, bytes: bytes(), place }));
}

function missingOn({ holds }: NativeReady, action: PlannedAction): Missing {
  const has = (digest: Digest): boolean => holds.blobs.has(digestKey(digest));
  const missing = blobsMissing(action.root, { has, filled: holds.filled });
  for (const blob of action.blobs) if (!has(blob.digest)) missing.blobs.push(blob);
  return missing;
}

// Bases are kept in memory: 64 KB are a Directory of 600 files, 5 KB an average one. More places begin anew.
const mostPlaces = 2000;
const largestBaseBytes = 64 << 10;

function noteHeld(ready: NativeReady, { blobs, nowFilled }: Missing): void {
  const { holds } = ready;
  for (const { digest } of blobs) {
    holds.blobs.add(digestKey(digest));
    ready.heldBytes += digest.sizeBytes;
  }
  for (const directory of nowFilled) holds.filled.add(directory);
}

/** The blobs to go along with the call, each with its likeness that the host was sent before. */
function inputsFor(ready: NativeReady, missing: Missing): readonly InlineInput[] {
  const { latest } = ready.holds;
  if (latest.size > mostPlaces) latest.clear();
  // All are loaded before anything is noted.
  const inputs = load(missing.blobs).map(({ digest, bytes, place }): InlineInput => {
    const base = place === undefined ? undefined : latest.get(place);
    if (place !== undefined && bytes.length <= largestBaseBytes) latest.set(place, { digest, bytes });
    return { digest, bytes, base };
  });
  noteHeld(ready, missing);
  return inputs;
}

/**
 * Uploads what the host, asked first, does not hold. Jobs that come meanwhile wait until they can rely on it: for a worker
 * of shoal's, which waits itself for what has begun to come before a call, until all is on its way; that saves a round trip.
 */
async function sendMany(
  ready: NativeReady,
  missing: Missing,
  { client, clock, signal }: Running,
): Promise<Sent['transfer']> {
  noteHeld(ready, missing);
  let transfer = noTransfer;
  const shared = newSharedUpload();
  shared.join(signal);
  ready.uploads.add(shared);
  const over = (): void => {
    ready.uploads.delete(shared);
    shared.end();
  };
  const upload = async (): Promise<void> => {
    const digests = missing.blobs.map((blob) => blob.digest);
    const absent = new Set((await client.findMissing(digests)).map(digestKey));
    const blobs = missing.blobs.filter((blob) => absent.has(digestKey(blob.digest)));
    if (blobs.length === 0) {
      over();
      return;
    }
    const startedMs = clock.nowMs();
    const ended = client
      .upload(load(blobs), shared.signal)
      .then(() => {
        transfer = { bytes: sizeOf(blobs), ms: clock.nowMs() - startedMs };
      })
      .finally(over);
    // A failure shows in Execute's answer: the blobs are missing there.
    if (ready.takesInputs && blobs.every(beginsAtOnce)) ended.catch(() => forgetAll(ready));
    else await ended;
  };
  const before = ready.bulkUpload;
  const done = upload().catch((error: unknown) => {
    over();
    forgetAll(ready);
    throw error;
  });
  ready.bulkUpload = Promise.allSettled([before, done]).then(() => undefined);
  await before;
  await done;
  return () => transfer;
}

/** Larger ones are sent one after the other. */
const beginsAtOnce = ({ digest }: TreeBlob): boolean => digest.sizeBytes <= largestAtOnceBytes;

const sizeOf = (blobs: readonly TreeBlob[]): number => blobs.reduce((sum, { digest }) => sum + digest.sizeBytes, 0);

/** Sends a few blobs and does not wait for the answer: Execute follows on the same connection and finds them. */
function sendFew(ready: NativeReady, missing: Missing, { client }: Running): void {
  const blobs = load(missing.blobs);
  noteHeld(ready, missing);
  // A failure shows in Execute's answer: the blobs are missing there.
  client.upload(blobs).catch(() => forgetAll(ready));
}

type Sent = {
  readonly inputs: readonly InlineInput[];
  /** As far as it has ended. */
  readonly transfer: () => Transfer;
};

/** Sees to it that the host will hold all of the action; gives what is to go along with the call that executes it. */
async function send(ready: NativeReady, job: Running): Promise<Sent> {
  const { action, signal } = job;
  for (const upload of ready.uploads) upload.join(signal);
  const missing = missingOn(ready, action);
  const { blobs } = missing;
  if (blobs.length >= askFromBlobs || sizeOf(blobs) >= mostUnaskedBytes) {
    return { inputs: [], transfer: await sendMany(ready, missing, job) };
  }
  const inputs = ready.takesInputs ? inputsFor(ready, missing) : [];
  if (!ready.takesInputs && blobs.length > 0) sendFew(ready, missing, job);
  await ready.bulkUpload;
  return { inputs, transfer: () => noTransfer };
}

function executeFailure(error: unknown): ExecuteEnd {
  if (error instanceof FileChangedError) return { kind: 'job-fault', reason: 'file-changed', detail: error.path };
  return faultIn(error) ?? { kind: 'job-fault', reason: 'client-failed', detail: (error as Error).message };
}

type Call = { readonly digest: Digest; readonly inputs: readonly InlineInput[] };

function call(job: Running, { digest, inputs }: Call): Promise<ExecuteOutcome> {
  const { client, resultCache, action, signal } = job;
  return client.execute(
    { actionDigest: digest, skipCacheLookup: !resultCache, inlineOutputs: action.outputPaths, inputs },
    { signal, deadlineMs: executeDeadlineMs },
  );
}

/** The remembered action's result, for which nothing has to be sent; undefined if the host has it no more. */
async function recalled(job: Running): Promise<DoneOutcome | undefined> {
  const { earlier } = job;
  if (earlier === undefined) return undefined;
  const outcome = await call(job, { digest: earlier, inputs: [] });
  return outcome.kind === 'done'
    ? { ...outcome, client: job.client, action: earlier, transfer: noTransfer }
    : undefined;
}

export async function executeOn(ready: NativeReady, execution: Execution): Promise<ExecuteEnd> {
  const { action, traffic } = execution;
  if (action === undefined) return { kind: 'job-fault', reason: 'client-failed', detail: 'a job without an action' };
  const job: Running = { ...execution, action, client: ready.client.metered(traffic) };
  try {
    const before = await recalled(job);
    if (before !== undefined) return before;
    const { digest } = job.action;
    for (let mends = 0; ; mends += 1) {
      const { inputs, transfer } = await send(ready, job);
      const outcome = await call(job, { digest, inputs });
      if (outcome.kind === 'done') {
        return { ...outcome, client: job.client, action: digest, transfer: transfer() };
      }
      // What went along may not have arrived, and the host may have dropped more than it names: all is asked for again.
      if (inputs.length > 0 || outcome.kind === 'missing') forgetAll(ready);
      if (outcome.kind === 'failed' && !(outcome.code === grpcCode.UNIMPLEMENTED && inputs.length > 0))
        return outcome.busy === true ? busyFault(outcome.message) : faultOf(outcome.code, outcome.message);
      // A worker of another version: it gets its inputs before the call, as any server of the protocol does.
      if (outcome.kind === 'failed') ready.takesInputs = false;
      if (mends === mostMends) return faultOf(grpcCode.NOT_FOUND, 'the host loses blobs');
    }
  } catch (error) {
    return executeFailure(error);
  }
}
