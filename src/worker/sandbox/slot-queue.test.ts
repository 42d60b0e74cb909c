import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { SandboxJob, SandboxResult, Slot } from './sandbox.ts';
import { queueBefore } from './slot-queue.ts';

const job = {} as SandboxJob;
const cancelled: SandboxResult = { kind: 'cancelled' };

/** Slots whose runs end when the test says so. */
function slotsThatWait(count: number, weights?: ReadonlyMap<string, number>) {
  const ends: (() => void)[] = [];
  const run = (): Promise<SandboxResult> => new Promise((resolve) => ends.push(() => resolve(cancelled)));
  const slots = Array.from({ length: count }, (): Slot => ({ run, close: async () => undefined }));
  const endOne = async (): Promise<void> => {
    ends.shift()?.();
    await new Promise(setImmediate);
  };
  return { queue: queueBefore(slots, weights), endOne };
}

test('a client with many jobs keeps another waiting for one turn at most', async () => {
  const { queue, endOne } = slotsThatWait(2);
  const order: string[] = [];
  const send = (client: string, name: string, signal = new AbortController().signal): Promise<SandboxResult> =>
    queue.run(job, { client, signal, onStart: () => order.push(name) });
  const all = Array.from({ length: 6 }, (_, index) => send('many', `many ${index}`));
  await new Promise(setImmediate);
  all.push(send('other', 'other 0'), send('other', 'other 1'));
  assert.deepEqual(order, ['many 0', 'many 1']);
  for (let ends = 0; ends < 4; ends += 1) await endOne();
  assert.deepEqual(order, ['many 0', 'many 1', 'other 0', 'many 2', 'other 1', 'many 3']);
  for (let ends = 0; ends < 4; ends += 1) await endOne();
  await Promise.all(all);
  assert.equal(queue.busy(), 0);
});

test('on a single slot clients take turns, too, and a client of weight 2 two at a time', async () => {
  const { queue, endOne } = slotsThatWait(1, new Map([['heavy', 2]]));
  const order: string[] = [];
  const ran: Promise<unknown>[] = [];
  const send = (client: string): void => {
    const { signal } = new AbortController();
    ran.push(queue.run(job, { client, signal, onStart: () => order.push(client) }));
  };
  for (let each = 0; each < 40; each += 1) send('light');
  for (let each = 0; each < 40; each += 1) send('heavy');
  await new Promise(setImmediate);
  for (let ends = 0; ends < 30; ends += 1) await endOne();
  const light = order.filter((client) => client === 'light').length;
  assert.ok(light >= 10 && light <= 12, order.join(' '));
  send('late');
  for (let ends = 0; ends < 3; ends += 1) await endOne();
  assert.ok(order.slice(-3).includes('late'), order.slice(-3).join(' '));
  for (let ends = 0; ends < 60; ends += 1) await endOne();
  await Promise.all(ran);
});

test('a client of weight 2 has twice the slots of another while both have jobs', async () => {
  const { queue, endOne } = slotsThatWait(3, new Map([['heavy', 2]]));
  const running = new Map<string, number>();
  const ran: Promise<unknown>[] = [];
  const send = (client: string): void => {
    const onStart = (): void => void running.set(client, (running.get(client) ?? 0) + 1);
    ran.push(queue.run(job, { client, signal: new AbortController().signal, onStart }));
  };
  for (let each = 0; each < 30; each += 1) {
    send('light');
    send('heavy');
  }
  await new Promise(setImmediate);
  for (let ends = 0; ends < 27; ends += 1) await endOne();
  // 27 have ended, 3 run; the first two slots were taken one each, before there was a queue.
  assert.deepEqual(Object.fromEntries(running), { light: 11, heavy: 19 });
  for (let ends = 0; ends < 33; ends += 1) await endOne();
  await Promise.all(ran);
});

test('a job that nobody waits for any more leaves the queue, and the thousand and first of a client is refused', async () => {
  const { queue, endOne } = slotsThatWait(1);
  const { signal } = new AbortController();
  const request = { client: 'one', signal, onStart: () => undefined };
  const running = queue.run(job, request);
  const abort = new AbortController();
  const waiting = queue.run(job, { ...request, signal: abort.signal });
  abort.abort();
  await assert.rejects(waiting, /nobody waits/);
  const more = Array.from({ length: 1000 }, () => queue.run(job, request));
  await assert.rejects(queue.run(job, request), /1000 jobs of this client are waiting/);
  const other = queue.run(job, { ...request, client: 'two' });
  for (let ends = 0; ends < 1002; ends += 1) await endOne();
  await Promise.all([running, ...more, other]);
});
