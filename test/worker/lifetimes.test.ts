// A worker is several processes: whichever of them is killed, and whenever, nothing of it is left behind, or it serves on.
import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'node:test';
import { packageRoot } from '../../src/native.ts';
import { connect, type ReapiClient } from '../../src/reapi/client.ts';
import { actionBlobs } from './rig.ts';

type Running = {
  readonly keeper: ChildProcess;
  readonly pid: number;
  readonly said: () => string;
  readonly ended: Promise<unknown>;
};

type Ground = {
  readonly start: () => Promise<Running>;
  /** What a shell on the worker says. */
  readonly run: (script: string) => Promise<string>;
};

const patienceMs = 20_000;

async function until(what: string, holds: () => boolean): Promise<void> {
  const end = performance.now() + patienceMs;
  while (!holds()) {
    assert.ok(performance.now() < end, `not within ${patienceMs} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

function childrenOf(pid: number): readonly number[] {
  const path = `/proc/${pid}/task/${pid}/children`;
  return existsSync(path) ? readFileSync(path, 'utf8').split(' ').filter(Boolean).map(Number) : [];
}

/** The process that serves, a child of the keeper that is not a slot. */
function frontOf({ pid }: Running): number {
  const commandOf = (child: number): string => readFileSync(`/proc/${child}/cmdline`, 'latin1');
  return childrenOf(pid).find((child) => commandOf(child).includes('\0front\0{')) ?? assert.fail('no front');
}

function everyBelow(pid: number): readonly number[] {
  return childrenOf(pid).flatMap((child) => [child, ...everyBelow(child)]);
}

const isAlive = (pid: number): boolean => {
  try {
    // A zombie of init's is gone for us.
    return !readFileSync(`/proc/${pid}/stat`, 'latin1').includes(') Z ');
  } catch {
    return false;
  }
};

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

async function withGround(body: (ground: Ground) => Promise<void>): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'shoal-lifetimes-'));
  const port = await freePort();
  const started: Running[] = [];
  const start: Ground['start'] = async () => {
    const state = ['--slots', '2', '--state', join(directory, 'state')];
    const argv = [join(packageRoot(), 'bin/shoal.js'), 'worker', '--listen', `127.0.0.1:${port}`, ...state];
    const env = { ...process.env, HOME: directory };
    const keeper = spawn(process.execPath, argv, { stdio: ['ignore', 'pipe', 'pipe'], env });
    let said = '';
    for (const stream of [keeper.stdout, keeper.stderr]) stream.on('data', (chunk: Buffer) => (said += chunk));
    const running = { keeper, pid: keeper.pid ?? 0, said: () => said, ended: once(keeper, 'exit') };
    started.push(running);
    await until('a worker that serves', () => /^ready /m.test(said) || keeper.exitCode !== null);
    assert.equal(keeper.exitCode, null, said);
    return running;
  };
  const run: Ground['run'] = async (script) => {
    const client: ReapiClient = connect({ kind: 'tcp', host: '127.0.0.1', port }, { connectTimeoutMs: 5000 });
    try {
      const action = actionBlobs({ argv: ['/bin/sh', '-c', script], tree: {} });
      await client.upload(action.blobs);
      const request = { actionDigest: action.digest, skipCacheLookup: true, inlineOutputs: [] };
      const outcome = await client.execute(request, { deadlineMs: 30_000 });
      return outcome.kind === 'done' ? outcome.result.stdoutRaw.toString() : outcome.kind;
    } finally {
      client.close();
    }
  };
  try {
    await body({ start, run });
  } finally {
    for (const { keeper } of started) keeper.kill('SIGKILL');
    rmSync(directory, { recursive: true, force: true, maxRetries: 5 });
  }
}

async function untilServed(run: Ground['run']): Promise<void> {
  const end = performance.now() + patienceMs;
  for (;;) {
    const said = await run('echo served').catch((error: unknown) => (error as Error).message);
    if (said === 'served\n') return;
    assert.ok(performance.now() < end, said);
  }
}

test('a worker whose serving process is killed serves again, and no job of before goes on', () =>
  withGround(async ({ start, run }) => {
    const worker = await start();
    for (const moment of ['idle', 'in the middle of a job']) {
      const front = frontOf(worker);
      const job = moment === 'idle' ? undefined : run('sleep 600').catch(() => 'failed');
      const before = childrenOf(worker.pid);
      if (job !== undefined) await until('a job', () => everyBelow(worker.pid).length > before.length + 3);
      const all = everyBelow(worker.pid);
      process.kill(front, 'SIGKILL');
      await until('the end of what it had', () => !all.some(isAlive));
      assert.notEqual(await job, 'done');
      await untilServed(run);
    }
    assert.match(worker.said(), /started again/);
    worker.keeper.kill('SIGTERM');
    await worker.ended;
    assert.equal(worker.keeper.exitCode, 0, worker.said());
  }));

test('with the keeper all ends, at whatever moment, and the next worker starts', () =>
  withGround(async ({ start, run }) => {
    for (const moment of ['idle', 'in the middle of a job', 'while its front is started again']) {
      const worker = await start();
      const idle = everyBelow(worker.pid).length;
      if (moment === 'in the middle of a job') {
        run('sleep 600').catch(() => undefined);
        await until('a job', () => everyBelow(worker.pid).length > idle);
      }
      if (moment === 'while its front is started again') process.kill(frontOf(worker), 'SIGKILL');
      const all = everyBelow(worker.pid);
      worker.keeper.kill('SIGKILL');
      await worker.ended;
      await until(`the end of all, ${moment}`, () => !all.some(isAlive));
    }
    const last = await start();
    assert.equal(await run('echo served'), 'served\n');
    last.keeper.kill('SIGTERM');
    await last.ended;
  }));

test('the first signal lets a job end, the second does not, and neither leaves anything', () =>
  withGround(async ({ start, run }) => {
    for (const signals of [1, 2]) {
      const worker = await start();
      const idle = everyBelow(worker.pid).length;
      const job = run(signals === 1 ? 'sleep 1; echo finished' : 'sleep 600').catch(() => 'failed');
      await until('a job', () => everyBelow(worker.pid).length > idle);
      const all = everyBelow(worker.pid);
      worker.keeper.kill('SIGTERM');
      if (signals === 2) {
        await new Promise((resolve) => setTimeout(resolve, 200));
        worker.keeper.kill('SIGTERM');
      }
      if (signals === 1) assert.equal(await job, 'finished\n');
      await worker.ended;
      assert.equal(worker.keeper.exitCode, 0, worker.said());
      assert.deepEqual(all.filter(isAlive), []);
      const state = join(worker.keeper.spawnargs.at(-1) ?? '');
      assert.ok(!readdirSync(state).includes('lock'));
      assert.deepEqual(readdirSync(join(state, 'front')), []);
    }
  }));
