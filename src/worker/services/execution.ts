// Execution: Execute and WaitExecution. Each answers with a stream of the operation's states; the last one is done and
// holds an ExecuteResponse. A job that ends soon has that one message alone.
import { digestKey, type Digest } from '../../reapi/digest.ts';
import { GrpcError, grpcCode, statusOf } from '../../reapi/errors.ts';
import { inlineHeader } from '../../reapi/execute-call.ts';
import { Operation as OperationMessage } from '../../reapi/gen/longrunning.ts';
import {
  DigestFunction_Value,
  ExecuteOperationMetadata,
  ExecuteRequest,
  ExecuteResponse,
  ExecutionStage_Value,
  WaitExecutionRequest,
} from '../../reapi/gen/remote_execution.ts';
import { ExecuteRequest as ShoalExecuteRequest } from '../../reapi/gen/shoal.ts';
import { baseOf, unpackInputs } from '../../reapi/inline-inputs.ts';
import {
  bothStream,
  maxReceiveBytes,
  serverStream,
  type CallContext,
  type Handler,
  type Send,
} from '../../reapi/server.ts';
import type { AuditEvent } from '../../observe/audit-log.ts';
import type { BlobStore } from '../../store/blob-store.ts';
import { clientOf, type Peer } from '../../trust/peer.ts';
import { understandAction, type UnderstoodAction } from '../actions/action-input.ts';
import { runAction, type ActionEnd, type ActionRequest, type ActionWorld } from '../actions/action.ts';
import type { Client, Clients } from './clients.ts';
import { jobResult } from '../actions/job-record.ts';
import { checkedCommand, commandsFor, type Commands, type CommandWorld } from '../actions/commands.ts';
import type { Operation, Operations, OperationState } from '../actions/operations.ts';
import { packedFor, type Wanted } from './result-transport.ts';
import { withoutIdling, type Uploads } from './uploads.ts';
import { checkDigestFunction, checkedDigest, grpcErrorFrom, invalid, servicePrefix } from './checks.ts';

export type ExecutionWorld = {
  readonly action: ActionWorld;
  readonly operations: Operations;
  readonly uploads: Uploads;
  /** Without it, what a peer may run goes by who it is. */
  readonly commands: Commands | undefined;
  readonly commandWorld: CommandWorld;
  readonly clients: Clients;
  readonly audit: (event: AuditEvent) => void;
};

// Most compiles end sooner, and then one message says all: another costs 0.3 ms of CPU.
const firstWordMs = 2000;
const metadataUrl = 'type.googleapis.com/build.bazel.remote.execution.v2.ExecuteOperationMetadata';
const responseUrl = 'type.googleapis.com/build.bazel.remote.execution.v2.ExecuteResponse';

const path = (method: string): string => `${servicePrefix}.Execution/${method}`;

export function executionService(world: ExecutionWorld): readonly Handler[] {
  return [
    serverStream(
      { path: path('Execute'), request: ExecuteRequest, response: OperationMessage },
      (request, context, send) => executeRequest(world, request, { context, send }),
    ),
    // A call with one request, taken as a stream like BatchUpdateBlobs: an Execute that comes behind it and needs the same
    // Directories knows that they are on their way.
    bothStream(
      { path: '/shoal.v1.Execution/Execute', request: ShoalExecuteRequest, response: OperationMessage },
      async (requests, context, send) => {
        const { store } = world.clients.of(context.peer);
        const inputs = await takenInputs(world, { store, client: clientOf(context.peer) }, requests);
        return executeRequest(world, inputs, { context, send });
      },
    ),
    serverStream(
      { path: path('WaitExecution'), request: WaitExecutionRequest, response: OperationMessage },
      async ({ name }, context, send) => {
        const operation = world.operations.find(name);
        if (operation === undefined) throw new GrpcError(grpcCode.NOT_FOUND, 'no such operation is known');
        const shoal = context.header(inlineHeader) === 'zstd';
        const wanted = { inlineStdout: shoal, inlineStderr: shoal, inlineOutputFiles: [], shoal };
        await send(stateMessage(operation));
        await follow(world, operation, { context, send, wanted });
      },
    ),
  ];
}

type Caller = { readonly context: CallContext; readonly send: Send<OperationMessage> };

async function executeRequest(world: ExecutionWorld, request: ExecuteRequest, caller: Caller): Promise<void> {
  checkDigestFunction(request.digestFunction);
  const digest = checkedDigest(request.actionDigest, 'the action');
  const wanted = { ...request, shoal: caller.context.header(inlineHeader) === 'zstd' };
  const { peer, signal } = caller.context;
  const action = await understoodFor(world, peer, digest);
  const { skipCacheLookup } = request;
  let began = false;
  const operation = startOperation(world, { action, skipCacheLookup, client: clientOf(peer) }, () => (began = true));
  try {
    await follow(world, operation, { ...caller, wanted });
  } finally {
    const result = jobResult(operation.state(), { began, left: signal.aborted });
    world.audit({ event: 'job', peer, action: digest.hash, toolchain: action.toolchain?.hash, result });
  }
}

const notedCodes: ReadonlySet<number> = new Set([grpcCode.INVALID_ARGUMENT, grpcCode.PERMISSION_DENIED]);

/** An action that makes no sense, or may not run here, is noted; one that lacks blobs is an ordinary beginning. */
async function understoodFor(world: ExecutionWorld, peer: Peer, digest: Digest): Promise<UnderstoodAction> {
  try {
    const action = await understood(world, world.clients.of(peer), { digest, client: clientOf(peer) });
    return checkedCommand(world.commandWorld, commandsFor(world.commands, peer), action);
  } catch (error) {
    if (error instanceof GrpcError && notedCodes.has(error.code)) {
      world.audit({ event: 'refused', peer, call: 'Execute', why: error.message });
    }
    throw error;
  }
}

/**
 * Puts what the call brings into the store, and gives the request that it is for. Calls of one connection can overtake
 * each other, so one whose splices rest on what is not here waits for the uploads that had begun before it.
 */
async function takenInputs(
  { uploads }: ExecutionWorld,
  { store, client }: { readonly store: BlobStore; readonly client: string },
  requests: AsyncIterable<ShoalExecuteRequest>,
): Promise<ExecuteRequest> {
  const before = uploads.begun(client);
  return uploads.run(client, maxReceiveBytes, async () => {
    for await (const request of withoutIdling(requests)) {
      const { execute } = request;
      if (execute === undefined) break;
      if (before !== undefined && store.missing(request.spliced.flatMap(baseOf)).length > 0) await before();
      try {
        for (const { digest, bytes } of unpackInputs(request, store.readNow)) {
          store.write(checkedDigest(digest, 'an input'), bytes);
        }
      } catch (error) {
        throw grpcErrorFrom(error);
      }
      return execute;
    }
    throw invalid('the request is empty');
  });
}

/** Waits for uploads that began before, where something is missing. */
async function afterUploads<T>(uploads: Uploads, client: string, attempt: () => T | Promise<T>): Promise<T> {
  const begun = uploads.begun(client);
  try {
    return await attempt();
  } catch (error) {
    if (begun === undefined || !(error instanceof GrpcError) || error.code !== grpcCode.FAILED_PRECONDITION)
      throw error;
    await begun();
    return attempt();
  }
}

/** What fails before there is an operation ends the call itself. */
async function understood(
  { uploads }: ExecutionWorld,
  { store, checkTree }: Client,
  { digest, client }: { readonly digest: Digest; readonly client: string },
): Promise<UnderstoodAction> {
  return afterUploads(uploads, client, () => {
    const action = understandAction(store, digest);
    checkTree(action.inputRoot);
    return action;
  });
}

type Start = Pick<ActionRequest, 'action' | 'skipCacheLookup' | 'client'>;

function startOperation(world: ExecutionWorld, start: Start, begins: () => void): Operation {
  const { action, skipCacheLookup } = start;
  return world.operations.start({
    actionDigest: action.digest,
    merge: !skipCacheLookup && !action.doNotCache,
    run: (options) => {
      begins();
      return afterUploads(world.uploads, start.client, () => runAction(world.action, { ...start, ...options }));
    },
  });
}

type Follower = Caller & { readonly wanted: Wanted };

/** Sends the operation's states until it has ended, or the client has. */
async function follow(
  { action: { store }, clients }: ExecutionWorld,
  operation: Operation,
  { context, send, wanted }: Follower,
): Promise<void> {
  const leave = operation.wait();
  const { signal } = context;
  signal.addEventListener('abort', leave, { once: true });
  const tell = (): void => {
    const { kind } = operation.state();
    if (kind === 'queued' || kind === 'running') send(stateMessage(operation)).catch(() => undefined);
  };
  let forget = (): void => undefined;
  const timer = setTimeout(() => {
    tell();
    forget = operation.onChange(tell);
  }, firstWordMs);
  try {
    await operation.ended;
    const state = operation.state();
    if (state.kind === 'done') clients.of(context.peer).give(state.end.result);
    if (!signal.aborted) await send(doneMessage(store, operation, wanted));
  } finally {
    clearTimeout(timer);
    forget();
    signal.removeEventListener('abort', leave);
    leave();
  }
}

const stages: Readonly<Record<OperationState['kind'], ExecutionStage_Value>> = {
  queued: ExecutionStage_Value.QUEUED,
  running: ExecutionStage_Value.EXECUTING,
  done: ExecutionStage_Value.COMPLETED,
  failed: ExecutionStage_Value.COMPLETED,
};

function stateMessage({ name, actionDigest, state }: Operation): OperationMessage {
  const metadata = ExecuteOperationMetadata.encode({
    stage: stages[state().kind],
    actionDigest,
    stdoutStreamName: '',
    stderrStreamName: '',
    partialExecutionMetadata: undefined,
    digestFunction: DigestFunction_Value.SHA256,
  }).finish();
  return { name, metadata: { typeUrl: metadataUrl, value: Buffer.from(metadata) }, done: false };
}

function doneMessage(store: BlobStore, operation: Operation, wanted: Wanted): OperationMessage {
  const value = Buffer.from(ExecuteResponse.encode(responseOf(store, operation.state(), wanted)).finish());
  return { ...stateMessage(operation), done: true, response: { typeUrl: responseUrl, value } };
}

function responseOf(store: BlobStore, state: OperationState, wanted: Wanted): ExecuteResponse {
  const base = { result: undefined, cachedResult: false, status: undefined, serverLogs: {}, message: '' };
  if (state.kind === 'failed') return { ...base, status: statusOf(grpcErrorFrom(state.error)) };
  if (state.kind !== 'done')
    return { ...base, status: statusOf(new GrpcError(grpcCode.INTERNAL, 'the run has not ended')) };
  const { end } = state;
  return { ...base, result: packedFor(wanted, end.result, reader(store, end)), cachedResult: end.cached };
}

function reader(store: BlobStore, { fresh }: ActionEnd): (digest: Digest) => Buffer | undefined {
  return (digest) => fresh.get(digestKey(digest)) ?? store.readNow(digest);
}
