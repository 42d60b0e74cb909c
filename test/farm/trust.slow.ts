// A farm from nothing, by the commands that a user types: `shoal worker` on one box, `shoal pair` there, `shoal join CODE`
// on the others, which find it by mDNS; then a build that names no host.
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import { makeCpuGroup } from '../../bench/cpu.ts';
import { makeNetwork } from '../../bench/hosts.ts';
import { path as programs, run, startDaemon, type Daemon, type Place } from '../../bench/processes.ts';
import { scratchDirectory } from '../../bench/scratch.ts';
import { shoalCommand } from '../../bench/sides/shoal.ts';
import { waitUntil } from '../../bench/wait.ts';
import type { FarmReport } from '../../src/cli/members.ts';

type Box = {
  readonly place: Place;
  readonly home: string;
  readonly shoal: (...args: readonly string[]) => Promise<{ readonly status: number; readonly output: string }>;
  readonly worker: () => Promise<Daemon>;
};

let count = 0;

function boxAt(place: Place, home: string, keep: (daemon: Daemon) => void): Box {
  mkdirSync(home, { mode: 0o711 });
  const env = { HOME: home, PATH: `${programs}:${join(process.execPath, '..')}` };
  return {
    place,
    home,
    shoal: async (...args) => {
      const log = join(home, `command-${(count += 1)}.log`);
      const { status } = await run(place, { argv: shoalCommand(...args), env, cwd: home, log, ownRun: true });
      return { status, output: readFileSync(log, 'utf8') };
    },
    worker: async () => {
      const log = join(home, `worker-${(count += 1)}.log`);
      const daemon = startDaemon(place, { argv: shoalCommand('worker'), env, log, ownRun: true });
      keep(daemon);
      await waitUntil(`a worker on ${place.host.address}`, 60_000, () => /^ready /m.test(readFileSync(log, 'utf8')));
      return daemon;
    },
  };
}

async function done(what: Promise<{ readonly status: number; readonly output: string }>): Promise<string> {
  const { status, output } = await what;
  assert.equal(status, 0, output);
  return output;
}

const codeIn = (output: string): string => {
  const code = /^(?:[0-9A-Z]{4}-){6}[0-9A-Z]{4}$/m.exec(output)?.[0];
  assert.ok(code !== undefined, output);
  return code;
};

test('a farm of three boxes, without a host’s name anywhere', { timeout: 300_000 }, async (t) => {
  const scratch = scratchDirectory();
  const network = makeNetwork(2);
  const groups = { client: makeCpuGroup('client'), workers: makeCpuGroup('workers') };
  const daemons: Daemon[] = [];
  const keep = (daemon: Daemon): void => void daemons.push(daemon);
  t.after(async () => {
    for (const daemon of daemons.toReversed()) await daemon.stop();
    for (const group of Object.values(groups)) group.remove();
    network.remove();
  });
  const [first, second] = network.workers.map((host, at) =>
    boxAt({ host, group: groups.workers }, join(scratch, `box-${at + 1}`), keep),
  );
  const laptop = boxAt({ host: network.client, group: groups.client }, join(scratch, 'laptop'), keep);
  assert.ok(first !== undefined && second !== undefined);

  await first.worker();
  const workerCode = codeIn(await done(first.shoal('pair', '--role', 'worker')));
  await done(second.shoal('join', workerCode, '--name', 'second', '--yes'));
  const seconds = await second.worker();
  const clientCode = codeIn(await done(first.shoal('pair')));
  await done(laptop.shoal('join', clientCode, '--name', 'laptop', '--yes'));

  const tree = join(laptop.home, 'tree');
  mkdirSync(tree);
  const sources = Array.from({ length: 12 }, (_, at) => `f${at}`);
  for (const name of sources) writeFileSync(join(tree, `${name}.c`), `#include <stdio.h>\nint ${name};\n`);
  const rule = '%.o: %.c\n\tcc -O2 -c $<\n';
  writeFileSync(join(tree, 'Makefile'), `all: ${sources.map((name) => `${name}.o`).join(' ')}\n${rule}`);
  const build = async (): Promise<Record<string, { readonly jobs: number }>> => {
    const summary = join(laptop.home, 'summary.json');
    const output = await done(laptop.shoal('--strict', '--summary', summary, 'make', '-B', '-C', 'tree', '-j8'));
    const counted = JSON.parse(readFileSync(summary, 'utf8')) as {
      readonly remote: number;
      readonly cached: number;
      readonly hosts: Record<string, { readonly jobs: number }>;
    };
    assert.equal(counted.remote + counted.cached, sources.length, output);
    return counted.hosts;
  };
  // A worker tells the others of itself behind its `ready`: on a busy box the first build may come sooner.
  let hosts = await build();
  for (let tries = 0; tries < 20 && Object.keys(hosts).length < 2; tries += 1) {
    await new Promise((resolve) => setTimeout(resolve, 500));
    hosts = await build();
  }
  assert.deepEqual(Object.keys(hosts).toSorted(), network.workers.map(({ address }) => `${address}:8475`).toSorted());

  // `members` prints JSON on stdout, a line that begins with its own.
  const members = /^\{"farm".*$/m.exec(await done(first.shoal('members', '--json')))?.[0] ?? '{}';
  const { members: rows } = JSON.parse(members) as FarmReport;
  // It is let in by a process that cannot write the identity.
  assert.ok(
    rows.some(({ name, lastSeen }) => name === 'laptop' && lastSeen !== undefined),
    members,
  );

  // Whoever is put out gets no more work: the admin's box tells the client.
  await done(first.shoal('revoke', 'second'));
  const after = await build();
  const shares = Object.values(after).map(({ jobs }) => jobs);
  assert.equal(Math.max(...shares), sources.length, JSON.stringify(after));
  await seconds.stop();
});
