// What a job in the sandbox costs beyond the command itself: CPU of everything in a cpuacct cgroup, so run it as root
// where cgroup v1's controller is mounted. Medians of rounds that take turns.
//
//   node dist/test/sandbox/cost.js [plain-user-id]
import { execFileSync } from 'node:child_process';
import { chmodSync, copyFileSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { isRefusal, startSlot, type SandboxJob, type Slot } from '../../src/worker/sandbox.ts';
import { compile, file, intrusion, jobOf, layFiles, openFixture, plenty, ran, sourceOf } from './fixture.ts';

const cgroup = '/sys/fs/cgroup/cpuacct/shoal-sandbox-cost';
const rounds = 9;

async function cpuMsOf(count: number, action: () => Promise<void> | void): Promise<number> {
  const used = (): number => Number(readFileSync(join(cgroup, 'cpuacct.usage'), 'utf8'));
  const before = used();
  await action();
  return (used() - before) / 1e6 / count;
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1] ?? Number.NaN;
}

type Row = {
  readonly name: string;
  readonly jobs: number;
  readonly job: SandboxJob;
  readonly plain: readonly string[];
  readonly cwd: string;
};

async function measure(row: Row, slot: Slot, repeat: string): Promise<void> {
  const inside: number[] = [];
  const outside: number[] = [];
  const wall: number[] = [];
  for (let round = 0; round < rounds; round += 1) {
    const enter = `echo $$ > ${cgroup}/tasks; exec "$@"`;
    const plain = (): void => {
      execFileSync('sh', ['-c', enter, 'sh', repeat, String(row.jobs), ...row.plain], {
        cwd: row.cwd,
        stdio: 'ignore',
      });
    };
    outside.push(await cpuMsOf(row.jobs, plain));
    const begun = performance.now();
    const inSlot = async (): Promise<void> => {
      for (let left = row.jobs; left > 0; left -= 1) {
        const { waitStatus } = await ran(slot, row.job);
        if (waitStatus !== 0) throw new Error(`${row.name}: status ${waitStatus}`);
      }
    };
    inside.push(await cpuMsOf(row.jobs, inSlot));
    wall.push((performance.now() - begun) / row.jobs);
  }
  const [sandbox, plain] = [median(inside), median(outside)];
  const numbers = [sandbox, plain, sandbox - plain, median(wall)].map((value) => value.toFixed(2).padStart(8));
  process.stdout.write(`${row.name.padEnd(44)}${numbers.join('')}\n`);
}

const fixture = await openFixture();
mkdirSync(cgroup);
const { directory, options } = fixture;
chmodSync(directory, 0o755);
const user = process.argv[2];
const become = user === undefined ? '' : `setpriv --reuid ${user} --regid ${user} --clear-groups`;
const initPath = join(directory, 'init-in-cgroup');
writeFileSync(initPath, `#!/bin/sh\necho $$ > ${cgroup}/tasks\nexec ${become} ${options.initPath} "$@"\n`, {
  mode: 0o755,
});
const { runAs, ...others } = options;
const slot = await startSlot({ ...others, initPath, ...(user === undefined && runAs ? { runAs } : {}) });
if (isRefusal(slot)) throw new Error(slot.why);
try {
  const repeat = join(directory, 'repeat');
  compile([sourceOf('test/sandbox/repeat.c')], repeat);
  const source =
    '#include <stdio.h>\n#include <stdlib.h>\n#include <string.h>\nint main(void) { puts(""); return 0; }\n';
  layFiles(directory, { 'work/x.c': source });
  const toolLayer = join(options.stateDir, 'tool');
  mkdirSync(toolLayer);
  copyFileSync(join(directory, 'intruder'), join(toolLayer, 'intruder'));
  const static1 = intrusion(fixture, [], { root: { kind: 'exact', lowerDirs: ['tool', 'empty'] }, additions: [] });
  const compileJob = jobOf(['/usr/bin/gcc', '-c', 'x.c', '-o', '/tmp/x.o'], { additions: [file('x.c', source)] });
  const rows: readonly Row[] = [
    {
      name: 'static program, exact, 2 layers',
      jobs: 200,
      job: static1,
      plain: [join(directory, 'intruder')],
      cwd: '/',
    },
    {
      name: 'static program, 8 additions, 6 directories',
      jobs: 200,
      job: {
        ...static1,
        additions: [1, 2, 3, 4, 5, 6, 7, 8].map((n) => file(`home/u/p/src/f${n}`, source)),
        directories: ['home/u/p/src', 'home/u/p/o/a/b', 'var/tmp'],
        outputs: ['home/u/p/src/f1'],
      },
      plain: [join(directory, 'intruder')],
      cwd: '/',
    },
    {
      name: 'static program, with a terminal',
      jobs: 200,
      job: { ...static1, terminal: { bits: 4, columns: 80, rows: 24 } },
      plain: [join(directory, 'intruder')],
      cwd: '/',
    },
    {
      name: 'static program, within the box',
      jobs: 200,
      job: { ...static1, root: compileJob.root, program: '/usr/bin/env', argv: ['env'], limits: plenty },
      plain: ['/usr/bin/env'],
      cwd: '/',
    },
    {
      name: 'gcc -c of a C file, within the box',
      jobs: 20,
      job: { ...compileJob, env: ['PATH=/usr/bin'] },
      plain: ['/usr/bin/gcc', '-c', 'x.c', '-o', join(directory, 'x.o')],
      cwd: join(directory, 'work'),
    },
  ];
  process.stdout.write(`${'CPU ms per job'.padEnd(44)} sandbox   plain  beyond    wall\n`);
  for (const row of rows) await measure(row, slot, repeat);
} finally {
  await slot.close();
  await fixture.close();
  await pause(100);
  rmdirSync(cgroup);
}
