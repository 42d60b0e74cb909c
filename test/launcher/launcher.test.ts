// The launcher against a daemon that the test plays: what it sends, what it does with each answer, and that the real
// compiler runs, once, whenever anything goes wrong.
import assert from 'node:assert/strict';
import {
  chmodSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import type { Socket } from 'node:net';
import { join } from 'node:path';
import { after, afterEach, test } from 'node:test';
import { encodeRunHere, type LauncherRequest } from '../../src/client/launcher-wire.ts';
import { encodeCompleted, setStage } from './stage.ts';

const stage = setStage();
const { base, runtime, bin, compilers, work, gcc, daemon, launch, runs } = stage;
const script = (body: string): string => `#!/bin/sh\n${body}\n`;
afterEach(stage.clear);
after(stage.remove);

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
  assert.deepEqual(
    seen.sources.map(({ index, identity }) => [index, identity.ino]),
    [[2, statSync(join(work, 'x.c'), { bigint: true }).ino]],
  );
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
  assert.deepEqual(
    readdirSync(work).filter((name) => name.includes('~')),
    [],
  );
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
  assert.match(ran.stderr, new RegExp(`^running \\d+\\+${join(compilers, 'gcc')}\n$`));
  assert.equal(runs(), 1);
  await end;
});

const broken: Readonly<Record<string, (socket: Socket) => void>> = {
  'hangs up at once': (socket) => socket.destroy(),
  'sends a frame that nobody knows': (socket) => socket.end('Z\0\0\0\0'),
  'sends an output for a relative path': (socket) => {
    socket.end(
      encodeCompleted({
        outputs: [{ path: 'x.o', how: 'replace', content: nothing }],
        stdout: nothing,
        stderr: nothing,
        waitStatus: 0,
      }),
    );
  },
  'names a directory that does not exist': (socket) => {
    socket.end(
      encodeCompleted({
        outputs: [{ path: '/nowhere/x.o', how: 'replace', content: nothing }],
        stdout: nothing,
        stderr: nothing,
        waitStatus: 0,
      }),
    );
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
    stage.forgetRuns();
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
  assert.equal((await launch([gcc, '-c', 'x.c'], { DISTCC_FALLBACK: '0' })).status, 1);
  assert.equal(runs(), 0);
});

test('without a daemon, strict mode lets run what no daemon would send away, and means what its words mean', async () => {
  const strict = { SHOAL_STRICT: '1' };
  for (const words of [
    ['-c', 'conftest.c'],
    ['-march=native', '-c', 'x.c'],
    ['-o', 'x', 'x.o'],
  ]) {
    assert.equal((await launch([gcc, ...words], strict)).status, 3, words.join(' '));
  }
  for (const value of ['', '0', 'off', 'false', '2%']) {
    assert.equal((await launch([gcc, '-c', 'x.c'], { SHOAL_STRICT: value, DISTCC_FALLBACK: '0' })).status, 3, value);
  }
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

test('a socket behind a link, or what is no socket, is not used', async () => {
  await daemon(() => assert.fail('the launcher must not connect'));
  const socket = join(runtime, 'daemon.sock');
  renameSync(socket, join(runtime, 'other.sock'));
  symlinkSync('other.sock', socket);
  assert.equal((await launch([gcc, '-c', 'x.c'])).status, 3);
  rmSync(socket);
  writeFileSync(socket, '');
  assert.equal((await launch([gcc, '-c', 'x.c'])).status, 3);
  rmSync(join(runtime, 'other.sock'));
});

test('the prefix form finds the compiler by name and takes one by path', async () => {
  const seen: LauncherRequest[] = [];
  await daemon((request, socket) => {
    seen.push(request);
    socket.end(encodeCompleted({ outputs: [], stdout: nothing, stderr: nothing, waitStatus: 0 }));
  });
  await launch([join(bin, 'shoal'), 'gcc', '-c', 'x.c']);
  await launch([join(bin, 'shoal'), join(compilers, 'gcc'), '-c', 'x.c']);
  assert.deepEqual(
    seen.map((request) => request.compiler),
    [join(compilers, 'gcc'), join(compilers, 'gcc')],
  );
  assert.deepEqual(
    seen.map((request) => request.argv[0]),
    [join(compilers, 'gcc'), join(compilers, 'gcc')],
  );
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
