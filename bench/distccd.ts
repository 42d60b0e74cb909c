// What a server costs whose clients are Debian's distcc: our distccd beside Debian's, CPU of all that the server starts, for
// each file. The servers take turns, round after round; the same compiles run plainly say what the compiler itself takes.
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { makeCpuGroup } from './cpu.ts';
import { makeNetwork } from './hosts.ts';
import type { PartPlan } from './part.ts';
import { logEnd, mustRun, path, startDaemon, type Daemon, type Place } from './processes.ts';
import { aligned, goal } from './report.ts';
import { startDistccd } from './sides/distcc.ts';
import { listens } from './sides/listening.ts';
import { spreadOf, spreadText, type Spread } from './statistics.ts';
import { waitUntil } from './wait.ts';

const slots = 4;
const atOnce = 2;
const port = 3632;
const patienceMs = 60_000;
const leastRounds = 5;

const sources = [
  { name: 'small', jobs: 40, text: '#include <stdio.h>\nint main(void) { puts(""); return 0; }\n', compiler: 'gcc' },
  { name: 'large', jobs: 4, text: '#include <bits/stdc++.h>\nint x;\n', compiler: 'g++' },
] as const;
type Source = (typeof sources)[number];

const protocols = [
  { name: 'plain', option: '' },
  { name: 'lzo', option: ',lzo' },
] as const;

const servers = ['Debian’s distccd', 'our distccd'] as const;
type ServerName = (typeof servers)[number];

type Server = { readonly place: Place; readonly daemon: Daemon };

/** Preprocessed once, so that its client has nothing to do but to send it. */
function preprocessed({ name, text, compiler }: Source, scratch: string): string {
  const isC = compiler === 'gcc';
  const input = join(scratch, `${name}.${isC ? 'i' : 'ii'}`);
  const output = execFileSync(compiler, ['-E', '-x', isC ? 'c' : 'c++', '-'], { input: text, maxBuffer: 1 << 28 });
  writeFileSync(input, output);
  return input;
}

async function startOurs(place: Place, state: string): Promise<Daemon> {
  const stderr = `${state}.stderr`;
  const log = `${state}.log`;
  writeFileSync(log, '');
  const argv = [process.execPath, join(process.cwd(), 'bin/distccd.js'), '--daemon', '--no-detach', '--nice', '0'];
  argv.push('--allow', '10.77.0.0/16', '--listen', place.host.address, '--port', String(port));
  argv.push('--jobs', String(slots), '--log-file', log, '--state', state);
  const env = { HOME: dirname(state), PATH: `${path}:${dirname(process.execPath)}` };
  const daemon = startDaemon(place, { argv, env, log: stderr, ownRun: true });
  await waitUntil('our distccd', patienceMs, () => {
    if (!daemon.running()) throw new Error(`it ended:\n${logEnd(log)}${logEnd(stderr)}`);
    return readFileSync(log, 'utf8').includes('serves distcc');
  });
  return daemon;
}

type Sending = { readonly client: Place; readonly server: Place; readonly option: string; readonly scratch: string };

/** Through Debian's client; nothing is compiled at home. */
async function send({ client, server, option, scratch }: Sending, source: Source, input: string): Promise<void> {
  const env = {
    HOME: scratch,
    DISTCC_DIR: join(scratch, 'distcc'),
    DISTCC_HOSTS: `${server.host.address}:${port}/${slots}${option}`,
    DISTCC_FALLBACK: '0',
    DISTCC_SKIP_LOCAL_RETRY: '1',
    DISTCC_BACKOFF_PERIOD: '0',
  };
  const each = `seq ${source.jobs} | xargs -P${atOnce} -I{} distcc ${source.compiler} -O0 -c ${input} -o {}.o`;
  await mustRun(client, { argv: ['sh', '-c', each], env, cwd: scratch, log: join(scratch, 'client.log') });
}

async function plainly(client: Place, scratch: string, source: Source, input: string): Promise<number> {
  const group = makeCpuGroup('plain');
  const enter = `'echo 0 >${group.procsFile} && exec ${source.compiler} -O0 -c ${input} -o {}.o'`;
  const each = `seq ${source.jobs} | xargs -P${atOnce} -I{} sh -c ${enter}`;
  try {
    await mustRun(client, { argv: ['sh', '-c', each], cwd: scratch, log: join(scratch, 'plain.log') });
    return group.usedMs() / source.jobs;
  } finally {
    group.remove();
  }
}

type Costs = Readonly<Record<ServerName, number[]>>;
type Measured = {
  readonly source: Source;
  readonly bytes: number;
  readonly plain: number[];
  readonly byProtocol: readonly { readonly name: string; readonly costs: Costs }[];
};

type Ground = {
  readonly client: Place;
  readonly running: Readonly<Record<ServerName, Server>>;
  readonly scratch: string;
};

async function measureSource({ client, running, scratch }: Ground, source: Source, rounds: number): Promise<Measured> {
  const input = preprocessed(source, scratch);
  const plain: number[] = [];
  const byProtocol = protocols.map(({ name, option }) => {
    const costs: Costs = { 'Debian’s distccd': [], 'our distccd': [] };
    return { name, option, costs };
  });
  // The first is not counted: what a server does at its first job it does once.
  for (let round = 0; round <= rounds; round += 1) {
    const compilers = await plainly(client, scratch, source, input);
    if (round > 0) plain.push(compilers);
    for (const { option, costs } of byProtocol) {
      for (const name of servers) {
        const { place } = running[name];
        const before = place.group.usedMs();
        await send({ client, server: place, option, scratch }, source, input);
        if (round > 0) costs[name].push((place.group.usedMs() - before) / source.jobs);
      }
    }
  }
  return { source, bytes: statSync(input).size, plain, byProtocol };
}

/** Each round's cost of ours less that of the other: the machine's drift from round to round is in both. */
function more(costs: Costs): Spread {
  return spreadOf(costs['our distccd'].map((ms, at) => ms - (costs['Debian’s distccd'][at] ?? Number.NaN)));
}

function rowsOf({ source, bytes, plain, byProtocol }: Measured): readonly (readonly string[])[] {
  const what = `${source.name}, ${Math.round(bytes / 1000)} KB`;
  return byProtocol.map(({ name, costs }) => [
    what,
    name,
    spreadText(spreadOf(plain), 1),
    ...servers.map((server) => spreadText(spreadOf(costs[server]), 1)),
    spreadText(more(costs), 1),
  ]);
}

function goalsOf({ source, byProtocol }: Measured): readonly (readonly string[])[] {
  return byProtocol.map(({ name, costs }) => {
    const [stock, ours] = servers.map((server) => spreadOf(costs[server]).median);
    const ratio = (ours ?? Number.NaN) / (stock ?? Number.NaN);
    const figure = `${((ratio - 1) * 100).toFixed(1)} % more`;
    // The last percent is the machine's.
    return goal(
      `${source.name}, ${name}: no more CPU on the server than with the stock one`,
      figure,
      ratio <= 1.01,
      ratio,
    );
  });
}

export async function measureDistccd({ scratch, rounds, tell }: PartPlan): Promise<string> {
  const network = makeNetwork(2);
  const groups = { client: makeCpuGroup('client'), stock: makeCpuGroup('stock'), ours: makeCpuGroup('ours') };
  const [first, second] = network.workers;
  if (first === undefined || second === undefined) throw new Error('no two hosts');
  const places = { stock: { host: first, group: groups.stock }, ours: { host: second, group: groups.ours } };
  const daemons: Daemon[] = [];
  try {
    const stock = startDistccd(places.stock, { slots, state: join(scratch, 'stock') });
    daemons.push(stock);
    const ours = await startOurs(places.ours, join(scratch, 'ours'));
    daemons.push(ours);
    await listens(first, port);
    mkdirSync(join(scratch, 'distcc'));
    const running: Ground['running'] = {
      'Debian’s distccd': { place: places.stock, daemon: stock },
      'our distccd': { place: places.ours, daemon: ours },
    };
    const ground = { client: { host: network.client, group: groups.client }, running, scratch };
    const measured: Measured[] = [];
    const count = Math.max(rounds, leastRounds);
    for (const source of sources) {
      tell(`distccd: ${source.name}`);
      measured.push(await measureSource(ground, source, count));
    }
    const head = ['preprocessed source', 'protocol', 'the compiler, plainly', ...servers, 'ours, more'];
    return [
      `distccd: Debian's distcc as the client, ${atOnce} jobs at once, -O0; CPU ms of the whole server a file, median of ${count} rounds (min–max)`,
      aligned([head, ...measured.flatMap(rowsOf)]),
      aligned(measured.flatMap(goalsOf)),
    ].join('\n\n');
  } finally {
    for (const daemon of daemons) await daemon.stop();
    for (const group of Object.values(groups)) group.remove();
    network.remove();
  }
}
