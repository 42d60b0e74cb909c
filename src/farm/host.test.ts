import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ReapiClient } from '../reapi/client.ts';
import { realClock } from '../observe/clock.ts';
import { forgive, isAside, setAside } from './aside.ts';
import { newFarm, reachAll, type Farm } from './farm.ts';
import { closeFarm, takePlace, warm } from './places.ts';
import { parseHosts } from './host-spec.ts';
import { trouble } from './host.ts';
import { expectedWork } from './work.ts';

const toolchain = { hash: 'a'.repeat(64), sizeBytes: 1 };

/** A farm of one host that answers once it is told to, and how many connections to it are open. */
function slowFarm() {
  let open = 0;
  let answer = (): void => undefined;
  const isReady = new Promise<void>((resolve) => (answer = resolve));
  const client: Partial<ReapiClient> = {
    ready: () => isReady,
    toolchains: async () => ({
      toolchains: [{ digest: toolchain, driver: 'gcc', version: '12' }],
      slots: 2,
      memoryKb: 0,
      isShoal: true,
    }),
    onClose: () => undefined,
    bytes: () => ({ sent: 0, received: 0 }),
    close: () => void (open -= 1),
  };
  const connect = (): ReapiClient => {
    open += 1;
    return client as ReapiClient;
  };
  const parsed = parseHosts('box');
  assert.ok(parsed.kind === 'hosts');
  const farm = newFarm(parsed.hosts, { connect, clock: realClock });
  return { farm, connections: () => open, answer: () => answer() };
}

const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

const ask = (farm: Farm) =>
  takePlace(farm, {
    build: 'one',
    toolchain,
    work: expectedWork(farm.memory.works, { key: 'a', kind: 'c', size: 0 }),
    tried: new Set(),
    inputBytes: 0,
    mayRunHere: false,
    signal: new AbortController().signal,
  });

test('a farm that is closed while it connects leaves no connection, and no job waiting', async () => {
  const { farm, connections, answer } = slowFarm();
  const waiting = ask(farm);
  await settle();
  assert.equal(connections(), 1);
  closeFarm(farm);
  answer();
  const choice = await waiting;
  assert.ok(choice.kind === 'none' && choice.reason === 'interrupted');
  await settle();
  assert.deepEqual([connections(), farm.hosts[0]?.state.kind], [0, 'idle']);
});

test('nothing that comes to a closed farm connects it again', async () => {
  const { farm, connections, answer } = slowFarm();
  answer();
  closeFarm(farm);
  assert.equal((await ask(farm)).kind, 'none');
  warm(farm);
  await reachAll(farm, 1000);
  assert.equal(connections(), 0);
});

test('a host that is set aside while it is connected stays so, until it is forgiven', async () => {
  const { farm, connections, answer } = slowFarm();
  warm(farm);
  await settle();
  const [host] = farm.hosts;
  assert.ok(host !== undefined);
  setAside(farm.memory.asides, host, 'its object differs');
  answer();
  await settle();
  assert.deepEqual([connections(), host.state.kind], [0, 'aside']);
  assert.equal(forgive(farm.memory.asides, farm.hosts, 'other'), false);
  assert.equal(forgive(farm.memory.asides, farm.hosts, 'box'), true);
  await reachAll(farm, 1000);
  assert.deepEqual([host.state.kind, isAside(farm.memory.asides, 'box')], ['ready', undefined]);
  closeFarm(farm);
});

test('a host whose address cannot be reached from this box rests, and says why', async () => {
  const parsed = parseHosts('box');
  assert.ok(parsed.kind === 'hosts');
  const connect = (): never => {
    throw new Error('this box belongs to no farm');
  };
  const farm = newFarm(parsed.hosts, { connect, clock: realClock });
  await reachAll(farm, 1000);
  const state = farm.hosts[0]?.state;
  assert.ok(state?.kind === 'resting' && state.why === 'this box belongs to no farm');
  closeFarm(farm);
});

test('a host of distcc rests as long as it is said to; without that, longer with each failure', () => {
  const clock = { nowMs: () => 0, after: () => ({ cancel: () => undefined }) };
  const rests = (setting: string, distccRestMs?: number): readonly number[] => {
    const parsed = parseHosts(setting);
    assert.ok(parsed.kind === 'hosts');
    const world = { connect: (): never => assert.fail(), clock, distccRestMs };
    const [host] = newFarm(parsed.hosts, world).hosts;
    assert.ok(host !== undefined);
    return [1, 2, 3].map(() => {
      const state = trouble(host, world, 'gone');
      return state.kind === 'resting' ? state.untilMs : NaN;
    });
  };
  assert.deepEqual(rests('distcc://box'), [1000, 2000, 4000]);
  assert.deepEqual(rests('distcc://box', 60_000), [60_000, 60_000, 60_000]);
  assert.deepEqual(rests('distcc://box', 0), [0, 0, 0]);
  assert.deepEqual(rests('box', 0), [1000, 2000, 4000]);
});
