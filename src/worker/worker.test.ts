import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import {
  actionBlobs,
  blobOf,
  inDirectory,
  optionsIn,
  withWorker,
  type ActionSpec,
  type RunningWorker,
} from '../../test/worker/rig.ts';
import { identifyToolchain } from '../compiler/identify.ts';
import { digestKey, type Digest } from '../reapi/digest.ts';
import { grpcCode } from '../reapi/errors.ts';
import type { ExecuteOutcome } from '../reapi/client.ts';
import { Command_OutputDirectoryFormat, Directory, Tree } from '../reapi/gen/remote_execution.ts';
import { startWorker } from './worker.ts';

type Done = Extract<ExecuteOutcome, { readonly kind: 'done' }>;

function done(outcome: ExecuteOutcome): Done {
  assert.equal(outcome.kind, 'done', JSON.stringify(outcome));
  return outcome;
}

function failedWith(outcome: ExecuteOutcome, code: number): string {
  assert.equal(outcome.kind, 'failed', JSON.stringify(outcome));
  assert.equal(outcome.code, code, outcome.message);
  return outcome.message;
}

function contentOf({ result, blobs }: Done, path: string): Buffer {
  const file = result.outputFiles.find((each) => each.path === path);
  assert.ok(file?.digest !== undefined, `no output ${path}`);
  return blobs.get(digestKey(file.digest)) ?? assert.fail(`${path} did not come along`);
}

const shell = (script: string, rest: Partial<ActionSpec> = {}) =>
  actionBlobs({ argv: ['/bin/sh', '-c', script], tree: {}, ...rest });

const source = '#include "answer.h"\nint answer(void) { return ANSWER; }\n';
const header = '#define ANSWER 42\n';

test('a compile of the client’s own paths, with its toolchain, gives the local compiler’s object', async () => {
  const toolchain = await identifyToolchain('/usr/bin/gcc', { pathEnv: '/usr/bin:/bin' });
  assert.ok(toolchain.kind === 'toolchain');
  const aliases = Object.fromEntries(toolchain.aliases.map(({ path, target }) => [path.slice(1), { target }]));
  // glibc's; gcc reads it before every source.
  const predef = '/usr/include/stdc-predef.h';
  const predefined = existsSync(predef) ? { [predef.slice(1)]: readFileSync(predef) } : {};
  await inDirectory(async (home) => {
    mkdirSync(join(home, 'include'));
    writeFileSync(join(home, 'answer.c'), source);
    writeFileSync(join(home, 'include/answer.h'), header);
    const argv = ['gcc', '-g', '-O1', '-Wall', '-MD', '-Iinclude', '-c', 'answer.c', '-o', 'answer.o'];
    execFileSync('/usr/bin/gcc', argv.slice(1), { cwd: home, env: { PATH: '/usr/bin:/bin' } });
    const at = (name: string): string => join(home, name).slice(1);
    await withWorker({ toolchains: [toolchain] }, async ({ run, client }) => {
      assert.deepEqual(
        (await client.toolchains()).toolchains.map(({ digest }) => digest),
        [toolchain.digest],
      );
      const action = actionBlobs({
        argv,
        tree: { ...aliases, ...predefined, [at('answer.c')]: source, [at('include/answer.h')]: header },
        outputs: [at('answer.d'), at('answer.o')],
        properties: [
          { name: 'shoal-cwd', value: home },
          { name: 'shoal-root', value: 'input' },
          { name: 'toolchain', value: digestKey(toolchain.digest) },
        ],
      });
      const outcome = done(await run(action));
      assert.equal(outcome.result.exitCode, 0, outcome.result.stderrRaw.toString());
      for (const name of ['answer.o', 'answer.d']) {
        assert.deepEqual(contentOf(outcome, at(name)), readFileSync(join(home, name)), name);
      }
      // A short run's CPU may all count as the one or as the other: the kernel divides it by ticks.
      assert.ok((outcome.usage?.userUs ?? 0) + (outcome.usage?.systemUs ?? 0) > 0);
    });
  });
});

test('a plain action runs in its input root beside the box’s tools', () =>
  withWorker({}, async ({ run }) => {
    const action = actionBlobs({
      argv: ['gcc', '-c', 'answer.c', '-o', 'out/answer.o'],
      tree: { 'src/answer.c': source, 'src/answer.h': header },
      outputs: ['out/answer.o'],
      command: { workingDirectory: 'src' },
    });
    const outcome = done(await run(action));
    assert.equal(outcome.result.exitCode, 0, outcome.result.stderrRaw.toString());
    assert.equal(contentOf(outcome, 'out/answer.o').subarray(1, 4).toString(), 'ELF');
    const { executionMetadata: times } = outcome.result;
    const order = [
      times?.queuedTimestamp,
      times?.executionStartTimestamp,
      times?.executionCompletedTimestamp,
      times?.workerCompletedTimestamp,
    ];
    const ns = order.map((each) => (each?.seconds ?? 0) * 1e3 + (each?.nanos ?? 0) / 1e6);
    assert.deepEqual(
      ns,
      ns.toSorted((a, b) => a - b),
    );
  }));

test('blobs sent just before, and not waited for, are found', () =>
  withWorker({}, async ({ client }) => {
    const filler = blobOf(Buffer.alloc(3 << 20, 'x'));
    const action = shell('echo out');
    const sent = client.upload([filler, ...action.blobs]);
    const request = { actionDigest: action.digest, skipCacheLookup: false, inlineOutputs: [] };
    assert.equal(done(await client.execute(request, { deadlineMs: 30_000 })).result.stdoutRaw.toString(), 'out\n');
    await sent;
  }));

test('all that an action lacks is named at once', () =>
  withWorker({}, async ({ client }) => {
    const tree = { a: 'a', 'below/b': 'b', 'below/c': 'c' };
    const action = actionBlobs({ argv: ['/bin/true'], tree });
    const files = [blobOf('a'), blobOf('c')].map(({ digest }) => digestKey(digest));
    await client.upload(action.blobs.filter(({ digest }) => !files.includes(digestKey(digest))));
    const request = { actionDigest: action.digest, skipCacheLookup: false, inlineOutputs: [] };
    const outcome = await client.execute(request, { deadlineMs: 10_000 });
    assert.equal(outcome.kind, 'missing');
    assert.deepEqual(new Set((outcome as { digests: readonly Digest[] }).digests.map(digestKey)), new Set(files));
    const unknown = { ...request, actionDigest: blobOf('no action').digest };
    assert.equal((await client.execute(unknown, { deadlineMs: 10_000 })).kind, 'missing');
  }));

const clockText = async (
  running: RunningWorker,
  skipCacheLookup: boolean,
  rest: Partial<ActionSpec> = {},
): Promise<string> =>
  done(await running.run(shell('date +%s%N', rest), { skipCacheLookup })).result.stdoutRaw.toString();

test('a result is served again, unless the client or the action says otherwise', () =>
  withWorker({}, async (running) => {
    const first = await clockText(running, false);
    assert.equal(await clockText(running, false), first);
    const second = await clockText(running, true);
    assert.notEqual(second, first);
    assert.equal(await clockText(running, false), second);
    const never = { action: { doNotCache: true } };
    assert.notEqual(await clockText(running, false, never), await clockText(running, false, never));
  }));

test('identical actions at once are one run', () =>
  withWorker({}, async ({ run }) => {
    const action = shell('sleep 0.3; date +%s%N');
    const texts = await Promise.all([1, 2, 3].map(async () => done(await run(action)).result.stdoutRaw.toString()));
    assert.equal(new Set(texts).size, 1);
  }));

test('a failing command is a result, and is not kept', () =>
  withWorker({}, async ({ run }) => {
    const action = shell('echo out; echo err >&2; date +%s%N >&2; exit 3');
    const first = done(await run(action));
    assert.equal(first.result.exitCode, 3);
    assert.equal(first.result.stdoutRaw.toString(), 'out\n');
    assert.match(first.result.stderrRaw.toString(), /^err\n/);
    assert.notEqual(done(await run(action)).result.stderrRaw.toString(), first.result.stderrRaw.toString());
  }));

test('an action beyond its time is an error, never a result', () =>
  withWorker({}, async ({ run }) => {
    const action = shell('sleep 60', { action: { timeout: { seconds: 0, nanos: 200_000_000 } } });
    failedWith(await run(action), grpcCode.DEADLINE_EXCEEDED);
    failedWith(
      await run(shell('true', { action: { timeout: { seconds: 1e6, nanos: 0 } } })),
      grpcCode.INVALID_ARGUMENT,
    );
  }));

test('a run that nobody waits for any more is ended', () =>
  withWorker({ slots: 1 }, async ({ run }) => {
    const abort = new AbortController();
    const long = run(shell('sleep 600'), { signal: abort.signal });
    const queued = run(shell('echo next'));
    await new Promise((resolve) => setTimeout(resolve, 100));
    abort.abort();
    assert.notEqual((await long).kind, 'done');
    assert.equal(done(await queued).result.stdoutRaw.toString(), 'next\n');
  }));

test('an action that this worker does not understand is refused', () =>
  withWorker({}, async ({ run }) => {
    const wrong: readonly Partial<ActionSpec>[] = [
      { properties: [{ name: 'container-image', value: 'docker://x' }] },
      { properties: [{ name: 'OSFamily', value: 'windows' }] },
      { properties: [{ name: 'shoal-root', value: 'input' }] },
      { outputs: ['../x'] },
      { outputs: ['/x'] },
      { outputs: ['a', 'a'] },
      { command: { workingDirectory: '../..' } },
      { command: { arguments: [] } },
      { command: { outputNodeProperties: ['mtime'] } },
      { env: { 'A=B': 'c' } },
    ];
    for (const rest of wrong) failedWith(await run(shell('true', rest)), grpcCode.INVALID_ARGUMENT);
    const toolchain = [
      { name: 'shoal-cwd', value: '/' },
      { name: 'shoal-root', value: 'input' },
      { name: 'toolchain', value: digestKey(blobOf('no toolchain').digest) },
    ];
    failedWith(await run(shell('true', { properties: toolchain })), grpcCode.FAILED_PRECONDITION);
    assert.equal(
      done(await run(shell('true', { properties: [{ name: 'OSFamily', value: 'Linux' }] }))).result.exitCode,
      0,
    );
  }));

test('outputs are files, links and directories, as the command asks for them', () =>
  withWorker({}, async ({ run, client }) => {
    const script =
      'mkdir -p d/same1 d/same2 d/empty; echo x | tee d/same1/f d/same2/f > f; chmod +x f; ln -s f l; ln -s ../f d/l';
    const outputs = ['d', 'f', 'l', 'none'];
    const { result } = done(await run(shell(script, { outputs })));
    assert.deepEqual(
      result.outputFiles.map(({ path, isExecutable }) => [path, isExecutable]),
      [['f', true]],
    );
    assert.deepEqual(
      result.outputSymlinks.map(({ path, target }) => [path, target]),
      [['l', 'f']],
    );
    const [directory] = result.outputDirectories;
    assert.ok(directory?.treeDigest !== undefined);
    const bytes = await client.read(directory.treeDigest);
    const tree = Tree.decode(bytes);
    assert.deepEqual(
      tree.root?.directories.map(({ name }) => name),
      ['empty', 'same1', 'same2'],
    );
    assert.deepEqual(
      tree.root?.symlinks.map(({ target }) => target),
      ['../f'],
    );
    // The two equal directories are one child, the empty one the other.
    assert.equal(tree.children.length, 2);
    assert.deepEqual(Buffer.from(Tree.encode(tree).finish()), bytes);

    const format = Command_OutputDirectoryFormat.TREE_AND_DIRECTORY;
    const both = done(await run(shell(script, { outputs, command: { outputDirectoryFormat: format } })));
    const rootDigest = both.result.outputDirectories[0]?.rootDirectoryDigest;
    assert.ok(rootDigest !== undefined && tree.root !== undefined);
    assert.deepEqual(Directory.decode(await client.read(rootDigest)), tree.root);

    const split = { outputFiles: ['f', 'l'], outputDirectories: ['d'] };
    const older = done(await run(shell(script, { command: split }))).result;
    assert.deepEqual(
      older.outputFiles.map(({ path }) => path),
      ['f'],
    );
    assert.deepEqual(
      older.outputFileSymlinks.map(({ path }) => path),
      ['l'],
    );
    assert.deepEqual(
      older.outputDirectories.map(({ path }) => path),
      ['d'],
    );
    failedWith(await run(shell(script, { command: { outputFiles: ['d'] } })), grpcCode.FAILED_PRECONDITION);
  }));

test('what a stale layer has under the directory of an output is not seen', () =>
  withWorker({}, async ({ run }) => {
    const many = Object.fromEntries(Array.from({ length: 30 }, (_, at) => [`keep/f${at}`, `${at}`]));
    const old = { ...many, 'out/old/stale': 'old', 'out/stale': 'old' };
    done(await run(actionBlobs({ argv: ['/bin/true'], tree: old })));
    const action = actionBlobs({
      argv: ['/bin/sh', '-c', 'find out | sort; touch out/new/x'],
      tree: many,
      outputs: ['out/new/x'],
    });
    assert.equal(done(await run(action)).result.stdoutRaw.toString(), 'out\nout/new\n');
  }));

test('a worker beyond loopback is refused without --insecure, with what to do', () =>
  inDirectory(async (directory) => {
    const options = await optionsIn(directory);
    const refused = await startWorker({ ...options, listen: [{ host: '0.0.0.0', port: 0 }] });
    assert.ok(refused.kind === 'refused' && refused.reason === 'insecure');
    assert.match(refused.why, /--insecure/);
  }));

test('two workers do not share a state directory, and one that was killed leaves it free', () =>
  inDirectory(async (directory) => {
    const options = await optionsIn(directory);
    const first = await startWorker(options);
    assert.ok(first.kind === 'worker');
    const second = await startWorker(options);
    assert.ok(second.kind === 'refused' && second.reason === 'state');
    await first.stop();
    // A socket that nobody listens on, as after kill -9.
    const lock = JSON.stringify(join(options.stateDir, 'lock'));
    const script = `require('net').createServer().listen(${lock}, () => process.kill(process.pid, 'SIGKILL'))`;
    assert.throws(() => execFileSync(process.execPath, ['-e', script]), { signal: 'SIGKILL' });
    assert.ok(readdirSync(options.stateDir).includes('lock'));
    const third = await startWorker(options);
    assert.ok(third.kind === 'worker');
    await third.stop();
  }));

test('a worker that drains finishes what it has begun and takes nothing new', () =>
  withWorker({}, async ({ run, worker, client, stateDir }) => {
    const running = run(shell('sleep 0.4; echo finished'));
    await new Promise((resolve) => setTimeout(resolve, 150));
    const drained = worker.drain();
    const late = await run(shell('echo late')).catch((error: unknown) => error as ExecuteOutcome);
    assert.notEqual(late.kind, 'done');
    assert.equal(done(await running).result.stdoutRaw.toString(), 'finished\n');
    client.close();
    await drained;
    assert.ok(!readdirSync(stateDir).includes('lock'));
  }));

test('what was uploaded and what was done is known after a restart', () =>
  inDirectory(async (directory) => {
    const stateDir = join(directory, 'state');
    const action = shell('date +%s%N > t; cat t', { outputs: ['t'] });
    const texts: string[] = [];
    for (let round = 0; round < 2; round += 1) {
      await withWorker({ stateDir }, async ({ run, client }) => {
        if (round === 1) assert.deepEqual(await client.findMissing(action.blobs.map(({ digest }) => digest)), []);
        const outcome = done(await run(action));
        assert.equal(outcome.cached, round === 1);
        texts.push(contentOf(outcome, 't').toString());
      });
    }
    assert.equal(texts[0], texts[1]);
  }));
