// How often a compile waits for the network's round trip: the time of one compile behind a proxy that adds 20 ms, less that
// of the same compile without it, in units of the round trip.
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { makeCpuGroup } from '../cpu.ts';
import { makeNetwork } from '../hosts.ts';
import type { PartPlan } from '../parts.ts';
import { mustRun, startDaemon, type Daemon, type Place } from '../processes.ts';
import { aligned, goal } from '../report.ts';
import { clientEnvironment, shoalCommand, startWorkers } from '../sides/shoal.ts';
import { spreadOf } from '../statistics.ts';
import { waitUntil } from '../wait.ts';
import { kinds, type LoopAnswer } from './loop.ts';

const eachWayMs = 10;
const roundTripMs = 2 * eachWayMs;
const proxyPort = 9475;
const workerPort = 8475;
const compiles = 25;
const patienceMs = 10_000;
// What the machine's noise may add to a whole number of round trips.
const noise = 0.15;

type Ways = { readonly near: LoopAnswer[]; readonly far: LoopAnswer[] };

export async function measureRoundTrips({ scratch, rounds, tell }: PartPlan): Promise<string> {
  const network = makeNetwork(1);
  const groups = { client: makeCpuGroup('client'), workers: makeCpuGroup('workers') };
  const client: Place = { host: network.client, group: groups.client };
  const workers = network.workers.map((host): Place => ({ host, group: groups.workers }));
  const daemons: Daemon[] = [];
  try {
    daemons.push(...(await startWorkers({ workers, scratch })), await startProxy(workers, scratch));
    const answers: Ways = { near: [], far: [] };
    for (let round = 1; round <= rounds; round += 1) {
      for (const way of ['near', 'far'] as const) {
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

async function startProxy([worker]: readonly Place[], scratch: string): Promise<Daemon> {
  if (worker === undefined) throw new Error('no worker');
  const log = join(scratch, 'proxy.log');
  const program = join(import.meta.dirname, 'delay-proxy.js');
  const args = [worker.host.address, proxyPort, workerPort, eachWayMs].map(String);
  const daemon = startDaemon(worker, { argv: [process.execPath, program, ...args], log });
  await waitUntil('the proxy', patienceMs, () => readFileSync(log, 'utf8').includes('ready'));
  return daemon;
}

type Loop = {
  readonly client: Place;
  readonly workers: readonly Place[];
  readonly scratch: string;
  readonly way: keyof Ways;
  readonly round: number;
};

async function runLoop({ client, workers, scratch, way, round }: Loop): Promise<LoopAnswer> {
  const cwd = join(scratch, `${way}-${round}`);
  mkdirSync(cwd);
  const answer = join(cwd, 'answer.json');
  const address = workers[0]?.host.address ?? '';
  const env = {
    ...clientEnvironment({ workers, scratch }),
    SHOAL_HOSTS: `${address}:${way === 'near' ? workerPort : proxyPort}`,
  };
  const program = join(import.meta.dirname, 'loop.js');
  const argv = shoalCommand('run', '--', process.execPath, program, String(compiles), answer);
  await mustRun(client, { argv, cwd, env, log: join(cwd, 'log'), ownRun: true });
  return JSON.parse(readFileSync(answer, 'utf8')) as LoopAnswer;
}

function textOf({ near, far }: Ways): string {
  const median = (answers: readonly LoopAnswer[], name: string): number =>
    spreadOf(answers.map((answer) => answer[name] ?? Number.NaN)).median;
  const found = kinds.map(({ name, most }) => {
    const [nearMs, farMs] = [median(near, name), median(far, name)];
    return { name, most, nearMs, farMs, trips: (farMs - nearMs) / roundTripMs };
  });
  const ms = (value: number): string => value.toFixed(1);
  const rows = found.map(({ name, nearMs, farMs, trips }) => [name, ms(nearMs), ms(farMs), trips.toFixed(2)]);
  return [
    `round trips: one compile after the other by gcc, everything else known to the worker; behind a proxy that hands on each byte ${eachWayMs} ms later, each way; p50 of ${compiles}, median of ${near.length}`,
    aligned([['one compile, in which', 'ms', 'ms behind 20 ms', 'round trips'], ...rows]),
    aligned(
      found.map(({ name, most, trips }) =>
        goal(`${name}: at most ${most}`, trips.toFixed(2), trips <= most + noise, trips),
      ),
    ),
  ].join('\n\n');
}
