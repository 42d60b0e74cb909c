// One action on one host: sends what the host lacks, executes, and mends a loss of blobs once.
import { forget, type Host } from '../farm/host.ts';
import type { ReasonId } from '../observe/reasons.ts';
import { digestKey, type Digest } from '../reapi/digest.ts';
import { grpcCode } from '../reapi/errors.ts';
import type { ExecuteOutcome, ReapiClient } from '../reapi/client.ts';
import { blobsMissing, type TreeBlob } from './input-tree.ts';
import type { PlannedAction } from './action.ts';

// Past this many unknown blobs it pays to ask first: 40 digests are 3 KB, and a host that served an earlier build has
// most of them.
const askFromBlobs = 40;
// Large ones are asked for and waited for; small ones are not: Execute follows on the same connection and finds them.
const awaitFromBytes = 1 << 20;
// A worker that says neither progress nor result for this long has lost the job.
const executeDeadlineMs = 10 * 60_000;
const mostMends = 2;

export type Execution = {
  readonly action: PlannedAction;
  /** An action that had the same result to give, if one is remembered. */
  readonly earlier: Digest | undefined;
  readonly signal: AbortSignal;
  readonly resultCache: boolean;
};

export type DoneOutcome = Extract<ExecuteOutcome, { readonly kind: 'done' }> & {
  readonly client: ReapiClient;
  /** The action that gave this result. */
  readonly action: Digest;
};

export type ExecuteEnd =
  | DoneOutcome
  /** The host could not do it; another may. `disconnect`: it is the connection that failed. */
  | { readonly kind: 'host-fault'; readonly reason: ReasonId; readonly detail: string; readonly disconnect: boolean }
  /** A file changed under us: no host can do this job now. */
  | { readonly kind: 'job-fault'; readonly reason: ReasonId; readonly detail: string };

type Loaded = { readonly digest: Digest; readonly bytes: Buffer };

function load(blobs: readonly TreeBlob[]): readonly Loaded[] {
  return blobs.map(({ digest, bytes }) => ({ digest, bytes: bytes() }));
}

function needed(host: Host, action: PlannedAction): TreeBlob[] {
  const has = (digest: Digest): boolean => host.known.has(digestKey(digest));
  const missing = blobsMissing(action.root, has);
  for (const blob of action.blobs) if (!has(blob.digest)) missing.push(blob);
  return missing;
}

/** Uploads what the host is not known to hold. Resolves when Execute may follow, which need not wait for small ones. */
async function send(host: Host, client: ReapiClient, action: PlannedAction): Promise<void> {
  let missing = needed(host, action);
  if (missing.length === 0) return host.bulkUpload;
  for (const blob of missing) host.known.add(digestKey(blob.digest));
  const sizeBytes = missing.reduce((sum, blob) => sum + blob.digest.sizeBytes, 0);
  const asked = missing.length >= askFromBlobs || sizeBytes >= awaitFromBytes;
  const upload = async (): Promise<void> => {
    if (asked) {
      const absent = new Set((await client.findMissing(missing.map((blob) => blob.digest))).map(digestKey));
      missing = missing.filter((blob) => absent.has(digestKey(blob.digest)));
    }
    if (missing.length > 0) await client.upload(load(missing));
  };
  const done = upload().catch((error: unknown) => {
    forget(
      host,
      missing.map((blob) => blob.digest),
    );
    throw error;
  });
  if (!asked) {
    // A failure shows in Execute's answer: the blobs are missing there.
    done.catch(() => undefined);
    return host.bulkUpload;
  }
  const before = host.bulkUpload;
  host.bulkUpload = Promise.allSettled([before, done]).then(() => undefined);
  await before;
  return done;
}

function executeFailure(error: unknown): ExecuteEnd {
  const { code, message } = error as { readonly code?: unknown; readonly message: string };
  if (code === 'file-changed') return { kind: 'job-fault', reason: 'file-changed', detail: message };
  return { kind: 'host-fault', reason: 'worker-lost', detail: message, disconnect: true };
}

function failed(outcome: Extract<ExecuteOutcome, { readonly kind: 'failed' }>): ExecuteEnd {
  const disconnect = outcome.code === grpcCode.UNAVAILABLE;
  const stalled = outcome.code === grpcCode.DEADLINE_EXCEEDED;
  const reason = disconnect ? 'worker-lost' : stalled ? 'worker-stalled' : 'worker-failed';
  return { kind: 'host-fault', reason, detail: outcome.message, disconnect };
}

function call(client: ReapiClient, job: Execution, actionDigest: Digest): Promise<ExecuteOutcome> {
  return client.execute(
    { actionDigest, skipCacheLookup: !job.resultCache, inlineOutputs: job.action.outputPaths },
    { signal: job.signal, deadlineMs: executeDeadlineMs },
  );
}

/** The remembered action's result, for which nothing has to be sent; undefined if the host has it no more. */
async function recalled(client: ReapiClient, job: Execution): Promise<DoneOutcome | undefined> {
  const { earlier } = job;
  if (earlier === undefined) return undefined;
  const outcome = await call(client, job, earlier);
  return outcome.kind === 'done' ? { ...outcome, client, action: earlier } : undefined;
}

export async function executeOn(host: Host, client: ReapiClient, job: Execution): Promise<ExecuteEnd> {
  try {
    const before = await recalled(client, job);
    if (before !== undefined) return before;
    for (let mends = 0; ; mends += 1) {
      await send(host, client, job.action);
      const outcome = await call(client, job, job.action.digest);
      if (outcome.kind === 'done') return { ...outcome, client, action: job.action.digest };
      if (outcome.kind === 'failed') return failed(outcome);
      if (mends === mostMends) {
        return { kind: 'host-fault', reason: 'missing-blobs', detail: 'the host loses blobs', disconnect: false };
      }
      // The host may have dropped more than it names: everything of this job is asked for again.
      host.known.clear();
    }
  } catch (error) {
    return executeFailure(error);
  }
}
