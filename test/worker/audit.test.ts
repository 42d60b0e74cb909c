// The audit log of a running worker: every job that was asked for is in it, and nothing of what was compiled.
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { actionBlobs, inDirectory, optionsIn, withWorker } from './rig.ts';
import { connect } from '../../src/reapi/client.ts';
import { startWorker } from '../../src/worker/worker.ts';

type Line = Readonly<Record<string, string | number>>;

const secretWord = 'hunter2';

test('a job that ran, one from the cache, one that failed and one that makes no sense are four lines, without content', () =>
  inDirectory(async (directory) => {
    const audit = join(directory, 'audit.log');
    const ran = actionBlobs({
      argv: ['/bin/sh', '-c', `cat secret.h >out; echo ${secretWord}`],
      tree: { 'secret.h': secretWord },
      outputs: ['out'],
      env: { PATH: '/usr/bin:/bin', TOKEN: secretWord },
    });
    const failing = actionBlobs({ argv: ['/bin/false', secretWord], tree: {} });
    const senseless = actionBlobs({ argv: [], tree: {} });
    await withWorker({ audit }, async ({ run }) => {
      for (const action of [ran, ran, failing, senseless]) await run(action);
    });
    const text = readFileSync(audit, 'utf8');
    assert.ok(!text.includes(secretWord) && !text.includes('secret.h'), text);
    const lines = text
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as Line);
    assert.deepEqual(
      lines.map(({ event, result, exitCode, action }) => [event, result, exitCode, action]),
      [
        ['started', undefined, undefined, undefined],
        ['job', 'ran', 0, ran.digest.hash],
        ['job', 'cached', 0, ran.digest.hash],
        ['job', 'ran', 1, failing.digest.hash],
        ['refused', undefined, undefined, undefined],
        ['stopped', undefined, undefined, undefined],
      ],
    );
    const job = lines[1];
    assert.equal(job?.['client'], 'local');
    assert.equal(job['outputBytes'], 2 * secretWord.length + 1);
    for (const figure of ['cpuMs', 'wallMs', 'peakKb']) assert.equal(typeof job[figure], 'number', figure);
  }));

test('where the log cannot be written jobs go on, and what was lost is counted', () =>
  inDirectory(async (directory) => {
    const audit = join(directory, 'audit.log');
    mkdirSync(audit);
    const options = await optionsIn(directory, { audit });
    const worker = await startWorker(options);
    assert.ok(worker.kind === 'worker');
    const client = connect({ kind: 'unix', path: options.unixSocket ?? '' }, { connectTimeoutMs: 5000 });
    try {
      await client.ready();
      for (const name of ['a', 'b']) {
        const action = actionBlobs({ argv: ['/bin/true', name], tree: {} });
        await client.upload(action.blobs);
        const request = { actionDigest: action.digest, skipCacheLookup: false, inlineOutputs: [] };
        assert.equal((await client.execute(request, { deadlineMs: 20_000 })).kind, 'done');
      }
    } finally {
      client.close();
      rmSync(audit, { recursive: true });
      await worker.stop();
    }
    // Those of the jobs may have been tried before the directory went, or after: none is silently missing.
    const lines = readFileSync(audit, 'utf8').trimEnd().split('\n');
    const lost = lines.map((line) => JSON.parse(line) as Line).map(({ lines: lost }) => Number(lost ?? 0));
    const noted = lost.filter((count) => count > 0).length;
    assert.equal(lines.length - noted + lost.reduce((sum, count) => sum + count, 0), 4);
  }));
