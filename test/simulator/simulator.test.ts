// The client and its scheduler over simulated hosts, in virtual time. A seed makes a farm, what goes wrong in it, and the
// builds; SHOAL_SEED=4711 SHOAL_RUNS=50 chooses others than the same ones each time.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { spreadOf } from '../../bench/statistics.ts';
import type { Fault } from './faults.ts';
import { keepSeed, keptSeeds } from './kept.ts';
import { openRig, plainHost, stage, type Rig } from './rig.ts';
import { simulate, type Simulated, type Sizes } from './simulate.ts';
import { tailOf } from './tail.ts';

const firstSeed = Number(process.env['SHOAL_SEED'] ?? 1);
const runs = Number(process.env['SHOAL_RUNS'] ?? 30);

let rig: Rig;
before(async () => {
  rig = await openRig();
});
after(() => rig.close());

/** Runs the seed; one that goes wrong is kept. */
async function run(seed: number, sizes?: Sizes): Promise<Simulated> {
  const simulated = await simulate(rig, seed, sizes).catch((error: unknown) => error as Error);
  const wrong = simulated instanceof Error ? [simulated.message] : simulated.wrong;
  if (!(simulated instanceof Error) && wrong.length === 0) return simulated;
  if (sizes === undefined) keepSeed(seed, wrong[0] ?? '');
  throw new Error(`seed ${seed}: ${wrong.join('; ')}`, { cause: simulated });
}

test(`whatever hosts do, each job ends once with its own object: kept seeds, and ${runs} from ${firstSeed} on`, async (t) => {
  const seeds = new Set([...keptSeeds(), ...Array.from({ length: runs }, (_, at) => firstSeed + at)]);
  const all: Simulated[] = [];
  for (const seed of seeds) all.push(await run(seed));
  const sum = (of: (one: Simulated) => number): number => all.reduce((total, one) => total + of(one), 0);
  const share = (sum(({ fellBack }) => fellBack) / sum(({ jobs }) => jobs)) * 100;
  t.diagnostic(
    `${sum(({ jobs }) => jobs)} jobs, ${sum(({ remote }) => remote)} in the farm, ${share.toFixed(1)}% fell back`,
  );
});

test('a thousand hosts, a third of them with faults', async (t) => {
  const { jobs, remote, fellBack } = await run(1, { hosts: 1000, sources: 1500, faulty: 33 });
  t.diagnostic(`${jobs} jobs, ${remote} in the farm, ${fellBack} fell back`);
  assert.ok(fellBack < 0.02 * jobs, `${fellBack} of ${jobs} fell back`);
});

test('a seed is the same run each time', async () => {
  const [once, again] = [await run(7), await run(7)];
  assert.deepEqual(once, again);
});

test('when all hosts are gone, what is left of the build is done here, and in strict mode is refused', async () => {
  const gone: Fault = { kind: 'refuses', fromMs: 3000, untilMs: Infinity };
  const plans = ['a', 'b'].map((name) => plainHost(name, { faults: [gone] }));
  const records = await stage(rig, plans, 100).build({ width: 16 });
  const reasons = new Set<string>(
    records.map(({ answer }) => (answer.kind === 'completed' ? 'completed' : answer.reason)),
  );
  for (const reason of ['completed', 'no-worker']) assert.ok(reasons.delete(reason), reason);
  for (const reason of reasons) assert.ok(['sooner-here', 'worker-lost'].includes(reason), reason);
  const strict = await stage(rig, plans, 100).build({ width: 16, strict: true });
  const kinds = new Set(strict.map(({ answer }) => answer.kind));
  assert.deepEqual([...kinds].toSorted(), ['completed', 'refused']);
});

// Each with the time at which it is over.
const passing: readonly (readonly [Fault, untilMs: number])[] = [
  [{ kind: 'refuses', fromMs: 3000, untilMs: 8000 }, 8000],
  [{ kind: 'silent', fromMs: 3000, untilMs: 5000 }, 5000],
  [{ kind: 'silent', fromMs: 3000, untilMs: 20_000 }, 20_000],
  [{ kind: 'drops', atMs: 3000 }, 3000],
  [{ kind: 'restarts', atMs: 3000, awayMs: 2000 }, 5000],
  [{ kind: 'forgets', atMs: 3000 }, 3000],
  [{ kind: 'full', fromMs: 3000, untilMs: 6000 }, 6000],
];

for (const [fault, untilMs] of passing) {
  test(`a host (${fault.kind}) that is as it was from ${untilMs} ms on is used again`, async () => {
    const staged = stage(rig, [plainHost('a'), plainHost('b', { faults: [fault] })], 400);
    const [, host] = staged.hosts;
    assert.ok(host !== undefined);
    let backMs = Infinity;
    const { compiler } = host;
    host.compiler = (...job) => {
      if (staged.clock.nowMs() > untilMs) backMs = Math.min(backMs, staged.clock.nowMs());
      return compiler(...job);
    };
    const records = await staged.build({ width: 12, strict: true });
    assert.ok(records.every(({ answer }) => answer.kind === 'completed'));
    // It is asked again after a second, and each time after twice as long.
    assert.ok(backMs < 2.5 * untilMs + 5000, `the first job after it came at ${backMs} ms`);
  });
}

for (const fromMs of [0, 3000]) {
  test(`a host that takes jobs and answers none, from ${fromMs} ms on, holds no build up, and has to rest`, async () => {
    const mute: Fault = { kind: 'mute', fromMs, untilMs: Infinity };
    const staged = stage(rig, [plainHost('a'), plainHost('b', { faults: [mute] }), plainHost('c')], 400);
    const records = await staged.build({ width: 24, strict: true });
    assert.ok(records.every(({ answer }) => answer.kind === 'completed'));
    // All that it could be asked for is lost once, and now and then a job that shows that it is as it was.
    const longest = Math.max(...records.map(({ startedMs, endedMs }) => endedMs - startedMs));
    assert.ok(longest < 60_000, `a job took ${longest} ms`);
    const wallMs = Math.max(...records.map(({ endedMs }) => endedMs));
    assert.ok(wallMs < 100_000, `the build took ${wallMs} ms`);
    assert.ok((staged.farm.hosts[1]?.failures ?? 0) > 0, 'it has not rested');
  });
}

test('what no host had room for is known to need so much when it is built again', async () => {
  const full: Fault = { kind: 'full', fromMs: 0, untilMs: Infinity };
  const staged = stage(rig, [plainHost('a', { memoryKb: 4 << 20, faults: [full] })], 1);
  const [first] = await staged.build({ width: 1 });
  const [again] = await staged.build({ width: 1 });
  for (const [record, needKb] of [[first, 1 << 20] as const, [again, 2 << 20] as const]) {
    assert.ok(record?.answer.kind === 'here' && record.answer.reason === 'worker-full');
    assert.equal(record.answer.needKb, needKb);
  }
});

// When queues and paces were judged otherwise, these ended up to 65 % above it.
const onceFar = [34, 57, 88, 135, 164, 191];

test('builds that once ended far above the optimum end within a tenth of it', async () => {
  for (const seed of onceFar) {
    const { known } = await tailOf(seed, () => Infinity);
    assert.ok(known.atOnce <= 1.1, `seed ${seed}: ${known.atOnce} of the optimum`);
  }
});

test('a build ends near the optimum when past times are known', async (t) => {
  const all = [];
  for (let seed = firstSeed; seed < firstSeed + 5; seed += 1) all.push(await tailOf(seed, () => Infinity));
  const known = spreadOf(all.map((tail) => tail.known.atOnce));
  const unknown = spreadOf(all.map((tail) => tail.unknown.atOnce));
  t.diagnostic(`times known: ${JSON.stringify(known)}, unknown: ${JSON.stringify(unknown)}`);
  assert.ok(known.median < 1.05, `${known.median} of the optimum`);
  assert.ok(known.max < 1.4, `${known.max} of the optimum`);
  assert.ok(unknown.median < 1.5, `${unknown.median} of the optimum`);
});
