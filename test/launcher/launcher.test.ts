// The launcher against a daemon that the test plays: what it sends, what it does with each answer, and that the real
// compiler runs, once, whenever anything goes wrong.
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { decodeRequest, encodeCompleted, encodeRunHere, preambleBytes, type LauncherRequest } from '../../src/client/launcher-wire.ts';

const base = mkdtempSync(join(tmpdir(), 'shoal-launcher-'));
const runtime = join(base, 'runtime');
const bin = join(base, 'bin');
const compilers = join(base, 'compilers');
const work = join(base, 'work');
const launcher = join(base, 'install', 'shoal');
const sources = fileURLToPath(new URL('../../../launcher', import.meta.url));
const log = join(base, 'compiler.log');

for (const directory of [runtime, bin, compilers, work, join(base, 'install')]) mkdirSync(directory, { mode: 0o700 });
execFileSync('gcc', [
  '-O1',
  '-std=gnu11',
  '-Wall',
  '-Wextra',
  '-Werror',
  `-DSHOAL_RUNTIME_DIR="${runtime}"`,
  '-o',
  launcher,
  ...readdirSync(sources)
    .filter((name) => name.endsWith('.c') && !name.startsWith('init'))
    .map((name) => join(sources, name)),
]);
// A compiler that notes each run.
const script = (body: string): string => `#!/bin/sh\necho run >>${log}\n${body}\n`;
writeFileSync(join(compilers, 'gcc'), script('echo local "$@"; echo "running $SHOAL_RUNNING" >&2; exit 3'), { mode: 0o755 });
symlinkSync(launcher, join(bin, 'gcc'));
symlinkSync(launcher, join(bin, 'shoal'));

let server: Server | undefined;
afterEach(() => {
  server?.close();
  server = undefined;
  rmSync(log, { force: true });
  rmSync(join(runtime, 'daemon.sock'), { force: true });
  rmSync(join(runtime, 'start.failed'), { force: true });
});
after(() => rmSync(base, { recursive: true }));

/** Plays the daemon: hands each request to `answer`. */
async function daemon(answer: (request: LauncherRequest, socket: Socket) => void): Promise<void> {
  const listening = createServer((socket) => {
    let received = Buffer.alloc(0);
    socket.on('error', () => undefined);
    socket.on('data', (chunk: Buffer) => {
      received = Buffer.concat([received, chunk]);
      if (received.length < preambleBytes || received.length < preambleBytes + received.readUInt32LE(4)) return;
      const decoded = decodeRequest(received.subarray(preambleBytes));
      assert.equal(decoded.kind, 'request');
      if (decoded.kind === 'request') answer(decoded.request, socket);
    });
  });
  server = listening;
  await new Promise<void>((resolve) => listening.listen(join(runtime, 'daemon.sock'), () => resolve()));
}

type Ran = { readonly status: number | null; readonly signal: string | null; readonly stdout: string; readonly stderr: string };

function launch(command: readonly [string, ...string[]], env: Record<string, string> = {}): Promise<Ran> {
  const [file, ...args] = command;
  const child = spawn(file, args, { cwd: work, env: { PATH: `${bin}:${compilers}:/usr/bin:/bin`, ...env } });
  const out: Buffer[] = [];
  const err: Buffer[] = [];
  child.stdout.on('data', (chunk: Buffer) => out.push(chunk));
  child.stderr.on('data', (chunk: Buffer) => err.push(chunk));
  return new Promise((resolve) => {
    child.on('close', (status, signal) => {
      resolve({ status, signal, stdout: Buffer.concat(out).toString(), stderr: Buffer.concat(err).toString() });
    });
  });
}

const runs = (): number => (existsSync(log) ? readFileSync(log, 'utf8').trim().split('\n').length : 0);
const gcc = join(bin, 'gcc');
const nothing = Buffer.alloc(0);

test('the request holds the whole invocation', async () => {
  writeFileSync(join(work, 'x.c'), 'int x;\n');
  let seen: LauncherRequest | undefined;
  await daemon((request, socket) => {
    seen = request;
    socket.end(encodeCompleted({ outputs: [], stdout: nothing, stderr: nothing, waitStatus: 0 }));
  });
  const ran = await launch([gcc, '-c', 'x.c', '-DA=b c'], { LANG: 'C', EMPTY: '' });
  assert.equal(ran.status, 0);
  assert.ok(seen);
  assert.equal(seen.compiler, join(compilers, 'gcc'));
  assert.deepEqual(seen.argv, [join(compilers, 'gcc'), '-c', 'x.c', '-DA=b c']);
  assert.ok(seen.env.includes('LANG=C') && seen.env.includes('EMPTY='));
  assert.equal(seen.cwd, work);
  assert.equal(seen.cwdIdentity.ino, statSync(work, { bigint: true }).ino);
  assert.equal(seen.root.ino, statSync('/', { bigint: true }).ino);
  assert.deepEqual(seen.sources.map(({ index, identity }) => [index, identity.ino]), [[2, statSync(join(work, 'x.c'), { bigint: true }).ino]]);
  assert.equal(seen.umask, process.umask());
  assert.ok(seen.limits.length > 8);
  assert.equal(seen.terminal.bits, 0);
});

test('outputs are written with the umask, then stdout, stderr and the status', async () => {
  const replaced = join(work, 'out.o');
  const inPlace = join(work, 'out.d');
  writeFileSync(replaced, 'old', { mode: 0o600 });
  writeFileSync(inPlace, 'old and longer', { mode: 0o600 });
  const inode = statSync(inPlace).ino;
  const big = Buffer.alloc(1_000_000, 'e');
  await daemon((_request, socket) => {
    const outputs = [
      { path: replaced, how: 'replace', content: Buffer.alloc(300_000, 'o') },
      { path: inPlace, how: 'in-place', content: Buffer.from('deps') },
      { path: join(work, 'empty.o'), how: 'replace', content: nothing },
    ] as const;
    socket.end(encodeCompleted({ outputs, stdout: Buffer.from('out'), stderr: big, waitStatus: 4 << 8 }));
  });
  const ran = await launch([gcc, '-c', 'x.c']);
  assert.equal(ran.status, 4);
  assert.equal(ran.stdout, 'out');
  assert.equal(ran.stderr.length, 1_000_000);
  assert.equal(statSync(replaced).size, 300_000);
  assert.equal(statSync(replaced).mode & 0o777, 0o666 & ~process.umask());
  assert.equal(readFileSync(inPlace, 'utf8'), 'deps');
  assert.equal(statSync(inPlace).ino, inode, 'written in place');
  assert.equal(statSync(inPlace).mode & 0o777, 0o600);
  assert.equal(statSync(join(work, 'empty.o')).size, 0);
  assert.equal(runs(), 0);
  assert.deepEqual(readdirSync(work).filter((name) => name.includes('~')), []);
});

test('a compile that died by a signal dies by it here', async () => {
  await daemon((_request, socket) => {
    socket.end(encodeCompleted({ outputs: [], stdout: nothing, stderr: nothing, waitStatus: 15 }));
  });
  assert.equal((await launch([gcc, '-c', 'x.c'])).signal, 'SIGTERM');
});

test('told to run it here, the launcher becomes the compiler and its connection closes when that ends', async () => {
  let closed: (() => void) | undefined;
  const end = new Promise<void>((resolve) => (closed = resolve));
  await daemon((_request, socket) => {
    socket.on('close', () => closed?.());
    socket.write(encodeRunHere('link'));
  });
  const ran = await launch([gcc, 'a b', '-o', 'c']);
  assert.equal(ran.status, 3);
  assert.equal(ran.stdout, 'local a b -o c\n');
  assert.equal(ran.stderr, `running ${join(compilers, 'gcc')}\n`);
  assert.equal(runs(), 1);
  await end;
});

const broken: Readonly<Record<string, (socket: Socket) => void>> = {
  'hangs up at once': (socket) => socket.destroy(),
  'sends a frame that nobody knows': (socket) => socket.end('Z\0\0\0\0'),
  'sends an output for a relative path': (socket) => {
    socket.end(encodeCompleted({ outputs: [{ path: 'x.o', how: 'replace', content: nothing }], stdout: nothing, stderr: nothing, waitStatus: 0 }));
  },
  'names a directory that does not exist': (socket) => {
    socket.end(encodeCompleted({ outputs: [{ path: '/nowhere/x.o', how: 'replace', content: nothing }], stdout: nothing, stderr: nothing, waitStatus: 0 }));
  },
};

for (const [what, answer] of Object.entries(broken)) {
  test(`a daemon that ${what}: the real compiler runs, once`, async () => {
    await daemon((_request, socket) => answer(socket));
    const ran = await launch([gcc, '-c', 'x.c']);
    assert.equal(ran.status, 3);
    assert.equal(runs(), 1);
  });
}

test('an answer cut short at any place leaves everything as it was, and the real compiler runs once', async () => {
  const target = join(work, 'cut.o');
  writeFileSync(target, 'old');
  const outputs = [{ path: target, how: 'replace', content: Buffer.from('new') }] as const;
  const whole = encodeCompleted({ outputs, stdout: Buffer.from('o'), stderr: Buffer.from('e'), waitStatus: 0 });
  let length = 0;
  await daemon((_request, socket) => socket.end(whole.subarray(0, length)));
  for (length = 0; length < whole.length; length += 5) {
    rmSync(log, { force: true });
    assert.equal((await launch([gcc, '-c', 'x.c'])).status, 3);
    assert.equal(runs(), 1);
    assert.equal(readFileSync(target, 'utf8'), 'old');
  }
});

test('without a daemon, and nothing to start one from, the real compiler runs', async () => {
  assert.equal((await launch([gcc, '-c', 'x.c'])).status, 3);
  assert.equal(runs(), 1);
});

test('strict mode does not fall back in silence when the daemon is gone', async () => {
  const ran = await launch([gcc, '-c', 'x.c'], { SHOAL_STRICT: '1' });
  assert.equal(ran.status, 1);
  assert.match(ran.stderr, /strict.*no-daemon/);
  assert.equal(runs(), 0);
});

test('a runtime directory that others may enter is not used', async () => {
  await daemon(() => assert.fail('the launcher must not connect'));
  chmodSync(runtime, 0o755);
  try {
    assert.equal((await launch([gcc, '-c', 'x.c'])).status, 3);
  } finally {
    chmodSync(runtime, 0o700);
  }
});

test('the prefix form finds the compiler by name and takes one by path', async () => {
  const seen: LauncherRequest[] = [];
  await daemon((request, socket) => {
    seen.push(request);
    socket.end(encodeCompleted({ outputs: [], stdout: nothing, stderr: nothing, waitStatus: 0 }));
  });
  await launch([join(bin, 'shoal'), 'gcc', '-c', 'x.c']);
  await launch([join(bin, 'shoal'), join(compilers, 'gcc'), '-c', 'x.c']);
  assert.deepEqual(seen.map((request) => request.compiler), [join(compilers, 'gcc'), join(compilers, 'gcc')]);
  assert.deepEqual(seen.map((request) => request.argv[0]), ['gcc', join(compilers, 'gcc')]);
});

test('wrappers of compilers on PATH are passed over, and a wrapper script that calls its own name ends', async () => {
  const masquerade = join(base, 'masquerade');
  const wrapping = join(base, 'wrapping');
  mkdirSync(masquerade);
  mkdirSync(wrapping);
  writeFileSync(join(masquerade, 'ccache'), script('echo ccache'), { mode: 0o755 });
  symlinkSync('ccache', join(masquerade, 'gcc'));
  const path = `${bin}:${masquerade}:${compilers}:/usr/bin:/bin`;
  assert.match((await launch([gcc], { PATH: path })).stdout, /^local/);
  writeFileSync(join(wrapping, 'gcc'), script('exec gcc wrapped "$@"'), { mode: 0o755 });
  const ran = await launch([gcc], { PATH: `${bin}:${wrapping}:${compilers}:/usr/bin:/bin` });
  assert.equal(ran.stdout, 'local wrapped\n');
  assert.equal((await launch([gcc], { PATH: bin })).status, 127);
});

test('a daemon that the launcher starts holds none of the pipes of the build', async () => {
  const marker = join(base, 'daemon.started');
  const node = join(base, 'install', 'node.sh');
  writeFileSync(node, `#!/bin/sh\nls -l /proc/$$/fd >${marker}\nexec sleep 4\n`, { mode: 0o755 });
  writeFileSync(join(base, 'install', 'shoal.install'), `${node}\0/nowhere/main.js\0`, { mode: 0o644 });
  const startedMs = performance.now();
  // `launch` waits for the end of stdout and stderr, as ninja does.
  const ran = await launch([gcc, '-c', 'x.c']);
  rmSync(join(base, 'install', 'shoal.install'));
  assert.equal(ran.status, 3);
  assert.ok(performance.now() - startedMs < 3900, 'the pipes closed before the daemon ended');
  const descriptors = readFileSync(marker, 'utf8');
  assert.doesNotMatch(descriptors, /pipe|socket/);
});
