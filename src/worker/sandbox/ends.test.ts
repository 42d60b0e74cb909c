// How jobs end, and that nothing is left of them.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import test, { after, before } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import fc from 'fast-check';
import {
  file,
  intrusion,
  jobOf,
  openFixture,
  plenty,
  processesWith,
  ran,
  shell,
  type Fixture,
} from '../../../test/sandbox/fixture.ts';
import { encodeJob, newFrameReader } from './codec.ts';
import { isRefusal, startSlot, type Slot } from './sandbox.ts';

let fixture: Fixture;
before(async () => (fixture = await openFixture()));
after(() => fixture.close());

// No test here waits longer than this for what takes a moment.
const momentMs = 5000;

async function untilGone(word: string): Promise<void> {
  for (const end = Date.now() + momentMs; processesWith(word).length > 0; await pause(5)) {
    assert.ok(Date.now() < end, `${word} is still there`);
  }
}

test('a background process ends with the compiler, however it holds on', async () => {
  const begun = performance.now();
  const loops = 'for i in 1 2 3; do (while :; do :; done) & done; echo done; exit 3';
  const shells = await ran(fixture.slot, shell(loops));
  assert.deepEqual([shells.text, shells.waitStatus, shells.trouble], ['done\n', 0x300, []]);
  const bomb = await ran(fixture.slot, intrusion(fixture, ['ignore'], { limits: { ...plenty, processes: 20 } }));
  assert.equal(bomb.waitStatus, 0x700);
  assert.ok(performance.now() - begun < momentMs);
  const seen = await ran(fixture.slot, shell('ls /proc | grep -c "^[0-9]"'));
  assert.ok(Number(seen.text) <= 5, seen.text);
});

test("a job over its time is ended, and its failure is not the user's", async () => {
  const limits = { ...plenty, wallMs: 150 };
  const slow = await ran(fixture.slot, shell('echo begun; sleep 60', { limits }));
  assert.deepEqual([slow.text, slow.waitStatus, slow.trouble], ['begun\n', 9, ['deadline']]);
  const busy = await ran(fixture.slot, shell('while :; do :; done', { limits: { ...plenty, cpuSeconds: 1 } }));
  assert.ok(busy.trouble.includes('deadline'), busy.trouble.join());
});

test('a signal ends a job as it would at home, and is told apart from a status', async () => {
  const done = await ran(fixture.slot, shell('kill -SEGV $$'));
  assert.deepEqual([done.waitStatus, done.trouble], [11, ['signal']]);
});

test('more output than the bound is trouble, at once', async () => {
  const limits = { ...plenty, outputBytes: 100_000 };
  const endless = await ran(fixture.slot, shell('yes', { limits }));
  assert.deepEqual([endless.stdout.length, endless.trouble], [100_000, ['output-limit']]);
  const large = await ran(fixture.slot, shell('head -c 100001 /dev/urandom > o', { limits, outputs: ['o'] }));
  assert.deepEqual([large.outputs, large.trouble], [[], ['output-limit']]);
});

test('a full disk is trouble', async () => {
  const limits = { ...plenty, diskBytes: 4 << 20 };
  const full = await ran(fixture.slot, intrusion(fixture, ['grow', '8'], { limits }));
  assert.ok(full.trouble.includes('disk-full'), full.trouble.join());
  assert.notEqual(full.waitStatus, 0);
});

test('memory is bounded', async () => {
  const limits = { ...plenty, memoryBytes: 64 << 20 };
  const greedy = await ran(
    fixture.slot,
    shell('head -c 200M /dev/urandom | sort > /dev/null', { limits: { ...limits, diskBytes: 1 << 20 } }),
  );
  assert.notEqual(greedy.waitStatus, 0);
});

test('outputs that are no plain files are not read, and nothing hangs or grows', async () => {
  const { outputs, trouble } = await ran(
    fixture.slot,
    intrusion(fixture, ['traps'], {
      directories: ['out'],
      outputs: [
        'out/fifo',
        'out/vast',
        'out/link',
        'out/up/intruder',
        'out/magic/intruder',
        'dev/null',
        'out/none',
        'out/closed',
      ],
    }),
  );
  assert.deepEqual(outputs, [
    { path: 'out/link', kind: 'symlink', target: '/intruder' },
    { path: 'out/closed', kind: 'directory' },
    { path: 'out/closed/file', kind: 'file', content: Buffer.alloc(0), executable: false },
  ]);
  assert.deepEqual(trouble, ['output-limit']);
});

test('directories come back whole, large files in full', async () => {
  const script =
    'mkdir -p d/e/f; seq 1 400000 > d/e/long; echo x > d/run; chmod +x d/run; ln -s run d/link; cat d/e/long >&2';
  const done = await ran(fixture.slot, shell(script, { outputs: ['d'] }));
  const long = Array.from({ length: 400_000 }, (_, index) => `${index + 1}\n`).join('');
  const byPath = new Map(done.outputs.map((output) => [output.path, output]));
  assert.deepEqual([...byPath.keys()].toSorted(), ['d', 'd/e', 'd/e/f', 'd/e/long', 'd/link', 'd/run']);
  const output = byPath.get('d/e/long');
  assert.ok(output?.kind === 'file' && output.content.equals(Buffer.from(long)));
  assert.ok(done.stderr.equals(Buffer.from(long)));
  const run = byPath.get('d/run');
  assert.ok(run?.kind === 'file' && run.executable);
});

/** The slot's own processes: a job's leader is about to end when its answer is here, and may be seen for a moment. */
async function keepersOf(slot: Fixture): Promise<readonly number[]> {
  const keeperAndInit = 2;
  for (const end = Date.now() + momentMs; ; await pause(5)) {
    const found = processesWith(slot.options.stateDir);
    if (found.length === keeperAndInit) return found;
    assert.ok(Date.now() < end, `${found.length} processes of the slot`);
  }
}

test('an abort ends the job, not the slot', async () => {
  const keepers = await keepersOf(fixture);
  const aborting = new AbortController();
  const running = fixture.slot.run(shell('sleep 60'), aborting.signal);
  setImmediate(() => aborting.abort());
  const begun = performance.now();
  assert.deepEqual(await running, { kind: 'cancelled' });
  assert.ok(performance.now() - begun < momentMs);
  assert.deepEqual(await fixture.slot.run(shell('exit'), aborting.signal), { kind: 'cancelled' });
  assert.equal((await ran(fixture.slot, shell('echo on'))).text, 'on\n');
  assert.deepEqual(await keepersOf(fixture), keepers, 'the same init, and it alone');
});

test('aborts at any moment leave the next job as it should be', async () => {
  for (let attempt = 0; attempt < 40; attempt += 1) {
    const aborting = new AbortController();
    const running = fixture.slot.run(shell('echo a'), aborting.signal);
    await pause(attempt / 8);
    aborting.abort();
    await running;
    assert.equal((await ran(fixture.slot, shell(`echo ${attempt}`))).text, `${attempt}\n`);
  }
});

test("a program that is not there is the sandbox's failure, not a compile's", async () => {
  const missing = await fixture.slot.run(jobOf(['no-such-compiler']));
  assert.deepEqual(missing, { kind: 'failed', why: 'executing no-such-compiler: No such file or directory' });
  const closed = await fixture.slot.run(
    jobOf(['closed'], { additions: [file('closed', '#!/bin/sh')], env: ['PATH=/build'] }),
  );
  assert.deepEqual(closed, { kind: 'failed', why: 'executing closed: Permission denied' });
});

test('what is asked for outside of its place is refused, and the slot lives', async () => {
  for (const job of [
    shell('', { directories: ['../x'] }),
    shell('', { additions: [file('/etc/x', '')] }),
    shell('', { outputs: ['a/../../b'] }),
    shell('', { symlinks: [{ path: 'a//b', target: '' }] }),
    shell('', { root: { kind: 'exact', lowerDirs: ['../..'] } }),
    shell('', { root: { kind: 'exact', lowerDirs: ['empty,upperdir=/s'] } }),
    shell('', { root: { kind: 'within', lowerDirs: [], mountAt: '/build', hostDirs: ['etc'] } }),
    // Of the box only what is below the paths that may be shown, at places that the root has.
    ...['etc', 'usr', 'usr/../etc', 'usr/no-such', 'usr/bin/sh', 'usrx/y'].map((path) =>
      intrusion(fixture, [], {
        root: { kind: 'exact', lowerDirs: [], hostDirs: [path] },
        directories: ['etc', 'usr/bin'],
      }),
    ),
    intrusion(fixture, [], { root: { kind: 'exact', lowerDirs: [], hostDirs: ['usr/bin'] } }),
    shell('', { cwd: '/nowhere' }),
  ]) {
    assert.equal((await fixture.slot.run(job)).kind, 'failed');
  }
  assert.equal((await ran(fixture.slot, shell('echo on'))).text, 'on\n');
});

test('bytes that are no job are refused by the init, whatever they are', async () => {
  const { initPath, stateDir, runAs } = fixture.options;
  const ids = runAs === undefined ? ['-', '-'] : [String(runAs.uid), String(runAs.gid)];
  const init = spawn(initPath, [stateDir, ...ids, ''], { stdio: ['pipe', 'pipe', 'ignore'] });
  const read = newFrameReader();
  const frames = (async function* () {
    for await (const chunk of init.stdout) yield* read(chunk as Buffer);
  })();
  assert.equal((await frames.next()).value?.tag, 'ready');
  const job = encodeJob(
    intrusion(fixture, [], {
      additions: [file('a', 'b'), file('intruder', 'x')],
      symlinks: [{ path: 'l', target: 'a' }],
      limits: { ...plenty, wallMs: 50 },
    }),
  );
  const change = fc.tuple(fc.integer({ min: 4, max: job.length - 49 }), fc.nat(255));
  const lastOf = async (): Promise<string | undefined> => {
    for (;;) {
      const { value } = await frames.next();
      if (value === undefined || value.tag === 'failed' || value.tag === 'end') return value?.tag;
    }
  };
  await fc.assert(
    fc.asyncProperty(fc.array(change, { minLength: 1, maxLength: 4 }), async (changes) => {
      const changed = Buffer.from(job);
      for (const [at, value] of changes) changed[at] = value;
      init.stdin.write(changed);
      assert.ok(['failed', 'end'].includes((await lastOf()) ?? 'nothing'));
    }),
    { numRuns: 150 },
  );
  init.stdin.end();
  await once(init, 'close');
});

test('a slot whose init is killed fails its job and mends itself', async () => {
  const running = fixture.slot.run(shell('sleep 60'));
  const [keeper] = processesWith(fixture.options.stateDir);
  assert.ok(keeper);
  process.kill(keeper, 'SIGKILL');
  assert.deepEqual(await running, { kind: 'failed', why: 'the sandbox ended (SIGKILL)' });
  assert.equal((await ran(fixture.slot, shell('echo on'))).text, 'on\n');
});

test('a closed slot has no process left, and takes no job', async () => {
  const options = { ...fixture.options, stateDir: join(fixture.options.stateDir, 'empty') };
  const slot = (await startSlot(options)) as Slot;
  assert.ok(!isRefusal(slot));
  const running = slot.run(
    shell('sleep 60', {
      root: { kind: 'within', lowerDirs: [], mountAt: '/build', hostDirs: ['usr', 'bin', 'lib', 'lib64'] },
    }),
  );
  assert.ok(processesWith(options.stateDir).length > 0);
  await slot.close();
  assert.deepEqual(await running, { kind: 'failed', why: 'closed' });
  assert.deepEqual(processesWith(options.stateDir), []);
  assert.equal((await slot.run(shell('exit'))).kind, 'failed');
});

test('when a slot says that it is closed, the last of its processes is gone', async () => {
  const marker = '86399.25';
  const many = shell(`for i in $(seq 100); do sleep ${marker} & done; wait`, { limits: { ...plenty, processes: 200 } });
  for (let attempt = 0; attempt < 5; attempt += 1) {
    const slot = (await startSlot(fixture.options)) as Slot;
    assert.ok(!isRefusal(slot));
    const running = slot.run(many);
    for (const end = Date.now() + momentMs; processesWith(`sleep\0${marker}`).length < 100; await pause(5))
      assert.ok(Date.now() < end);
    await slot.close();
    assert.deepEqual(processesWith(`sleep\0${marker}`), []);
    assert.deepEqual(await running, { kind: 'failed', why: 'closed' });
  }
});

test('kill -9 of the worker leaves no process and no mount', async () => {
  const mounts = readFileSync('/proc/self/mountinfo', 'utf8');
  const marker = '86399.125';
  const script = `
    const { startSlot } = await import(${JSON.stringify(new URL('sandbox.js', import.meta.url).href)});
    const slot = await startSlot(${JSON.stringify(fixture.options)});
    const job = JSON.parse(process.argv[1]);
    void slot.run(job);
    setInterval(() => {}, 1000);
  `;
  const job = JSON.stringify(shell(`setsid sleep ${marker} & sleep ${marker}`));
  const worker = spawn(process.execPath, ['--input-type=module', '-e', script, job], { stdio: 'ignore' });
  const sleeping = `sleep\0${marker}`;
  for (const end = Date.now() + momentMs; processesWith(sleeping).length < 2; await pause(5))
    assert.ok(Date.now() < end);
  worker.kill('SIGKILL');
  await once(worker, 'close');
  await untilGone(sleeping);
  assert.equal(readFileSync('/proc/self/mountinfo', 'utf8'), mounts);
});
