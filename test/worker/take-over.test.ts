// What somebody gets who takes over the process that parses requests: nothing of the store, the identity or the keeper.
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import { fileURLToPath } from 'node:url';
import { ensureNative, packageRoot } from '../../src/native.ts';
import { noAudit } from '../../src/observe/audit-log.ts';
import { connect } from '../../src/reapi/client.ts';
import { memoryBounds } from '../../src/worker/sandbox/memory-bounds.ts';
import { digestOf } from '../../src/reapi/digest.ts';
import { blobPath, openStoreWriter, writeWhole } from '../../src/store/store-writer.ts';
import {
  startKeeper,
  type FrontGiven,
  type KeeperOptions,
  type RunningKeeper,
} from '../../src/worker/keeper/keeper.ts';
import { compile, sourceOf } from '../sandbox/fixture.ts';
import { actionBlobs, inDirectory } from './rig.ts';
import type { Report, Targets } from './taken-front.ts';

const script = fileURLToPath(new URL('taken-front.js', import.meta.url));

/** A keeper whose front is `argv`, until it is ready. */
async function withKeeper(
  directory: string,
  frontArgv: KeeperOptions['frontArgv'],
  body: (running: { readonly keeper: RunningKeeper; readonly lines: readonly string[] }) => Promise<void>,
): Promise<void> {
  const lines: string[] = [];
  let ready: () => void = () => undefined;
  const served = new Promise<void>((resolve) => (ready = resolve));
  const keeper = await startKeeper({
    listen: [{ host: '127.0.0.1', port: 0 }],
    unixSocket: join(directory, 'worker.sock'),
    slots: 1,
    stateDir: join(directory, 'state'),
    insecure: false,
    memory: memoryBounds(undefined),
    trust: undefined,
    audit: noAudit,
    pairing: () => undefined,
    initPath: (await ensureNative()).init,
    needed: [packageRoot(), join(directory, 'state'), join(directory, 'tools')],
    frontArgv,
    env: process.env,
    onReady: ready,
    log: (text) => lines.push(text),
  });
  assert.ok(keeper.kind === 'keeper', JSON.stringify(keeper));
  try {
    await Promise.race([served, keeper.ended.then((status) => assert.fail(`it ended with ${status}`))]);
    await body({ keeper, lines });
  } finally {
    keeper.signal();
    await keeper.ended;
  }
}

function settingsOf(given: FrontGiven, stateDir: string): string {
  return JSON.stringify({
    ...given,
    stateDir,
    slots: 1,
    storeBytes: 1 << 30,
    weights: [],
    hasIdentity: false,
    insecure: false,
    path: '/nowhere',
  });
}

test('whoever takes over the front can write no finished blob, nor reach the keeper, and the next job is served', () =>
  inDirectory(async (directory) => {
    const stateDir = join(directory, 'state');
    const tracer = join(directory, 'tools/tracer');
    mkdirSync(join(directory, 'tools'));
    compile([sourceOf('test/worker/tracer.c')], tracer);
    const bytes = Buffer.from('a blob that was there before');
    const store = join(stateDir, 'store');
    writeWhole(openStoreWriter(store), { kind: 'blob', digest: digestOf(bytes) }, bytes);
    for (const name of ['pack', 'results', 'order', 'holders']) writeFileSync(join(store, name), '');
    mkdirSync(join(stateDir, 'identity'), { mode: 0o700 });
    const key = join(stateDir, 'identity/ca.key');
    writeFileSync(key, 'secret', { mode: 0o600 });
    const outside = join(directory, 'outside');
    mkdirSync(outside);
    const blob = blobPath(store, digestOf(bytes));
    const report = join(stateDir, 'trees/report.json');
    const targets: Targets = { stateDir, blob, keeperPid: process.pid, tracer, outside, report };
    const frontArgv: KeeperOptions['frontArgv'] = (given) => [
      process.execPath,
      script,
      JSON.stringify(targets),
      settingsOf(given, stateDir),
    ];
    await withKeeper(directory, frontArgv, async ({ keeper }) => {
      const results = JSON.parse(readFileSync(report, 'utf8')) as Report;
      assert.ok(Object.keys(results).length >= 38);
      // A front of root's does not even see what is below a closed directory; the rest it saw, so that it was denied.
      const unseen = (name: string, code: string): boolean =>
        code === 'ENOENT' && name !== 'write elsewhere as its user';
      const allowed = Object.entries(results).filter(([name, code]) => code === 'done' || unseen(name, code));
      assert.deepEqual(allowed, []);
      assert.equal(results['have the keeper finish other bytes'], 'INVALID_ARGUMENT');
      assert.equal(results['trace the keeper'], 'Operation not permitted');
      assert.deepEqual(readFileSync(blob), bytes);
      assert.equal(readFileSync(key, 'utf8'), 'secret');
      assert.deepEqual(readdirSync(outside), []);
      assert.deepEqual(readdirSync(join(store, 'incoming')), []);

      const client = connect({ kind: 'unix', path: join(directory, 'worker.sock') }, { connectTimeoutMs: 5000 });
      const large = 'x'.repeat(200_000);
      const action = actionBlobs({
        argv: ['/bin/sh', '-c', 'cat in > out; echo honest'],
        tree: { in: large },
        outputs: ['out'],
      });
      const request = { actionDigest: action.digest, skipCacheLookup: false, inlineOutputs: [] };
      const outcome = await client
        .upload(action.blobs)
        .then(() => client.execute(request, { deadlineMs: 30_000 }))
        .finally(() => client.close());
      assert.ok(outcome.kind === 'done', JSON.stringify(outcome));
      assert.equal(outcome.result.stdoutRaw.toString(), 'honest\n');
      assert.equal(readFileSync(blobPath(store, digestOf(Buffer.from(large))), 'utf8'), large);
      keeper.signal();
      assert.equal(await keeper.ended, 0);
    });
  }));

test('a front that sends the keeper what makes no sense is ended, a few times, and then the worker', () =>
  inDirectory(async (directory) => {
    // Ready, and then a request of kind 255.
    const program = 'require("fs").writeSync(3, Buffer.from([1,0,0,0,6, 1,0,0,0,255])); setTimeout(() => {}, 60000)';
    await withKeeper(
      directory,
      () => [process.execPath, '-e', program],
      async ({ keeper, lines }) => {
        assert.equal(await keeper.ended, 1);
        assert.equal(
          lines.filter((line) => line.includes('makes no sense') && line.includes('started again')).length,
          5,
        );
        assert.match(lines.at(-1) ?? '', /once too often/);
        assert.ok(!readdirSync(directory).includes('worker.sock'));
      },
    );
  }));
