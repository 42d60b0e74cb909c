import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GrpcError, grpcCode, isBusy } from '../../reapi/errors.ts';
import { newUploads, withoutIdling } from './uploads.ts';

const mib = 1 << 20;
const tick = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** Uploads that begin and end as the test says. */
function stage() {
  const uploads = newUploads();
  const begun: string[] = [];
  const ends = new Map<string, () => void>();
  const send = (client: string, name: string, sizeBytes: number): Promise<void> => {
    return uploads.run(client, sizeBytes, () => {
      begun.push(name);
      return new Promise<void>((resolve) => ends.set(name, resolve));
    });
  };
  const end = async (name: string): Promise<void> => {
    ends.get(name)?.();
    await tick();
  };
  return { uploads, begun, send, end };
}

test('uploads of one client that never end leave another room for its own', async () => {
  const { begun, send } = stage();
  for (let n = 0; n < 40; n += 1) void send('greedy', `greedy ${n}`, 8 * mib);
  await tick();
  assert.equal(begun.length, 3);
  void send('other', 'other', 8 * mib);
  await tick();
  assert.equal(begun.at(-1), 'other');
});

test('what becomes free goes to the client that holds least, not to who asked most', async () => {
  const { begun, send, end } = stage();
  for (let n = 0; n < 40; n += 1) void send('greedy', `greedy ${n}`, 8 * mib);
  for (let n = 0; n < 3; n += 1) void send('other', `other ${n}`, 8 * mib);
  await tick();
  assert.deepEqual(begun, ['greedy 0', 'greedy 1', 'greedy 2', 'other 0']);
  await end('greedy 0');
  await end('other 0');
  await end('greedy 1');
  assert.deepEqual(begun.slice(4), ['other 1', 'greedy 3']);
});

test('who waits for the uploads before its call waits for its own alone', async () => {
  const { uploads, send, end } = stage();
  void send('slow', 'slow', mib);
  assert.equal(uploads.begun('quick'), undefined);
  const wait = uploads.begun('slow');
  assert.ok(wait !== undefined);
  await end('slow');
  await wait();
  assert.equal(uploads.begun('slow'), undefined);
});

test('a client with a thousand uploads waiting is told that it is one too many, and when to come back', async () => {
  const { send, begun } = stage();
  for (let n = 0; n < 1003; n += 1) void send('greedy', `greedy ${n}`, 8 * mib);
  await tick();
  await assert.rejects(send('greedy', 'last', mib), (error) => error instanceof GrpcError && isBusy(error));
  void send('other', 'other', mib);
  await tick();
  assert.ok(begun.includes('other'));
});

test('an upload that drips is ended, one that pauses and then comes is not', async () => {
  const pace = { idleMs: 40, leastBytesPerMs: 100 };
  async function* every(pauseMs: number, bytes: number): AsyncGenerator<number> {
    for (let n = 0; n < 20; n += 1) {
      await new Promise((resolve) => setTimeout(resolve, pauseMs));
      yield bytes;
    }
  }
  const taken = async (requests: AsyncGenerator<number>): Promise<number> => {
    const sizes: number[] = [];
    for await (const size of withoutIdling(requests, pace, (each) => each)) sizes.push(size);
    return sizes.length;
  };
  const isLate = (error: unknown): boolean => error instanceof GrpcError && error.code === grpcCode.DEADLINE_EXCEEDED;
  await assert.rejects(taken(every(10, 1)), isLate);
  assert.equal(await taken(every(10, 1 << 16)), 20);
});
