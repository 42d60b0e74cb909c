// `npm run exactness [NAME…]`: the matrix with something else in the compiler's place, one side after the other, on one
// worker of a network on this machine; writes the scores into docs/exactness.md. Needs root and the peers' packages.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { makeCpuGroup } from '../../bench/cpu.ts';
import { makeNetwork } from '../../bench/hosts.ts';
import { mustRun, path, type Daemon } from '../../bench/processes.ts';
import { scratchDirectory } from '../../bench/scratch.ts';
import type { Ground, Side } from '../../bench/side.ts';
import { distcc } from '../../bench/sides/distcc.ts';
import { icecream } from '../../bench/sides/icecream.ts';
import { ccache } from '../../bench/sides/local.ts';
import { clientEnvironment, shoalCommand, startWorkers } from '../../bench/sides/shoal.ts';
import { cases } from './cases.ts';
import { publish, type Row, type Table } from './page.ts';
import { differing, prepareRun, type Outcomes, type Run } from './runs.ts';

const width = 4;

type Env = Readonly<Record<string, string>>;
type Started = {
  readonly env: Env;
  readonly daemons: readonly Daemon[];
  readonly argv?: (run: Run) => readonly string[];
};
type Contestant = {
  readonly name: string;
  readonly runs: readonly string[];
  readonly start: (ground: Ground) => Promise<Started>;
};

const contestants: readonly Contestant[] = [
  { name: 'compiler', runs: ['the compiler itself, again'], start: async () => ({ env: {}, daemons: [] }) },
  { name: 'shoal', runs: ['shoal', 'shoal, from its memory'], start: startShoal },
  {
    name: 'ccache',
    runs: ['ccache', 'ccache, from its cache'],
    start: (ground) => startPeer(ccache, '/usr/lib/ccache', ground),
  },
  { name: 'distcc', runs: ['distcc'], start: (ground) => startPeer(distcc, '/usr/lib/distcc', ground) },
  { name: 'icecream', runs: ['icecream'], start: (ground) => startPeer(icecream, '/usr/lib/icecc/bin', ground) },
];

async function startShoal(ground: Ground): Promise<Started> {
  const daemons = await startWorkers(ground);
  const argv = (run: Run): readonly string[] => shoalCommand('run', '--', ...run.argv);
  return { env: clientEnvironment(ground), daemons, argv };
}

/** A peer under its compiler names, as it comes: it may fall back, and what it says for itself goes to a log. */
async function startPeer(side: Side, names: string, ground: Ground): Promise<Started> {
  const { command, daemons } = await side.start(ground);
  const task = command({ which: 'first', tree: ground.scratch, jobs: width, files: 0, log: '' });
  const { DISTCC_FALLBACK: _strict, ...env } = { ...task.env };
  return { env: { ...env, PATH: `${names}:${path}`, DISTCC_LOG: join(ground.scratch, 'distcc.log') }, daemons };
}

async function measure(contestant: Contestant): Promise<Row[]> {
  const scratch = scratchDirectory();
  const network = makeNetwork(1);
  const groups = { client: makeCpuGroup('client'), workers: makeCpuGroup('workers') };
  const client = { host: network.client, group: groups.client };
  const ground: Ground = { client, workers: network.workers.map((host) => ({ host, group: groups.workers })), scratch };
  const run = prepareRun(join(scratch, 'matrix'), cases, { width });
  mkdirSync(join(scratch, 'home'));
  const go = async (argv: readonly string[], env: Env): Promise<Outcomes> => {
    await mustRun(client, {
      argv,
      env: { HOME: scratch, ...env },
      cwd: scratch,
      log: join(scratch, 'run.log'),
      ownRun: true,
    });
    return run.read();
  };
  const home = await go(run.argv, {});
  const { env, daemons, argv } = await contestant.start(ground);
  const rows: Row[] = [];
  for (const name of contestant.runs) {
    const away = await go(argv?.(run) ?? run.argv, env);
    rows.push(rowOf(name, home, away));
    if (process.env['SHOAL_MATRIX_DIFFERENCES'] !== undefined) {
      writeFileSync(process.env['SHOAL_MATRIX_DIFFERENCES'], differing(cases, home, away).join('\n'));
    }
  }
  for (const daemon of daemons) await daemon.stop();
  for (const group of Object.values(groups)) group.remove();
  network.remove();
  return rows;
}

function rowOf(name: string, home: Outcomes, away: Outcomes): Row {
  const casesWith = (pattern: RegExp): number =>
    cases.filter((one) => differing([one], home, away).some((line) => pattern.test(line.slice(one.name.length))))
      .length;
  const same = cases.length - casesWith(/^/);
  const share = `${((same / cases.length) * 100).toFixed(1).replace('100.0', '100')} %`;
  const counts = [/^: status/, /^: std(?:out|err)/, /^: (?!status|stdout|stderr)/].map(casesWith);
  return [name, `${same} of ${cases.length}`, share, ...counts.map(String)];
}

const table: Table = {
  name: 'scores',
  page: 'docs/exactness.md',
  heading: ['in the place of the compiler', 'identical', 'share', 'other status', 'other text', 'other files'],
  keys: contestants.flatMap(({ runs }) => runs.map((name) => [name])),
};

const wanted = process.argv.slice(2);
const rows: Row[] = [];
for (const contestant of contestants) {
  if (wanted.length > 0 && !wanted.includes(contestant.name)) continue;
  rows.push(...(await measure(contestant)));
  // A part of the cases says nothing that others should read.
  if (process.env['SHOAL_MATRIX_ONLY'] === undefined) publish(table, rows);
}
process.stdout.write(`${rows.map((row) => row.join(', ')).join('\n')}\n`);
