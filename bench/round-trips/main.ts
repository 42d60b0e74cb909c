// How often a compile waits for the network's round trip: the time of one compile behind a proxy that adds 20 ms, less that
// of the same compile behind one that adds nothing, in units of the round trip. The same with ten times the delay says it
// more exactly, since the machine's own noise is then a tenth as large: the goals go by that.
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { makeCpuGroup } from '../cpu.ts';
import { makeNetwork } from '../hosts.ts';
import type { PartPlan } from '../part.ts';
import { mustRun, startDaemon, type Daemon, type Place } from '../processes.ts';
import { aligned, goal } from '../report.ts';
import { clientEnvironment, shoalCommand, startWorkers } from '../sides/shoal.ts';
import { waitUntil } from '../wait.ts';
import { kinds, type LoopAnswer } from './loop.ts';

const workerPort = 8475;
// All of them through the proxy, whose own work then counts for none.
const ways = {
  near: { port: 9474, eachWayMs: 0 },
  far: { port: 9475, eachWayMs: 10 },
  farthest: { port: 9476, eachWayMs: 100 },
} as const;
type Way = keyof typeof ways;
const wayNames = ['near', 'far', 'farthest'] as const;
const compiles = 15;
const patienceMs = 10_000;
// What else the machine does makes some compiles slow, and none fast.
const quantile = 0.2;
// What the machine's noise may add to a whole number of round trips.
const noise = 0.1;

type Answers = Readonly<Record<Way, LoopAnswer[]>>;

export async function measureRoundTrips({ scratch, rounds, tell }: PartPlan): Promise<string> {
  const network = makeNetwork(1);
  const groups = { client: makeCpuGroup('client'), workers: makeCpuGroup('workers') };
  const client: Place = { host: network.client, group: groups.client };
  const workers = network.workers.map((host): Place => ({ host, group: groups.workers }));
  const daemons: Daemon[] = [];
  try {
    daemons.push(...(await startWorkers({ workers, scratch })));
    for (const way of wayNames) daemons.push(await startProxy(workers, scratch, way));
    const answers: Answers = { near: [], far: [], farthest: [] };
    for (let round = 1; round <= rounds; round += 1) {
      for (const way of wayNames) {
        tell(`round ${round} of ${rounds}: ${way}`);
        answers[way].push(await runLoop({ client, workers, scratch, way, round }));
      }
    }
    return textOf(answers);
  } finally {
    for (const daemon of daemons.toReversed()) await daemon.stop();
    for (const group of Object.values(groups)) group.remove();
    network.remove();
  }
}

async function startProxy([worker]: readonly Place[], scratch: string, way: Way): Promise<Daemon> {
  if (worker === undefined) throw new Error('no worker');
  const log = join(scratch, `proxy-${way}.log`);
  const program = join(import.meta.dirname, 'delay-proxy.js');
  const { port, eachWayMs } = ways[way];
  const args = [worker.host.address, port, workerPort, eachWayMs].map(String);
  const daemon = startDaemon(worker, { argv: [process.execPath, program, ...args], log });
  await waitUntil('the proxy', patienceMs, () => readFileSync(log, 'utf8').includes('ready'));
  return daemon;
}

type Loop = {
  readonly client: Place;
  readonly workers: readonly Place[];
  readonly scratch: string;
  readonly way: Way;
  readonly round: number;
};

async function runLoop({ client, workers, scratch, way, round }: Loop): Promise<LoopAnswer> {
  const cwd = join(scratch, `${way}-${round}`);
  mkdirSync(cwd);
  const answer = join(cwd, 'answer.json');
  const address = workers[0]?.host.address ?? '';
  const env = {
    ...clientEnvironment({ workers, scratch }),
    SHOAL_HOSTS: `${address}:${ways[way].port}`,
  };
  const program = join(import.meta.dirname, 'loop.js');
  const argv = shoalCommand('run', '--', process.execPath, program, String(compiles), answer);
  await mustRun(client, { argv, cwd, env, log: join(cwd, 'log'), ownRun: true });
  return JSON.parse(readFileSync(answer, 'utf8')) as LoopAnswer;
}

/** The time of a compile of this kind, all rounds together. */
function timeOf(answers: readonly LoopAnswer[], name: string): number {
  const sorted = answers.flatMap((answer) => answer[name] ?? []).toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length * quantile)] ?? Number.NaN;
}

function textOf(answers: Answers): string {
  const found = kinds.map(({ name, most }) => {
    const nearMs = timeOf(answers.near, name);
    const over = (way: Way): { readonly ms: number; readonly trips: number } => {
      const ms = timeOf(answers[way], name);
      return { ms, trips: (ms - nearMs) / (2 * ways[way].eachWayMs) };
    };
    return { name, most, nearMs, far: over('far'), farthest: over('farthest') };
  });
  const head = ['one compile, in which', 'ms', 'behind 20 ms', 'round trips', 'behind 200 ms', 'round trips'];
  const rows = found.map(({ name, nearMs, far, farthest }) => {
    const columns = [far, farthest].flatMap(({ ms, trips }) => [ms.toFixed(1), trips.toFixed(2)]);
    return [name, nearMs.toFixed(1), ...columns];
  });
  const goals = found.map(({ name, most, farthest: { trips } }) =>
    goal(`${name}: at most ${most}`, trips.toFixed(2), trips <= most + noise, trips),
  );
  const times = `the ${quantile * 100}th percentile of ${compiles * answers.near.length}`;
  return [
    `round trips: one compile after the other by gcc, everything else known to the worker, through a proxy that hands on each byte later; ${times}`,
    aligned([head, ...rows]),
    aligned(goals),
  ].join('\n\n');
}
