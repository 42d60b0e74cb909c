// How a daemon is started by the first compile that lacks one: once, cut off from the build, and never to its harm.
import assert from 'node:assert/strict';
import { chmodSync, existsSync, readFileSync, readdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, afterEach, test } from 'node:test';
import { setStage } from './stage.ts';

const stage = setStage();
const { gcc, install, runtime } = stage;
const sidecar = join(install, 'shoal.install');
const starts = join(stage.base, 'starts');
const script = join(install, 'main.js');
const socket = join(runtime, 'daemon.sock');

type Start = {
  readonly pid: number;
  readonly args: readonly string[];
  readonly cwd: string;
  readonly fds: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly stat: readonly string[];
  readonly status: string;
};

// Notes in what state it was started, then tells every launcher to run its compiler.
const playedDaemon = `
const { appendFileSync, readFileSync, readlinkSync } = require('node:fs');
const fds = [0, 1, 2].map((fd) => readlinkSync('/proc/self/fd/' + fd));
const stat = readFileSync('/proc/self/stat', 'utf8').split(') ')[1].split(' ');
const open = require('node:fs').readdirSync('/proc/self/fd').flatMap((fd) => { try { return [readlinkSync('/proc/self/fd/' + fd)]; } catch { return []; } });
const status = readFileSync('/proc/self/status', 'utf8');
const { pid, env } = process;
appendFileSync(${JSON.stringify(starts)}, JSON.stringify({ pid, args: process.argv.slice(2), cwd: process.cwd(), fds: [...fds, ...open], env, stat, status }) + '\\n');
require('node:net').createServer((socket) => socket.once('data', () => socket.write('R\\x04\\0\\0\\0test'))).listen(${JSON.stringify(socket)});
`;

function installed(node: string = process.execPath, content: string = playedDaemon): void {
  writeFileSync(script, content);
  writeFileSync(sidecar, `${node}\0${script}\0`, { mode: 0o644 });
  chmodSync(sidecar, 0o644);
}

const started = (): Start[] => {
  if (!existsSync(starts)) return [];
  const lines = readFileSync(starts, 'utf8').trim().split('\n');
  return lines.map((line) => JSON.parse(line) as Start);
};

afterEach(() => {
  for (const { pid } of started()) process.kill(pid, 'SIGKILL');
  rmSync(starts, { force: true });
  rmSync(sidecar, { force: true });
  stage.clear();
});
after(stage.remove);

test('a daemon that the launcher starts is cut off from the build', async () => {
  installed();
  const env = {
    NODE_EXTRA_CA_CERTS: '/nowhere',
    NODE_OPTIONS: '--require=/nowhere.js',
    LD_PRELOAD: '/nowhere.so',
    KEPT: 'yes',
  };
  // This waits until nobody holds the pipes any more, as ninja does; a descriptor of make's jobserver is one more.
  const ran = await stage.launch(['/bin/bash', '-c', `trap '' INT HUP; exec 7<${script} 300<&7; exec ${gcc} -c`], env);
  assert.equal(ran.stdout, 'local -c\n');
  const [daemon, ...others] = started();
  assert.ok(daemon);
  assert.deepEqual(others, []);
  process.kill(daemon.pid, 0); // still there, and yet the pipes are closed
  assert.deepEqual(daemon.args, ['daemon']);
  assert.equal(daemon.cwd, '/');
  assert.deepEqual(daemon.fds.slice(0, 3), ['/dev/null', '/dev/null', '/dev/null']);
  assert.ok(!daemon.fds.includes(script), 'no descriptor of the build');
  assert.equal(daemon.stat[3], String(daemon.stat[2]), 'its group is that of its session');
  assert.equal(daemon.stat[4], '0', 'no terminal');
  assert.deepEqual(
    Object.keys(daemon.env).filter((name) => name in env),
    ['KEPT'],
  );
  assert.match(daemon.status, /^SigBlk:\s0+$/m);
  assert.equal(
    Number.parseInt(/^SigIgn:\s(\S+)$/m.exec(daemon.status)?.[1] ?? '', 16) & 0b11,
    0,
    'SIGHUP and SIGINT as by default',
  );
  assert.deepEqual(readdirSync(runtime), ['daemon.sock']);
});

test('of many compiles that find no daemon, one starts it and all use it', async () => {
  installed();
  const runs = await Promise.all(Array.from({ length: 12 }, (_, at) => stage.launch([gcc, `${at}`])));
  assert.deepEqual(
    runs.map(({ stdout }) => stdout),
    Array.from({ length: 12 }, (_, at) => `local ${at}\n`),
  );
  assert.equal(started().length, 1);
});

test('a socket that a dead daemon left does not keep a new one from being started', async () => {
  // A daemon that takes over the name, as the real one does.
  const leave = `require('node:net').createServer().listen(process.argv[1], () => process.kill(process.pid, 'SIGKILL'))`;
  await stage.launch([process.execPath, '-e', leave, socket]);
  assert.ok(existsSync(socket));
  installed(process.execPath, `require('node:fs').rmSync(${JSON.stringify(socket)});${playedDaemon}`);
  assert.equal((await stage.launch([gcc, '-c'])).stdout, 'local -c\n');
  assert.equal(started().length, 1);
});

test('a daemon that does not start is not waited for by each compile', async () => {
  installed(process.execPath, `require('node:fs').appendFileSync(${JSON.stringify(join(stage.base, 'tries'))}, 'x')`);
  const tries = (): number => readFileSync(join(stage.base, 'tries'), 'utf8').length;
  const stamp = join(runtime, 'start.failed');
  // One of them tries for three seconds, and the other waits with it.
  const both = await Promise.all([stage.launch([gcc, '-c']), stage.launch([gcc, '-c'])]);
  assert.deepEqual(
    both.map(({ stdout }) => stdout),
    ['local -c\n', 'local -c\n'],
  );
  assert.equal((await stage.launch([gcc, '-c'])).stdout, 'local -c\n');
  assert.equal(tries(), 1);
  assert.deepEqual(readdirSync(runtime).toSorted(), ['gate', 'start.failed']);
  // Half a minute later the next compile tries again, and then a good daemon may answer.
  utimesSync(stamp, new Date(), new Date(Date.now() - 31_000));
  installed();
  await stage.launch([gcc, '-c']);
  assert.equal(started().length, 1);
  assert.ok(!existsSync(stamp));
});

test('a sidecar that others could have written is not believed', async () => {
  installed();
  for (const mode of [0o664, 0o646]) {
    chmodSync(sidecar, mode);
    assert.equal((await stage.launch([gcc, '-c'])).stdout, 'local -c\n');
    assert.equal((await stage.launch([join(stage.bin, 'shoal'), 'status'])).status, 127);
  }
  for (const text of ['', '/only-node\0', 'node\0main.js\0', `${process.execPath}\0`]) {
    writeFileSync(sidecar, text);
    chmodSync(sidecar, 0o644);
    assert.equal((await stage.launch([gcc, '-c'])).stdout, 'local -c\n');
  }
  assert.deepEqual(started(), []);
});

test('a subcommand becomes node on the script, with every argument and without the costly variable', async () => {
  installed(
    process.execPath,
    'console.log(JSON.stringify([process.argv.slice(2), process.env.NODE_EXTRA_CA_CERTS ?? null, process.pid]))',
  );
  for (const args of [
    [],
    ['make', '-j4', 'a b'],
    ['--version'],
    ['-h'],
    ['status', '--json'],
    ['run', '--', 'ninja'],
  ]) {
    const child = stage.start([join(stage.bin, 'shoal'), ...args], { NODE_EXTRA_CA_CERTS: '/nowhere' });
    const text = await new Promise<string>((resolve) =>
      child.stdout?.on('data', (chunk: Buffer) => resolve(chunk.toString())),
    );
    assert.deepEqual(JSON.parse(text), [args, null, child.pid]);
  }
});
