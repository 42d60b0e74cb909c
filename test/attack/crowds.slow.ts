// Attacks that take long to be made, and those on clang: as member.test.ts.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import { sourceOf } from '../sandbox/fixture.ts';
import { clangOptions } from './cases/options.ts';
import { reading } from './cases/reading.ts';
import { crowds } from './cases/resources.ts';
import { attack, onGround, type Attack, type GroundSpec } from './ground.ts';

async function attackAll(t: TestContext, spec: GroundSpec, attacks: readonly Attack[]): Promise<void> {
  await onGround(spec, async (ground) => {
    for (const each of attacks) await t.test(each.name, () => attack(ground, each));
  });
}

test('files without number', (t) => attackAll(t, { jobMemoryBytes: 512 << 20 }, crowds));

test('clang, its plugins and its ways to read and write', (t) =>
  attackAll(t, { command: 'clang' }, [...clangOptions, ...reading]));

/** Groups that workers have made and that are still there. */
function groups(): readonly string[] {
  const hierarchies = ['memory', 'pids'].map((name) => join('/sys/fs/cgroup', name)).filter((path) => existsSync(path));
  return hierarchies.flatMap((path) =>
    readdirSync(path, { recursive: true })
      .map(String)
      .filter((name) => /(^|\/)shoal-\d+$/.test(name))
      .map((name) => join(path, name)),
  );
}

async function untilReady(state: string): Promise<ReturnType<typeof spawn>> {
  const args = [sourceOf('bin/shoal.js'), 'worker', '--slots', '2', '--state', state, '--listen', '127.0.0.1:0'];
  const worker = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  const [said] = (await once(worker.stdout, 'data')) as [Buffer];
  assert.match(said.toString(), /^ready /);
  return worker;
}

test('control groups of a worker that is killed are removed by the next, whose own go with it', async () => {
  const state = mkdtempSync(join(tmpdir(), 'shoal-groups-'));
  try {
    const killed = await untilReady(state);
    const made = groups().filter((path) => path.endsWith(`shoal-${killed.pid}`));
    killed.kill('SIGKILL');
    await once(killed, 'close');
    const next = await untilReady(state);
    assert.deepEqual(
      made.filter((path) => existsSync(path)),
      [],
    );
    const own = groups().filter((path) => path.endsWith(`shoal-${next.pid}`));
    assert.equal(own.length, made.length);
    next.kill('SIGTERM');
    await once(next, 'close');
    assert.deepEqual(
      own.filter((path) => existsSync(path)),
      [],
    );
    // Root has them wherever version 1 is mounted.
    const isBoundable = existsSync('/sys/fs/cgroup/memory/memory.limit_in_bytes');
    assert.ok(made.length > 0 || !isBoundable);
  } finally {
    rmSync(state, { recursive: true, force: true });
  }
});
