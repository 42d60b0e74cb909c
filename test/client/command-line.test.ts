// What the command line says to its user: of wrong words and settings, and where it has no place or no reader.
import assert from 'node:assert/strict';
import { chmodSync, existsSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { encodeControlRequest } from '../../src/client/launcher-wire.ts';
import { openRuntimeDir } from '../../src/trust/runtime-dir.ts';
import { waitUntil } from '../../bench/wait.ts';
import { endOf, oneBox, type OneBox } from './one-box.ts';

const { path: runtime, socket } = openRuntimeDir();
let box: OneBox;

before(async () => {
  box = await oneBox('command-line');
  box.write({ 'a.c': 'int a;\n' });
});

after(() => box.remove());

test('a hosts setting with a mistake ends a build before it begins, and leaves no daemon', async () => {
  const wrong = { SHOAL_HOSTS: 'box:99999' };
  const ran = await box.shoal(['run', '--', 'touch', 'begun'], wrong);
  assert.equal(ran.status, 2);
  assert.match(ran.stderr, /^shoal: hosts is wrong at "box:99999": /);
  assert.equal(existsSync(join(box.base, 'begun')), false);
  assert.equal((await box.shoal(['--hosts', 'box:99999', 'hosts'])).status, 2);
  assert.equal(existsSync(socket), false);
  // A compile by itself is nobody to be told: it runs here.
  assert.equal((await box.built('gcc -c a.c')).ran.status, 0);
  assert.equal((await box.run([box.launcher('gcc'), '-c', 'a.c'], wrong)).status, 0);
  assert.match((await box.shoal(['explain', 'last'])).stdout, /ran here: no-worker/);
  await box.shoal(['stop']);
});

test('a daemon that was started for a build of another version, which asks for what it cannot read, ends', async () => {
  const daemon = box.start(box.command(['daemon', '--for-session']));
  const end = endOf(daemon);
  await waitUntil('the daemon', 10_000, () => existsSync(socket));
  const settings = { hosts: 'odd:scheme:1', proofShare: 0, resultCache: true };
  const asking = connect(socket);
  asking.resume();
  asking.write(
    encodeControlRequest({ op: 'session', id: '0123456789ab', settings, cwd: '/', progressMs: 0, adopt: true }),
  );
  assert.equal((await end).status, 0);
});

test('a host that was written as grpcs:// and speaks no TLS is said to be one', async () => {
  const { stdout } = await box.shoal(['--hosts', `grpcs://${box.hosts}`, 'hosts']);
  assert.match(stdout, /it does not speak TLS, which grpcs:\/\/ asks for: write 127\.0\.0\.1:[0-9]+ for a worker/);
});

test('--summary FILE leaves the summary there', async () => {
  const file = join(box.base, 'told.json');
  assert.equal((await box.shoal(['--summary', file, 'run', '--', 'gcc', '-c', 'a.c'])).status, 0);
  assert.equal((JSON.parse(readFileSync(file, 'utf8')) as { readonly files: number }).files, 1);
});

test('a word that a subcommand does not know is refused, and so is a subcommand that nobody knows', async () => {
  for (const words of [
    ['status', '--bad'],
    ['hosts', '--jsn'],
    ['explain', 'last', '--bad'],
    ['stop', 'now'],
    ['daemon', '--bad'],
    ['worker', '--bad'],
    ['members', '--bad'],
  ]) {
    const { status, stderr } = await box.shoal(words);
    assert.equal(status, 2, words.join(' '));
    assert.match(stderr, /^shoal: /);
  }
  const { status, stderr } = await box.run([box.launcher('shoal'), 'mak']);
  assert.equal(status, 127);
  assert.match(stderr, /^shoal: mak: no subcommand \(`shoal help` lists them\), and no such compiler on PATH/);
});

test('a reader of what shoal says who goes away changes nothing of the build', async () => {
  const line = 'sleep 6; gcc -c a.c -o late.o && echo done > late; exit 7';
  const child = box.start(box.command(['run', '--', 'sh', '-c', line]));
  child.stderr?.destroy();
  const { status } = await endOf(child);
  assert.deepEqual([status, existsSync(join(box.base, 'late'))], [7, true]);
});

test('where its place is not private, or not its own, a build runs without the farm and says why', async () => {
  await box.shoal(['stop']);
  rmSync(join(box.base, 'placed.o'), { force: true });
  chmodSync(runtime, 0o755);
  try {
    const ran = await box.shoal(['run', '--', 'gcc', '-c', 'a.c', '-o', 'placed.o']);
    assert.equal(ran.status, 0, ran.stderr);
    assert.match(ran.stderr, /is not a private directory of uid [0-9]+: .*; until then builds run here/);
    assert.ok(existsSync(join(box.base, 'placed.o')));
    const status = await box.shoal(['status']);
    assert.deepEqual([status.status, status.stderr.split('\n').length], [1, 2], status.stderr);
  } finally {
    chmodSync(runtime, 0o700);
  }
  assert.deepEqual(readdirSync(runtime), ['worker.sock']);
});

test('what is not UTF-8 in arguments and environment reaches the command as it was written', async () => {
  // Written by a shell: Node cannot say it.
  const [node, main] = box.command([]);
  const e = '$(printf "\\351")';
  const line = `V=${e} PATH=$PATH:/${e} exec ${node} ${main} run -- sh -c 'printf "%s %s" "$1" "$V"; printf %s "$PATH" | tail -c 2' sh a${e}`;
  const hex = await box.run(['sh', '-c', `(${line}) | od -An -tx1`]);
  assert.equal(hex.stdout.trim(), '61 e9 20 e9 2f e9', hex.stderr);
  const status = await box.run(['sh', '-c', `V=${e} exec ${node} ${main} run -- sh -c 'exit 7'`]);
  assert.equal(status.status, 7);
  const absent = await box.run(['sh', '-c', `V=${e} exec ${node} ${main} run -- no-such-command`]);
  assert.equal(absent.status, 127);
  assert.match(absent.stderr, /no-such-command: no such command on PATH/);
  box.write({ Makefile: 'all: ; @printf "%s" "$(WORD)" | od -An -tx1\n' });
  const made = await box.run(['sh', '-c', `exec ${node} ${main} make -s WORD=${e}`]);
  assert.equal(made.stdout.trim(), 'e9', made.stderr);
});
