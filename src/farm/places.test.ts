import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ReapiClient } from '../reapi/client.ts';
import { newFarm, slotsOf, type Choice, type PlaceRequest } from './farm.ts';
import { askedOf, closeFarm, enterHome, leaveHome, leavePlace, mayRace, takePlace } from './places.ts';
import { parseHosts } from './host-spec.ts';
import { touch, trouble, type Place } from './host.ts';
import { noteDone, noteHere } from './learn.ts';
import { expectedWork } from './work.ts';

const toolchain = { hash: 'a'.repeat(64), sizeBytes: 1 };

/** A clock that a test moves by hand; what is due is called in order. */
function steppedClock() {
  let nowMs = 0;
  const timers = new Set<{ readonly atMs: number; readonly callback: () => void }>();
  const after = (delayMs: number, callback: () => void) => {
    const timer = { atMs: nowMs + delayMs, callback };
    timers.add(timer);
    return { cancel: () => void timers.delete(timer) };
  };
  const step = async (ms: number): Promise<void> => {
    for (const endMs = nowMs + ms; ;) {
      const [next] = [...timers].filter(({ atMs }) => atMs <= endMs).toSorted((a, b) => a.atMs - b.atMs);
      nowMs = next?.atMs ?? endMs;
      if (next === undefined) break;
      timers.delete(next);
      next.callback();
      await new Promise(setImmediate);
    }
  };
  return { nowMs: () => nowMs, after, step };
}

/** A farm whose hosts all answer, with the toolchain and as many slots as the setting says. */
function farmOf(setting: string, memoryKb = 0, slots = 1, chance?: () => number) {
  const parsed = parseHosts(setting);
  assert.ok(parsed.kind === 'hosts');
  const client: Partial<ReapiClient> = {
    ready: async () => undefined,
    toolchains: async () => ({
      toolchains: [{ digest: toolchain, driver: 'gcc', version: '12' }],
      slots,
      memoryKb,
      isShoal: true,
    }),
    onClose: () => undefined,
    bytes: () => ({ sent: 0, received: 0 }),
    close: () => undefined,
  };
  const clock = steppedClock();
  const farm = newFarm(parsed.hosts, { connect: () => client as ReapiClient, clock, chance });
  const request = (key: string): PlaceRequest => ({
    build: 'one',
    toolchain,
    work: expectedWork(farm.memory.works, { key, kind: 'c', size: 0 }),
    tried: new Set(),
    inputBytes: 0,
    mayRunHere: false,
    signal: new AbortController().signal,
  });
  const ask = (key: string, more: Partial<PlaceRequest> = {}): Promise<Choice> =>
    takePlace(farm, { ...request(key), ...more });
  return { farm, clock, ask, request };
}

const nameOf = (choice: Choice): string => (choice.kind === 'host' ? choice.place.host.spec.name : choice.kind);

async function placesOf({ ask }: ReturnType<typeof farmOf>, jobs: number): Promise<Record<string, number>> {
  const choices = await Promise.all(Array.from({ length: jobs }, (_, index) => ask(`job ${index}`)));
  const counts: Record<string, number> = {};
  for (const choice of choices) counts[nameOf(choice)] = (counts[nameOf(choice)] ?? 0) + 1;
  return counts;
}

const finished = { elapsedMs: 10_000, hostMs: 0, waitMs: 0, peakKb: 0, transfer: { bytes: 0, ms: 0 } };

test('jobs that come at once are spread over the hosts by their slots', async () => {
  assert.deepEqual(await placesOf(farmOf('one/4 two/4'), 2), { one: 1, two: 1 });
  assert.deepEqual(await placesOf(farmOf('small/2 large/6'), 8), { small: 2, large: 6 });
});

test('of equal hosts the first of the setting is taken, or any where chance decides', async () => {
  const first = async (chance?: () => number): Promise<string> => {
    const { farm, ask } = farmOf('a b c', 0, 1, chance);
    const choice = await ask('x');
    closeFarm(farm);
    return nameOf(choice);
  };
  assert.equal(await first(), 'a');
  let seed = 7;
  const chance = (): number => (seed = (seed * 16_807) % 2_147_483_647) / 2_147_483_647;
  const taken: Record<string, number> = {};
  for (let times = 0; times < 300; times += 1) {
    const name = await first(chance);
    taken[name] = (taken[name] ?? 0) + 1;
  }
  assert.deepEqual(Object.keys(taken).toSorted(), ['a', 'b', 'c']);
  assert.ok(
    Object.values(taken).every((times) => times > 60),
    JSON.stringify(taken),
  );
});

test('a host that announces a million slots has as many as a box may have', async () => {
  const { farm, ask } = farmOf('boaster', 0, 1e6);
  await ask('a');
  assert.equal(slotsOf(farm).get('boaster'), 1024);
});

test('a host is sent a job beyond its slots, and the next waits until there is room', async () => {
  const { farm, ask } = farmOf('one/1');
  const first = await ask('a');
  const second = await ask('b');
  assert.ok(first.kind === 'host' && second.kind === 'host');
  assert.ok(second.place.expected.queueMs > 0);
  let third: Choice | undefined;
  const waiting = ask('c').then((choice) => (third = choice));
  await new Promise(setImmediate);
  assert.equal(third, undefined);
  leavePlace(farm, first.place);
  assert.equal(nameOf(await waiting), 'one');
});

test('a host that takes twice as long gets half as much once that has been seen', async () => {
  const { farm, ask, clock } = farmOf('fast/4 slow/4');
  const counts: Record<string, number> = { fast: 0, slow: 0 };
  const jobs = Array.from({ length: 300 }, (_, index) => async () => {
    const choice = await ask(`job ${index % 30}`);
    assert.ok(choice.kind === 'host');
    const name = nameOf(choice);
    const compileMs = name === 'slow' ? 200 : 100;
    await new Promise<void>((resolve) => clock.after(compileMs, resolve));
    noteDone(farm, choice.place, { ...finished, compileMs });
    leavePlace(farm, choice.place);
    if (index >= 100) counts[name] = (counts[name] ?? 0) + 1;
  });
  let done = 0;
  const workers = Array.from({ length: 16 }, async () => {
    for (let job = jobs.shift(); job !== undefined; job = jobs.shift()) await job();
    done += 1;
  });
  while (done < workers.length) await clock.step(10);
  const share = (counts['slow'] ?? 0) / 200;
  assert.ok(share > 0.28 && share < 0.38, `the slow host did ${share} of the jobs`);
});

test('the longest known job goes first, and one that has waited long enough before it', async () => {
  const { farm, ask, clock } = farmOf('one/1');
  const places = [await ask('x'), await ask('y')];
  for (const [key, ms] of Object.entries({ long: 5000, short: 10, middle: 900 })) {
    farm.memory.works.past.set(key, { ms, peakKb: 0, by: undefined });
  }
  const order: string[] = [];
  const wait = async (key: string): Promise<void> => {
    const choice = await ask(key);
    order.push(key);
    assert.ok(choice.kind === 'host');
    leavePlace(farm, choice.place);
  };
  const all = [wait('short'), wait('middle'), wait('long')];
  const [first] = places;
  assert.ok(first?.kind === 'host');
  leavePlace(farm, first.place);
  await Promise.all(all);
  assert.deepEqual(order, ['long', 'middle', 'short']);
  order.length = 0;
  const again = [await ask('x')];
  const early = wait('short');
  await clock.step(6000);
  const late = wait('long');
  assert.ok(again[0]?.kind === 'host');
  leavePlace(farm, again[0].place);
  await Promise.all([early, late]);
  assert.deepEqual(order, ['short', 'long']);
});

test('a job queues at a busy host only where that saves more than it waits', async () => {
  const { farm, ask } = farmOf('fast/1 slow/1');
  const [fast, slow] = farm.hosts;
  assert.ok(fast !== undefined && slow !== undefined);
  const places = async (pace: number): Promise<string[]> => {
    slow.record.pace = { value: pace, samples: 1 };
    touch(slow);
    const choices = [await ask('a'), await ask('b')];
    for (const choice of choices) if (choice.kind === 'host') leavePlace(farm, choice.place);
    return choices.map(nameOf);
  };
  assert.deepEqual(await places(2), ['fast', 'slow']);
  assert.deepEqual(await places(4), ['fast', 'fast']);
});

test('two builds take turns, however many jobs one of them has', async () => {
  const { farm, ask } = farmOf('one/4');
  const order: string[] = [];
  const held = await Promise.all(Array.from({ length: 5 }, (_, index) => ask(`held ${index}`, { build: 'first' })));
  const wait = (build: string, key: string): Promise<void> =>
    ask(key, { build }).then((choice) => {
      order.push(build);
      if (choice.kind === 'host') farm.home.compiles.clear();
    });
  const all = [
    ...Array.from({ length: 20 }, (_, index) => wait('first', `more ${index}`)),
    wait('second', 's1'),
    wait('second', 's2'),
  ];
  for (const choice of held.slice(0, 2)) if (choice.kind === 'host') leavePlace(farm, choice.place);
  await new Promise(setImmediate);
  assert.deepEqual(order, ['second', 'second']);
  assert.equal(all.length, 22);
});

test('a job of an unknown toolchain, or that has been everywhere, is told so', async () => {
  const { farm, ask } = farmOf('one/1');
  const other = await ask('a', { toolchain: { hash: 'b'.repeat(64), sizeBytes: 1 } });
  assert.ok(other.kind === 'none' && other.reason === 'no-toolchain' && /has 1 compilers/.test(other.detail));
  const none = await ask('a', { tried: new Set(farm.hosts) });
  assert.equal(none.kind, 'none');
});

test('a job that needs more memory than a host has goes to a larger one, and to none if there is none', async () => {
  const { farm, ask } = farmOf('one/4', 1000);
  farm.memory.works.past.set('large', { ms: 100, peakKb: 5000, by: undefined });
  farm.memory.works.past.set('fits', { ms: 100, peakKb: 600, by: undefined });
  const large = await ask('large');
  assert.ok(large.kind === 'none' && large.reason === 'worker-full' && /5000 KB of memory/.test(large.detail));
  const first = await ask('fits');
  let second: Choice | undefined;
  void ask('fits').then((choice) => (second = choice));
  await new Promise(setImmediate);
  assert.equal(second, undefined, 'two of them do not fit');
  assert.ok(first.kind === 'host');
  leavePlace(farm, first.place);
  await new Promise(setImmediate);
  assert.equal(second === undefined ? '' : nameOf(second), 'one');
});

test('this box takes a compile only while the farm is busy and it would be done first', async () => {
  const { farm, ask } = farmOf('one/1');
  const mayRunHere = true;
  assert.equal((await ask('a', { mayRunHere })).kind, 'host');
  const second = await ask('b', { mayRunHere });
  assert.equal(second.kind, 'host', 'a queue of one job is shorter than twice the time here');
  const third = await ask('c', { mayRunHere });
  assert.equal(third.kind, 'here');
  assert.ok(third.kind === 'here');
  leaveHome(farm, third.stay);
  const own = farmOf('127.0.0.1/1');
  await own.ask('a', { mayRunHere });
  await own.ask('b', { mayRunHere });
  let more: Choice | undefined;
  void own.ask('c', { mayRunHere }).then((choice) => (more = choice));
  await new Promise(setImmediate);
  assert.equal(more, undefined, 'a worker on this box takes the same processors');
  const seen = await own.ask('d', { mayRunHere, signal: AbortSignal.abort() });
  assert.match(seen.decision.whyNotHere ?? '', /a worker on this box takes the same processors/);
});

test('what runs here for other reasons, or for another farm, leaves this box no room', async () => {
  const { farm, ask } = farmOf('one/1');
  const mayRunHere = true;
  await ask('a', { mayRunHere });
  await ask('b', { mayRunHere });
  const other = newFarm([], farm.world, farm.memory);
  const stays = Array.from({ length: farm.home.slots }, (_, index) => enterHome(index === 0 ? other : farm));
  let choice: Choice | undefined;
  void ask('c', { mayRunHere }).then((made) => (choice = made));
  await new Promise(setImmediate);
  assert.equal(choice, undefined);
  const [last] = stays.slice(-1);
  assert.ok(last !== undefined);
  leaveHome(farm, last);
  await new Promise(setImmediate);
  assert.ok(choice !== undefined && nameOf(choice) === 'here');
});

test('a job whose launcher has gone waits no longer', async () => {
  const { ask } = farmOf('one/1');
  await ask('a');
  await ask('b');
  const abort = new AbortController();
  const waiting = ask('c', { signal: abort.signal });
  abort.abort();
  const choice = await waiting;
  assert.ok(choice.kind === 'none' && choice.reason === 'interrupted');
});

test('what is learnt of its kind while a job waits is used when it is its turn', async () => {
  const { farm, ask } = farmOf('one/1');
  const places = [await ask('x'), await ask('y')];
  const waiting = ask('z');
  for (const choice of places) {
    assert.ok(choice.kind === 'host');
    noteDone(farm, choice.place, { ...finished, compileMs: 4000 });
    leavePlace(farm, choice.place);
  }
  const choice = await waiting;
  assert.ok(choice.kind === 'host');
  assert.ok(choice.place.work.ms > 2000, `${choice.place.work.ms} ms`);
});

test('a host that is connected again is thought to hold what it held', async () => {
  const { farm, ask, clock } = farmOf('one/1');
  const first = await ask('x');
  assert.ok(first.kind === 'host');
  const { place } = first;
  place.ready.heldBytes = 1e6;
  leavePlace(farm, place);
  trouble(place.host, farm.world, 'the connection was reset');
  const again = ask('y', { inputBytes: 1e6 });
  await clock.step(2000);
  const second = await again;
  const choice = second.kind === 'host' ? second : await ask('y', { inputBytes: 1e6 });
  assert.ok(choice.kind === 'host');
  assert.equal(choice.place.expected.transferMs, 0);
});

test('what was too large for the hosts is known to be, and doubted more each time that it runs here', () => {
  const { farm } = farmOf('one');
  const name = { key: 'a', kind: 'c', size: 0 };
  const peaks = [5000, 5000, 3750].map((needKb) => {
    noteHere(farm, { work: expectedWork(farm.memory.works, name) }, 100, needKb);
    return expectedWork(farm.memory.works, name).peakKb;
  });
  assert.deepEqual(peaks, [5000, 3750, 2813]);
});

test('what a host says of itself is believed as far as it can be so', async () => {
  const { farm, ask } = farmOf('liar/1 good/1', 1 << 20);
  const first = await ask('a');
  assert.ok(first.kind === 'host');
  const lie = { hostMs: 2 ** 50, waitMs: 2 ** 50, compileMs: 2 ** 50, peakKb: 2 ** 40 };
  noteDone(farm, first.place, { ...finished, ...lie, elapsedMs: 100 });
  leavePlace(farm, first.place);
  assert.equal(nameOf(await ask('a')), 'good', 'the other host may still be large enough for it');
  const { record } = first.place.host;
  assert.ok(record.compileMs.value <= 100, `${record.compileMs.value} ms`);
  assert.ok(first.place.host.others.waitMs <= 100);
});

test('a second place that a job no longer wants leaves room for those of others', async () => {
  const { farm, clock, ask, request } = farmOf('a b');
  const late = await ask('late');
  assert.ok(late.kind === 'host');
  const { place: first } = late;
  const race = (offer: (place: Place) => void): void =>
    mayRace(farm, first, { asked: askedOf(request('late')), isFirst: false, offer });
  race((place) => leavePlace(farm, place));
  await clock.step(60_000);
  let offered: Place | undefined;
  race((place) => (offered = place));
  await clock.step(60_000);
  assert.equal(offered?.host.spec.name, 'b');
  closeFarm(farm);
});
