// `shoal worker --distcc`: a worker's other clients and distcc's at once.
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'node:test';
import { fileURLToPath } from 'node:url';
import { waitUntil } from '../../bench/wait.ts';
import { runDistcc } from './programs.ts';

const shoal = fileURLToPath(new URL('../../../bin/shoal.js', import.meta.url));
const patienceMs = 60_000;

type Running = {
  readonly directory: string;
  readonly pid: number;
  /** Behind a word that the worker says. */
  readonly address: (word: 'ready' | 'distcc') => string;
  /** Asks for the end; gives the status. */
  readonly stop: () => Promise<unknown>;
};

async function withWorker(body: (running: Running) => Promise<void>): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'shoal-distcc-'));
  writeFileSync(join(directory, 'x.c'), 'int f(void) { return 1; }\n');
  const places = ['--listen', '127.0.0.1:0', '--distcc', '127.0.0.1:0', '--state', join(directory, 'state')];
  const argv = [shoal, 'worker', ...places, '--slots', '2'];
  const child = spawn(process.execPath, argv, { stdio: ['ignore', 'pipe', 'ignore'] });
  const closed = once(child, 'close');
  let said = '';
  child.stdout.on('data', (piece) => (said += String(piece)));
  const stop = async (): Promise<unknown> => {
    child.kill('SIGTERM');
    return ((await closed) as unknown[])[0];
  };
  try {
    await waitUntil('both are there', patienceMs, () => /^ready /m.test(said) && /^distcc /m.test(said));
    const address: Running['address'] = (word) => new RegExp(`^${word} (.*)$`, 'm').exec(said)?.[1] ?? '';
    await body({ directory, pid: child.pid ?? 0, address, stop });
  } finally {
    await stop();
    rmSync(directory, { recursive: true, force: true });
  }
}

function compile({ directory, address }: Running): ReturnType<typeof runDistcc> {
  return runDistcc({ cwd: directory, hosts: address('distcc'), argv: ['gcc', '-c', 'x.c'] });
}

const compiled = { status: 0, stdout: '', stderr: '' };

test('a worker serves both, says where, has who compiled in its audit log, and ends with status 0', () =>
  withWorker(async (running) => {
    const { directory, address, stop } = running;
    assert.deepEqual(compile(running), compiled);
    const built = spawnSync(process.execPath, [shoal, 'run', '--', 'gcc', '-c', 'x.c'], {
      cwd: directory,
      env: { ...process.env, SHOAL_HOSTS: address('ready'), SHOAL_STRICT: '1', SHOAL_RESULT_CACHE: 'off' },
      encoding: 'utf8',
    });
    assert.equal(built.status, 0, built.stderr);
    assert.equal(await stop(), 0);
    const lines = readFileSync(join(directory, 'state/audit.log'), 'utf8').trim().split('\n');
    const jobs = lines
      .map((line) => JSON.parse(line) as Readonly<Record<string, unknown>>)
      .filter(({ event }) => event === 'job');
    const seen = jobs.map(({ client, address: from, result, exitCode, action }) => {
      return { client, from, result, exitCode, hasAction: action !== undefined };
    });
    const stranger = { client: 'stranger', from: '127.0.0.1', result: 'ran', exitCode: 0 };
    assert.deepEqual(seen[0], { ...stranger, hasAction: false });
    assert.ok(seen.some(({ hasAction }) => hasAction));
  }));

/** The process of the worker that serves. */
function frontOf(pid: number): number | undefined {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean);
  return children.map(Number).find((child) => readFileSync(`/proc/${child}/cmdline`, 'utf8').includes('\0front\0{'));
}

test('what parses requests is another user than root; killed, it serves again at the same port', () =>
  withWorker(async (running) => {
    assert.deepEqual(compile(running), compiled);
    const first = frontOf(running.pid) ?? assert.fail('no front');
    assert.match(readFileSync(`/proc/${first}/status`, 'utf8'), /^Uid:\t64999\t64999\t64999\t64999$/m);
    process.kill(first, 'SIGKILL');
    await waitUntil('it serves again', patienceMs, () => compile(running).status === 0);
    assert.notEqual(frontOf(running.pid), first);
    assert.equal(await running.stop(), 0);
  }));

test('it does not listen for strangers without a list of addresses', () => {
  const refused = spawnSync(process.execPath, [shoal, 'worker', '--distcc', '0.0.0.0:0'], { encoding: 'utf8' });
  assert.equal(refused.status, 2);
  assert.match(refused.stderr, /distcc's clients do not prove who they are: say which addresses/);
});
