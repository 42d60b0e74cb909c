// One side, one round: a fresh tree, the side started, a first build, every source changed, a second build.
import { mkdirSync, openSync, readSync, closeSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { changeEverySource, layOut, type Tree, type TreeOptions } from './corpus.ts';
import { makeCpuGroup } from './cpu.ts';
import type { Network } from './hosts.ts';
import { compressedObjectBytes } from './objects.ts';
import { preparePlain } from './plain.ts';
import { logEnd, run } from './processes.ts';
import type { Ground, Running, Side, Which } from './side.ts';

export type Figures = {
  readonly files: number;
  readonly clientCpuMs: number;
  readonly workerCpuMs: number;
  readonly sentBytes: number;
  readonly receivedBytes: number;
  readonly wallMs: number;
};

export type Beside = { readonly workerCpuMsPerFile: number; readonly compilerCpuMsPerFile: number };

export type Round = Readonly<Record<Which, Figures>> & {
  readonly facts: Readonly<Record<string, string>>;
  /** A third build, and the same compiles run plainly beside it; NaN unless the plan asks for it. */
  readonly beside: Beside;
  /** Of an average object, zstd level 3. */
  readonly objectBytes: number;
};

export type Plan = {
  readonly network: Network;
  readonly scratch: string;
  readonly cache: string;
  readonly tree: TreeOptions;
  readonly jobs: number;
  /** The sides for which is measured what the compiler costs by itself. */
  readonly beside: ReadonlySet<string>;
};

export async function measureRound(side: Side, plan: Plan): Promise<Round> {
  const scratch = join(plan.scratch, 'side');
  const tree = layOut(join(plan.scratch, 'tree'), plan.cache, plan.tree);
  mkdirSync(scratch);
  const groups = { client: makeCpuGroup('client'), workers: makeCpuGroup('workers') };
  const ground: Ground = {
    client: { host: plan.network.client, group: groups.client },
    workers: plan.network.workers.map((host) => ({ host, group: groups.workers })),
    scratch,
  };
  let running: Running | undefined;
  try {
    running = await side.start(ground);
    const build = async (which: Which): Promise<Figures> => {
      return await measureBuild({ side, running: running as Running, ground, tree, plan, which });
    };
    const first = await build('first');
    changeEverySource(tree, `round ${Date.now()}`);
    const second = await build('second');
    const facts = running.facts?.() ?? {};
    const beside = await measureBeside({ side, tree, plan, ground, build });
    const objectBytes = side.name === 'make only' ? Number.NaN : await compressedObjectBytes(tree);
    return { first, second, facts, beside, objectBytes };
  } finally {
    for (const daemon of (running?.daemons ?? []).toReversed()) await daemon.stop();
    for (const group of Object.values(groups)) group.remove();
    rmSync(scratch, { recursive: true, force: true });
  }
}

type Besides = Omit<Measured, 'running' | 'which'> & { readonly build: (which: Which) => Promise<Figures> };

/**
 * The machine's speed drifts by a tenth within minutes, which is many times what is to be seen: the compiler by itself and
 * a build are measured at the same time, under the same load.
 */
async function measureBeside({ side, tree, plan, ground, build }: Besides): Promise<Beside> {
  const { input } = side;
  if (!plan.beside.has(side.name) || input === undefined)
    return { workerCpuMsPerFile: Number.NaN, compilerCpuMsPerFile: Number.NaN };
  changeEverySource(tree, `beside ${Date.now()}`);
  const plain = await preparePlain({ lines: tree.lines, input, jobs: plan.jobs, scratch: ground.scratch });
  const [compilerCpuMs, { workerCpuMs, files }] = await Promise.all([plain(), build('second')]);
  return { workerCpuMsPerFile: workerCpuMs / files, compilerCpuMsPerFile: compilerCpuMs / files };
}

type Measured = {
  readonly side: Side;
  readonly running: Running;
  readonly ground: Ground;
  readonly tree: Tree;
  readonly plan: Plan;
  readonly which: Which;
};

async function measureBuild({ side, running, ground, tree, plan, which }: Measured): Promise<Figures> {
  const log = join(ground.scratch, `${which}.log`);
  const build = { which, tree: tree.directory, jobs: plan.jobs, files: tree.lines.length, log };
  const task = running.command(build);
  const workers = ground.workers[0]?.group;
  const before = { client: ground.client.group.usedMs(), workers: workers?.usedMs() ?? 0, wire: plan.network.wire() };
  const { status, wallMs } = await run(ground.client, task);
  const wire = plan.network.wire();
  const figures = {
    files: tree.lines.length,
    clientCpuMs: ground.client.group.usedMs() - before.client,
    workerCpuMs: (workers?.usedMs() ?? 0) - before.workers,
    sentBytes: wire.sentBytes - before.wire.sentBytes,
    receivedBytes: wire.receivedBytes - before.wire.receivedBytes,
    wallMs,
  };
  if (status !== 0) throw new Error(`${side.name}, ${which} build: status ${status}\n${logEnd(log)}`);
  if (side.name !== 'make only') everyObjectIsThere(side, tree);
  running.check?.(build);
  return figures;
}

function everyObjectIsThere(side: Side, tree: Tree): void {
  for (const { output } of tree.lines) {
    const magic = Buffer.alloc(4);
    const file = openSync(join(tree.directory, output), 'r');
    readSync(file, magic);
    closeSync(file);
    if (magic.toString('latin1') !== '\x7fELF') throw new Error(`${side.name}: ${output} is no object file`);
  }
}
