// A simulated host as the client meets it: the calls of a ReapiClient over a simulated line.
import type { ExecuteOutcome, ReapiClient } from '../../src/reapi/client.ts';
import { digestKey, type Digest } from '../../src/reapi/digest.ts';
import { GrpcError } from '../../src/reapi/errors.ts';
import { lastsUntil } from './faults.ts';
import { abandon, cancel, execute, isAway, readBlob, type SimulatedHost } from './host.ts';
import { newLink, unavailable, type Call } from './link.ts';

// As the real client's.
const connectTimeoutMs = 3000;
const askDeadlineMs = 15_000;
const transferDeadlineMs = 120_000;

export function connectTo(host: SimulatedHost): ReapiClient {
  const { plan, clock } = host;
  const silentUntil = (): number | undefined => lastsUntil(plan.faults, 'silent', clock.nowMs());
  const link = newLink(clock, { latencyMs: plan.latencyMs, bytesPerMs: plan.bytesPerMs, silentUntil });
  host.links.add(link);
  link.onEnd(() => abandon(host, link));

  /** The client hears what `find` gives, of that size, or its error. */
  const ask = <T>(sizeBytes: number, find: () => readonly [sizeBytes: number, value: T], deadlineMs: number) =>
    link.call<T>(sizeBytes, (call) => attempt(call, () => call.answer(...find())), { deadlineMs });

  const ready = async (): Promise<void> => {
    const isThere = !isAway(host);
    await new Promise<void>((resolve) => clock.after(2 * plan.latencyMs, resolve));
    if (!isThere) throw unavailable('the connection was refused');
    await ask(200, () => [200, undefined], connectTimeoutMs).catch(() => {
      throw unavailable(`no answer within ${connectTimeoutMs} ms`);
    });
    host.diary.connected += 1;
  };

  const client: ReapiClient = {
    ready,
    toolchains: () => {
      const toolchains = [{ digest: host.toolchain, driver: 'gcc', version: '12' }];
      const { slots, isShoal, memoryKb = 0 } = plan;
      return ask(100, () => [200, { toolchains, slots, memoryKb, isShoal }], askDeadlineMs);
    },
    findMissing: (digests) => {
      const find = (): Digest[] => digests.filter((digest) => !host.store.blobs.has(digestKey(digest)));
      return ask(72 * digests.length, () => [72 * digests.length, find()], askDeadlineMs);
    },
    upload: async (blobs) => {
      const sizeBytes = blobs.reduce((sum, { bytes }) => sum + bytes.length, 0);
      const kept = (): readonly [number, undefined] => {
        keep(host, blobs);
        return [100, undefined];
      };
      await ask(sizeBytes, kept, transferDeadlineMs);
    },
    read: (digest) => ask(100, () => [digest.sizeBytes, readBlob(host, digest)], transferDeadlineMs),
    execute: async (request, { signal, deadlineMs }) => {
      const { inputs = [] } = request;
      const sizeBytes = inputs.reduce((sum, { bytes }) => sum + bytes.length, 300);
      let arrived: Call<ExecuteOutcome> | undefined;
      const serve = (call: Call<ExecuteOutcome>): void => {
        arrived = call;
        execute(host, request, { call, link });
      };
      const onCancel = (): void => {
        if (arrived !== undefined) cancel(host, arrived);
      };
      try {
        return await link.call(sizeBytes, serve, { deadlineMs, onCancel, ...(signal === undefined ? {} : { signal }) });
      } catch (error) {
        if (!(error instanceof GrpcError)) throw error;
        return { kind: 'failed', code: error.code, message: error.message };
      }
    },
    metered: () => client,
    onClose: link.onEnd,
    bytes: () => link.bytes,
    close: () => link.end(unavailable('the connection was closed')),
    closeWhenIdle: link.endWhenIdle,
  };
  return client;
}

function attempt(call: Pick<Call<never>, 'fail'>, serve: () => void): void {
  try {
    serve();
  } catch (error) {
    if (!(error instanceof GrpcError)) throw error;
    call.fail(error);
  }
}

function keep(
  { store }: SimulatedHost,
  blobs: readonly { readonly digest: Digest; readonly bytes: Uint8Array }[],
): void {
  for (const { digest, bytes } of blobs) store.blobs.set(digestKey(digest), bytes as Buffer);
}
