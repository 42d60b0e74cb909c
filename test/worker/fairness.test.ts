// A greedy client beside a modest one, over real connections: the modest one is served in its turn, counted in jobs of the
// other, not in time.
import assert from 'node:assert/strict';
import { connect as connectHttp2, type ClientHttp2Stream } from 'node:http2';
import { test } from 'node:test';
import { connect, type ReapiClient } from '../../src/reapi/client.ts';
import { startWorker } from '../../src/worker/worker.ts';
import { actionBlobs, blobOf, inDirectory, optionsIn, type PreparedAction } from './rig.ts';

type Two = { readonly modest: ReapiClient; readonly greedy: ReapiClient; readonly address: string };

async function withTwo(body: (two: Two) => Promise<void>): Promise<void> {
  await inDirectory(async (directory) => {
    const options = await optionsIn(directory, { slots: 1 });
    const worker = await startWorker(options);
    if (worker.kind === 'refused') throw new Error(worker.why);
    const address = worker.addresses[0] ?? '';
    const [host = '', port = ''] = address.split(':');
    const timeout = { connectTimeoutMs: 5000 };
    const modest = connect({ kind: 'unix', path: options.unixSocket ?? '' }, timeout);
    const greedy = connect({ kind: 'tcp', host, port: Number(port) }, timeout);
    try {
      await modest.ready();
      await greedy.ready();
      await body({ modest, greedy, address });
    } finally {
      modest.close();
      greedy.close();
      await worker.stop();
    }
  });
}

const job = (name: string): PreparedAction =>
  actionBlobs({ argv: ['/bin/sh', '-c', `sleep 0.02; : ${name}`], tree: {} });

async function run(client: ReapiClient, action: PreparedAction): Promise<void> {
  await client.upload(action.blobs);
  const request = { actionDigest: action.digest, skipCacheLookup: false, inlineOutputs: [] };
  assert.equal((await client.execute(request, { deadlineMs: 60_000 })).kind, 'done');
}

test('one client with two hundred jobs on one slot lets another’s through, two of its own for one at most', () =>
  withTwo(async ({ modest, greedy }) => {
    const done = { greedy: 0 };
    const all = Array.from({ length: 200 }, async (_, n) => {
      await run(greedy, job(`greedy ${n}`));
      done.greedy += 1;
    });
    while (done.greedy < 5) await new Promise(setImmediate);
    for (let n = 0; n < 10; n += 1) {
      const { digest, blobs } = job(`modest ${n}`);
      await modest.upload(blobs);
      const before = done.greedy;
      const request = { actionDigest: digest, skipCacheLookup: false, inlineOutputs: [] };
      assert.equal((await modest.execute(request, { deadlineMs: 60_000 })).kind, 'done');
      // The one that ran, the one that got the slot before this call was read, and what was answered in the meantime.
      assert.ok(done.greedy - before <= 4, `${done.greedy - before} jobs of the other in between, ${n}`);
    }
    assert.ok(done.greedy < 200);
    await Promise.all(all);
  }));

test('a client whose uploads never come leaves another’s uploads and jobs their room', () =>
  withTwo(async ({ modest, address }) => {
    const session = connectHttp2(`http://${address}`);
    const streams: ClientHttp2Stream[] = [];
    const path = '/build.bazel.remote.execution.v2.ContentAddressableStorage/BatchUpdateBlobs';
    for (let n = 0; n < 200; n += 1) {
      const headers = { ':method': 'POST', ':path': path, 'content-type': 'application/grpc', te: 'trailers' };
      const stream = session.request(headers, { endStream: false });
      stream.on('error', () => undefined);
      // Announces a megabyte, and sends a byte of it.
      stream.write(Buffer.from([0, 0, 0x10, 0, 0, 1]));
      streams.push(stream);
    }
    await new Promise((resolve) => session.ping(resolve));
    try {
      const large = blobOf(Buffer.alloc(3 << 20, 'large'));
      await modest.upload([large]);
      assert.deepEqual(await modest.findMissing([large.digest]), []);
      await run(modest, job('modest'));
      // A blob that is missing is named at once, not after the other's uploads.
      const startedMs = performance.now();
      const request = { actionDigest: job('never sent').digest, skipCacheLookup: false, inlineOutputs: [] };
      assert.equal((await modest.execute(request, { deadlineMs: 60_000 })).kind, 'missing');
      assert.ok(performance.now() - startedMs < 5000);
    } finally {
      session.destroy();
    }
  }));
