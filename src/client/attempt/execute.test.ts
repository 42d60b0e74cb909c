import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as tick } from 'node:timers/promises';
import type { NativeReady } from '../../farm/host.ts';
import { realClock } from '../../observe/clock.ts';
import { digestOf } from '../../reapi/digest.ts';
import { GrpcError, grpcCode } from '../../reapi/errors.ts';
import type { ReapiClient } from '../../reapi/client.ts';
import { ActionResult } from '../../reapi/gen/remote_execution.ts';
import type { PlannedAction } from '../plan/action.ts';
import { executeOn } from './execute.ts';
import { addToLayer, newLayer, rootFor } from '../plan/input-tree.ts';
import type { FileEntry } from '../../includes/types.ts';

function file(id: number): FileEntry {
  const bytes = Buffer.from(`file ${id}`);
  const digest = digestOf(bytes);
  const about = { sizeBytes: bytes.length, executable: false, mtimeNs: 1n };
  return { kind: 'file', id, path: `/d/${id}.h`, digest, ...about, bytes: () => bytes };
}

/** An action with more new files than are sent unasked. */
function largeAction(): PlannedAction {
  const layer = newLayer();
  addToLayer(
    layer,
    Array.from({ length: 100 }, (_, id) => file(id)),
  );
  const digest = digestOf(Buffer.from('action'));
  return { digest, command: digest, root: rootFor(layer, file(1000)), blobs: [], outputPaths: [] };
}

/** A host that lacks everything; the order of what it is asked, and when its uploads end. */
function hostThatLacksAll(takesInputs: boolean) {
  const calls: string[] = [];
  let endUpload = (): void => undefined;
  const client = {
    metered: () => client,
    findMissing: async (digests: readonly unknown[]) => [...digests],
    upload: async (_blobs: unknown, signal: AbortSignal) => {
      calls.push('upload');
      await new Promise<void>((resolve, reject) => {
        endUpload = resolve;
        signal.addEventListener('abort', () => reject(new GrpcError(grpcCode.CANCELLED, 'cancelled')));
      }).catch((error: unknown) => {
        calls.push('cancelled');
        throw error;
      });
      calls.push('uploaded');
    },
    execute: async () => {
      calls.push('execute');
      return { kind: 'done', result: ActionResult.decode(Buffer.alloc(0)), cached: false, blobs: new Map() };
    },
  } as unknown as ReapiClient;
  const holds = { blobs: new Set<never>(), filled: new WeakSet(), latest: new Map<string, never>() };
  const ready: NativeReady = {
    kind: 'ready',
    speaks: 'reapi',
    client,
    toolchains: new Set(),
    slots: 1,
    memoryKb: 0,
    takesInputs,
    holds,
    heldBytes: 0,
    bulkUpload: Promise.resolve(),
    uploads: new Set(),
  };
  return { ready, calls, endUpload: () => endUpload() };
}

async function callsOf(takesInputs: boolean): Promise<readonly string[]> {
  const { ready, calls, endUpload } = hostThatLacksAll(takesInputs);
  const { signal } = new AbortController();
  const job = {
    action: largeAction(),
    earlier: undefined,
    signal,
    resultCache: true,
    clock: realClock,
    traffic: { sent: 0, received: 0 },
  };
  const ended = executeOn(ready, job);
  for (let turn = 0; turn < 5; turn += 1) await tick();
  endUpload();
  assert.equal((await ended).kind, 'done');
  await tick();
  return calls;
}

test('a worker of shoal’s is called while what the job needs is still on its way, another host when it has come', async () => {
  assert.deepEqual(await callsOf(true), ['upload', 'execute', 'uploaded']);
  assert.deepEqual(await callsOf(false), ['upload', 'uploaded', 'execute']);
});

test('an upload ends when all jobs that rest on it are cancelled, and not with the one that began it', async () => {
  const { ready, calls } = hostThatLacksAll(false);
  const [first, second] = [new AbortController(), new AbortController()];
  const job = {
    action: largeAction(),
    earlier: undefined,
    resultCache: true,
    clock: realClock,
    traffic: { sent: 0, received: 0 },
  };
  const turns = async (): Promise<void> => {
    for (let turn = 0; turn < 5; turn += 1) await tick();
  };
  const ended = [first, second].map(({ signal }) => executeOn(ready, { ...job, signal }));
  await turns();
  assert.deepEqual(calls, ['upload']);
  first.abort();
  await turns();
  assert.deepEqual(calls, ['upload']);
  second.abort();
  await Promise.race(ended);
  await turns();
  assert.ok(calls.includes('cancelled'));
  assert.equal(ready.uploads.size, 0);
});
