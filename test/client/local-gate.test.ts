// `make -j40` with the real daemon, and nothing or nobody to send the compiles to: this box runs as many as it has CPUs.
import assert from 'node:assert/strict';
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, beforeEach, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { waitUntil } from '../../bench/wait.ts';
import { openRuntimeDir } from '../../src/trust/runtime-dir.ts';
import { cpus } from '../launcher/gating.ts';

const main = fileURLToPath(new URL('../../../dist/shoal/main.js', import.meta.url));
const base = mkdtempSync(join(tmpdir(), 'shoal-local-gate-'));
const project = join(base, 'project');
const { PATH = '' } = process.env;
const environment = { PATH, HOME: base, XDG_CACHE_HOME: join(base, 'cache'), XDG_STATE_HOME: join(base, 'state') };
const summaryFile = join(base, 'summary.json');
const files = 12;
const patienceMs = 60_000;

/** What takes a fifth of a second to compile. */
function sourceText(number: number): string {
  const one = (at: number): string =>
    `int f${number}_${at}(int *a, int n) { int s = ${at}; for (int i = 0; i < n; i++) s += a[i] * s ^ a[n - i]; return s; }`;
  return Array.from({ length: 60 }, (_, at) => one(at)).join('\n');
}

beforeEach(() => {
  rmSync(project, { recursive: true, force: true });
  mkdirSync(project);
  for (let number = 0; number < files; number += 1) writeFileSync(join(project, `f${number}.c`), sourceText(number));
  const objects = Array.from({ length: files }, (_, number) => `f${number}.o`).join(' ');
  const rules = `%.o: %.c\n\t$(CC) -O2 -D${marker} -c $< -o $@\n`;
  writeFileSync(join(project, 'Makefile'), `all: ${objects}\n\tar rc all.a ${objects}\n${rules}`);
});
after(() => rmSync(base, { recursive: true, force: true }));

const marker = `SHOAL_LOCAL_GATE_${process.pid}`;
const ownMounts = readlinkSync('/proc/self/ns/mnt');

/** Compilers that run here, outside every sandbox. */
function runningHere(): number {
  return readdirSync('/proc').filter((pid) => {
    try {
      if (!/^\d+$/.test(pid) || !/^\d+ \(cc1\)/.test(readFileSync(`/proc/${pid}/stat`, 'latin1'))) return false;
      const isOurs = readFileSync(`/proc/${pid}/cmdline`, 'latin1').includes(marker);
      return isOurs && readlinkSync(`/proc/${pid}/ns/mnt`) === ownMounts;
    } catch {
      return false; // It has ended in the meantime.
    }
  }).length;
}

type Built = {
  readonly status: number | null;
  readonly stderr: string;
  /** The most compilers that were seen here at a time. */
  readonly most: number;
  readonly summary: Readonly<Record<string, unknown>>;
};

/** `shoal make -j40`, watched; `meanwhile` is done once some objects are there. */
async function build(hosts: string, meanwhile: () => void): Promise<Built> {
  const env = { ...environment, SHOAL_HOSTS: hosts, SHOAL_SUMMARY: summaryFile };
  const child = spawn(process.execPath, [main, 'make', '-s', '-j40'], {
    cwd: project,
    env,
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let stderr = '';
  let most = 0;
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
  const watch = setInterval(() => (most = Math.max(most, runningHere())), 10);
  const end = new Promise<number | null>((resolve) => child.once('close', resolve));
  try {
    await waitUntil('some objects', patienceMs, () => objects() >= 3);
    meanwhile();
    const status = await end;
    return { status, stderr, most, summary: JSON.parse(readFileSync(summaryFile, 'utf8')) as Built['summary'] };
  } finally {
    clearInterval(watch);
  }
}

const objects = (): number => readdirSync(project).filter((name) => name.endsWith('.o')).length;

function builtWithin({ status, stderr, most }: Built): void {
  assert.equal(status, 0, stderr);
  assert.ok(existsSync(join(project, 'all.a')));
  assert.ok(most >= 1 && most <= cpus, `${most} compilers at a time`);
  const left = readdirSync(openRuntimeDir().path).filter((name) => name !== 'worker.sock'); // the killed worker's
  assert.deepEqual(left, []);
}

test('with no worker, compiles wait here for a slot, and only what they run is counted as their time', async () => {
  const built = await build('127.0.0.1:1', () => {
    const { stdout } = spawnSync(process.execPath, [main, 'status', '--json'], { env: environment, encoding: 'utf8' });
    const { here, waiting } = JSON.parse(stdout) as { readonly here: number; readonly waiting: number };
    assert.ok(here >= 1 && here <= cpus && waiting > 0, stdout);
  });
  builtWithin(built);
  const { reasons, reasonSeconds, wallMs } = built.summary;
  assert.deepEqual(reasons, { 'no-worker': files });
  const seconds = (reasonSeconds as Readonly<Record<string, number>>)['no-worker'] ?? Infinity;
  assert.ok(seconds <= (cpus * (wallMs as number)) / 1000, `${seconds} s in ${String(wallMs)} ms`);
});

test('the daemon killed in mid-build changes nothing of it', async () => {
  builtWithin(
    await build('127.0.0.1:1', () => {
      const { stdout } = spawnSync(process.execPath, [main, 'status', '--json'], {
        env: environment,
        encoding: 'utf8',
      });
      process.kill((JSON.parse(stdout) as { readonly pid: number }).pid, 'SIGKILL');
    }),
  );
});

test('the only worker killed in mid-build sends its compiles home, where they wait for a slot', async () => {
  const { worker, address } = await startWorker();
  const built = await build(address, () => void worker.kill('SIGKILL'));
  builtWithin(built);
  assert.ok((built.summary['remote'] as number) >= 1 && (built.summary['local'] as number) >= 1, built.stderr);
});

async function startWorker(): Promise<{ readonly worker: ChildProcess; readonly address: string }> {
  const words = ['worker', '--listen', '127.0.0.1:0', '--slots', '2', '--state', join(base, 'worker')];
  const worker = spawn(process.execPath, [main, ...words], { stdio: ['ignore', 'pipe', 'inherit'], env: environment });
  const address = await new Promise<string>((resolve, reject) => {
    let text = '';
    worker.stdout.on('data', (chunk: Buffer) => {
      text += chunk.toString();
      const ready = /^ready (\S+)$/m.exec(text);
      if (ready?.[1] !== undefined) resolve(ready[1]);
    });
    worker.on('close', (status) => reject(new Error(`the worker ended with ${status}`)));
  });
  return { worker, address };
}
