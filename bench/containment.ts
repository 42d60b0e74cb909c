// What containing a job costs, beside the same command run plainly: CPU of everything that a slot does, in a control group
// that its init enters. Slots with and without namespaces take turns with the plain command, round after round. What the
// kernel's own threads do afterwards, to take the namespaces away, is counted apart: it happens beside the jobs.
import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { identifyToolchain } from '../src/compiler/identify.ts';
import { openControlGroups } from '../src/worker/sandbox/control-groups.ts';
import { memoryBounds } from '../src/worker/sandbox/memory-bounds.ts';
import { isRefusal, startSlot, type SandboxJob, type Slot } from '../src/worker/sandbox/sandbox.ts';
import type { SlotSpawn } from '../src/worker/sandbox/slot-process.ts';
import { layOutToolchain } from '../src/worker/toolchains/layout.ts';
import { emptyTree } from '../src/worker/trees/tree-difference.ts';
import { countDirectories, wholeDirectories } from '../src/worker/trees/whole-directories.ts';
import { compile, file, jobOf, layFiles, openFixture, ran, sourceOf, type Fixture } from '../test/sandbox/fixture.ts';
import { makeCpuGroup, type CpuGroup } from './cpu.ts';
import type { PartPlan } from './part.ts';
import { spreadOf, spreadText } from './statistics.ts';

type Row = {
  readonly name: string;
  readonly jobs: number;
  readonly job: SandboxJob;
  readonly plain: readonly string[];
};

const source = '#include <stdio.h>\n#include <stdlib.h>\n#include <string.h>\nint main(void) { puts(""); return 0; }\n';
const home = 'home/user/project';
const leastRounds = 9;

/** CPU of the kernel's threads so far, by thread. */
function kernelMs(): ReadonlyMap<string, number> {
  const found = new Map<string, number>();
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    try {
      if (!/^(kworker|rcu_|ksoftirqd)/.test(readFileSync(`/proc/${pid}/comm`, 'utf8'))) continue;
      found.set(pid, Number(readFileSync(`/proc/${pid}/schedstat`, 'utf8').split(' ')[0]) / 1e6);
    } catch {
      // It has ended.
    }
  }
  return found;
}

function grown(before: ReadonlyMap<string, number>, after: ReadonlyMap<string, number>): number {
  let sum = 0;
  for (const [pid, ms] of after) sum += ms - (before.get(pid) ?? 0);
  return sum;
}

type Side = { readonly name: string; readonly run: (row: Row) => Promise<void> };
type Cost = { readonly cpuMs: number; readonly kernelMs: number };

// Namespaces are taken away in batches, some milliseconds later.
const afterwardsMs = 100;

async function costOf(cpu: CpuGroup, row: Row, side: Side): Promise<Cost> {
  const [cpuBefore, kernelBefore] = [cpu.usedMs(), kernelMs()];
  await side.run(row);
  await pause(afterwardsMs);
  return {
    cpuMs: (cpu.usedMs() - cpuBefore) / row.jobs,
    kernelMs: grown(kernelBefore, kernelMs()) / row.jobs,
  };
}

async function inSlot(slot: Slot, row: Row): Promise<void> {
  for (let left = row.jobs; left > 0; left -= 1) {
    const { waitStatus, stderr } = await ran(slot, row.job);
    if (waitStatus !== 0) throw new Error(`${row.name}: status ${waitStatus}: ${stderr.toString()}`);
  }
}

/** The compile as a worker runs it: sources over headers over the toolchain, with the large directories shown whole. */
async function compileRow({ options, directory }: Fixture): Promise<Row> {
  const toolchain = await identifyToolchain('/usr/bin/gcc', { pathEnv: '/usr/bin:/bin' });
  if (toolchain.kind !== 'toolchain') throw new Error(toolchain.why);
  await layOutToolchain(join(options.stateDir, 'toolchain'), toolchain.tree, new Map());
  layFiles(directory, { 'work/x.c': source });
  const made = execFileSync('gcc', ['-M', 'x.c'], { cwd: join(directory, 'work'), encoding: 'utf8' });
  const headers = [...made.matchAll(/\/\S+\.h/g)].map(([path]) => path).filter((path) => !toolchain.isInside(path));
  for (const path of headers) {
    const target = join(options.stateDir, 'headers', path);
    mkdirSync(dirname(target), { recursive: true });
    copyFileSync(path, target);
  }
  const { files, symlinks, directories } = toolchain.tree;
  const inToolchain = [...files, ...symlinks].map(({ path }) => path);
  const lowers = [
    { path: 'headers', directories: countDirectories(headers) },
    { path: 'toolchain', directories: countDirectories(inToolchain, directories) },
  ];
  const own = { directories: [home, 'dev', 'proc', 'tmp'], entries: [`${home}/x.c`] };
  const job = jobOf([toolchain.driver, '-c', 'x.c', '-o', 'x.o'], {
    root: { kind: 'exact', lowerDirs: lowers.map(({ path }) => path) },
    whole: wholeDirectories({ lowers, hasToolchain: true, view: emptyTree, ...own }),
    additions: [file(`${home}/x.c`, source)],
    directories: [home],
    env: ['PATH=/usr/bin:/bin'],
    cwd: `/${home}`,
    outputs: [`${home}/x.o`],
  });
  return { name: 'gcc -c, C, three headers', jobs: 20, job, plain: [toolchain.driver, '-c', 'x.c', '-o', 'x.o'] };
}

function programRow({ options, directory }: Fixture): Row {
  const tool = join(options.stateDir, 'tool');
  mkdirSync(tool);
  copyFileSync(join(directory, 'intruder'), join(tool, 'intruder'));
  const root = { kind: 'exact', lowerDirs: ['tool', 'empty'] } as const;
  return {
    name: 'a static program that does nothing',
    jobs: 200,
    job: jobOf(['/intruder'], { root, cwd: '/' }),
    plain: [join(directory, 'intruder')],
  };
}

async function rowText(cpu: CpuGroup, row: Row, plan: { readonly sides: readonly Side[]; readonly rounds: number }) {
  const costs = plan.sides.map((): Cost[] => []);
  for (let round = 0; round < plan.rounds; round += 1) {
    for (const [at, side] of plan.sides.entries()) costs[at]?.push(await costOf(cpu, row, side));
  }
  const lines = plan.sides.map(({ name }, at) => {
    const of = (pick: (cost: Cost, round: number) => number): string =>
      spreadText(spreadOf((costs[at] ?? []).map(pick)), 2).padEnd(20);
    const beyond = of(({ cpuMs }, round) => cpuMs - (costs[0]?.[round]?.cpuMs ?? Number.NaN));
    return `    ${name.padEnd(38)}${of(({ cpuMs }) => cpuMs)}${at === 0 ? ''.padEnd(20) : beyond}${of(({ kernelMs }) => kernelMs)}`;
  });
  return [`  ${row.name}`, ...lines].join('\n');
}

export async function measureContainment({ rounds, tell }: PartPlan): Promise<string> {
  const fixture = await openFixture();
  const cpu = makeCpuGroup('containment');
  const bounds = openControlGroups({ slots: 1, ...memoryBounds(), processes: 600 });
  const started: Slot[] = [];
  const slotSide = async (name: string, more: Partial<SlotSpawn>): Promise<Side> => {
    const group = {
      entrances: [cpu.procsFile, ...(more.group?.entrances ?? [])],
      memoryKills: () => 0,
      tmpfsBytes: () => 0,
      files: undefined,
    };
    const slot = await startSlot({ ...fixture.options, ...more, group });
    if (isRefusal(slot)) throw new Error(slot.why);
    started.push(slot);
    return { name, run: async (row) => inSlot(slot, row) };
  };
  try {
    const repeat = join(fixture.directory, 'repeat');
    compile([sourceOf('test/sandbox/repeat.c')], repeat);
    const rows = [programRow(fixture), await compileRow(fixture)];
    const plainly: Side = {
      name: 'run plainly',
      run: (row) => {
        const enter = `echo $$ > ${cpu.procsFile}; exec "$@"`;
        const cwd = join(fixture.directory, 'work');
        execFileSync('sh', ['-c', enter, 'sh', repeat, String(row.jobs), ...row.plain], { cwd, stdio: 'ignore' });
        return Promise.resolve();
      },
    };
    const [group] = bounds.slots;
    const sides = [
      plainly,
      await slotSide('contained', {}),
      await slotSide(`contained, in groups (${bounds.bounded.join(', ') || 'none'})`, group ? { group } : {}),
      await slotSide('--contain=none', { contain: 'none' }),
    ];
    const texts: string[] = [];
    for (const row of rows) {
      tell(`containment: ${row.name}`);
      texts.push(await rowText(cpu, row, { sides, rounds: Math.max(rounds, leastRounds) }));
    }
    const head = `CPU ms a job, median (min–max)${''.padEnd(12)}${'in all'.padEnd(20)}${'beyond the command'.padEnd(20)}kernel's threads, apart`;
    return [head, ...texts].join('\n');
  } finally {
    for (const slot of started) await slot.close();
    bounds.close();
    cpu.remove();
    await fixture.close();
  }
}
