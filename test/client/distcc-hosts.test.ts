// Builds whose hosts are servers of distcc's protocol: ours, and some that misbehave.
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, existsSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import test, { after, before } from 'node:test';
import { waitUntil } from '../../bench/wait.ts';
import { compressLzo } from '../../src/distcc/lzo-compress.ts';
import { encodeResponse } from '../../src/distcc/response.ts';
import { startDistcc } from '../distcc/serving.ts';
import { oneBox, type OneBox } from './one-box.ts';

let box: OneBox;
let serving: Awaited<ReturnType<typeof startDistcc>>;
const hostile: Server[] = [];

before(async () => {
  box = await oneBox('distcc');
  serving = await startDistcc({ slots: 2 });
  box.write({
    'inc/own.h': '#define OWN 42\n#define UNUSED int unused\n',
    'empty/.keep': '',
    'c.c': '#include <stdio.h>\n#include "own.h"\nint main(void) { printf("%d\\n", OWN); return 0; }\n',
    'cpp.cpp': '#include <string>\n#include "own.h"\nstd::string f() { return std::to_string(OWN); }\n',
    'bad.c': '#include "own.h"\nint f(void) { UNUSED; return nothing; }\n',
    'lost.c': '#include "nowhere.h"\n',
    'out/.keep': '',
  });
});
after(async () => {
  for (const server of hostile) server.close();
  await serving.stop();
  await box.remove();
});

const honest = (options = ''): string => `distcc://127.0.0.1:${serving.port}/2${options}`;
const file = (name: string): Buffer => readFileSync(join(box.base, name));
const forget = (...names: readonly string[]): void => {
  for (const name of names) rmSync(join(box.base, name), { force: true });
};

type Ran = { readonly status: number | null; readonly stdout: string; readonly stderr: string };

function locally(line: string): Ran {
  const env = { PATH: '/usr/bin:/bin' };
  const { status, stdout, stderr } = spawnSync('sh', ['-c', line], { cwd: box.base, env, encoding: 'utf8' });
  return { status, stdout, stderr };
}

const strict = { SHOAL_STRICT: '1' };

for (const [protocol, options] of [
  [1, ''],
  [2, ',lzo'],
  [3, ',lzo,cpp'],
] as const) {
  test(`protocol ${protocol}: object and dependencies are the local ones`, async () => {
    for (const line of [
      'gcc -O2 -Wall -Iinc -MD -c c.c -o out/x.o',
      'gcc -Iinc -Iempty -c c.c -o out/x.o',
      `g++ -O1 -Iinc -MMD -MP -MF out/x.d -MT '$(name)' -c cpp.cpp -o out/x.o`,
      'gcc -O2 -Iinc -S c.c -o out/x.o',
    ]) {
      forget('out/x.o', 'out/x.d');
      assert.equal(locally(line).status, 0);
      const made = ['out/x.o', 'out/x.d'].filter((name) => existsSync(join(box.base, name)));
      const expected = made.map(file);
      forget(...made);
      const { ran, summary } = await box.built(line, { SHOAL_HOSTS: honest(options), ...strict });
      assert.deepEqual(
        [ran.status, summary.remote, summary.local],
        [0, 1, 0],
        ran.stderr + JSON.stringify(serving.lines.slice(-3)),
      );
      assert.deepEqual(made.map(file), expected, line);
      assert.ok(summary.bytesSent > 100);
    }
  });
}

test('what the protocol cannot carry is what it is without a farm', async () => {
  box.write({ 'bytes.c': `asm(".incbin \\"${join(box.base, 'inc/own.h')}\\"");\nint x;\n` });
  for (const options of ['', ',lzo', ',lzo,cpp']) {
    for (const [line, reason] of [
      ['gcc -Iinc -c --output=out/x.o c.c', 'distcc-protocol'],
      ['gcc -Iinc -c --output out/x.o c.c', 'distcc-protocol'],
      ['gcc -Iinc --compile c.c -o out/x.o', 'distcc-protocol'],
      ['gcc -Iinc --write-dependencies -c c.c -o out/x.o', 'distcc-protocol'],
      ['gcc -Iinc -MD -MF - -c c.c -o out/x.o', 'distcc-protocol'],
      ['gcc -Iinc -Wp,-MD,- -c c.c -o out/x.o', 'distcc-protocol'],
      ['gcc -c bytes.c -o out/x.o', options.endsWith('cpp') ? undefined : 'incbin'],
    ] as const) {
      forget('out/x.o', 'out/x.d');
      const here = locally(line);
      const made = ['out/x.o', 'out/x.d'].filter((name) => existsSync(join(box.base, name)));
      const expected = made.map(file);
      forget(...made);
      const { ran, summary } = await box.built(line, { SHOAL_HOSTS: honest(options) });
      assert.deepEqual([ran.status, ran.stdout], [0, here.stdout], line);
      assert.deepEqual(summary.reasons, reason === undefined ? {} : { [reason]: 1 }, line);
      assert.deepEqual(made.map(file), expected, line);
      assert.deepEqual([existsSync(join(box.base, 'c.d')), existsSync(join(box.base, 'x.d'))], [false, false]);
    }
  }
});

test('a user’s error is said in the words of the compiler here, once', async () => {
  for (const options of ['', ',lzo,cpp']) {
    for (const source of ['bad.c', 'lost.c']) {
      const line = `gcc -Wall -Iinc -MD -c ${source} -o out/bad.o`;
      const here = locally(line);
      forget('out/bad.d');
      const { ran, summary } = await box.built(line, { SHOAL_HOSTS: honest(options), ...strict });
      assert.equal(ran.status, 1);
      assert.equal(ran.stderr.slice(0, here.stderr.length), here.stderr);
      assert.doesNotMatch(ran.stderr.slice(here.stderr.length), /^\S+:\d+:\d+: error/m);
      assert.deepEqual([summary.local, summary.fallbacks], [1, 0]);
    }
  }
});

test('with DISTCC_SKIP_LOCAL_RETRY it is said in the words of the compiler there', async () => {
  const env = { SHOAL_HOSTS: honest(',lzo'), DISTCC_SKIP_LOCAL_RETRY: '1', ...strict };
  const { ran, summary } = await box.built('gcc -Iinc -c bad.c -o out/bad.o', env);
  assert.equal(ran.status, 1);
  assert.match(ran.stderr, /bad\.c:2:\d+: error: .nothing. undeclared/);
  assert.equal(summary.local, 0);
});

test('hosts of both kinds build together', async () => {
  const names = Array.from({ length: 24 }, (_, at) => `many${at}.c`);
  box.write(Object.fromEntries(names.map((name) => [name, `#include "own.h"\nint ${name.slice(0, -2)} = OWN;\n`])));
  box.write({
    Makefile: `all: ${names.map((name) => name.replace('.c', '.o')).join(' ')}\n%.o: %.c\n\tgcc -O2 -Iinc -c $< -o $@\n`,
  });
  const env = { SHOAL_HOSTS: `${box.hosts} ${honest(',lzo')} ${honest()}`, ...strict };
  const { ran, summary } = await box.built('make -s -j12', env);
  assert.deepEqual([ran.status, summary.remote, summary.fallbacks], [0, 24, 0], ran.stderr);
  for (const name of names) {
    const object = file(name.replace('.c', '.o'));
    assert.equal(locally(`gcc -O2 -Iinc -c ${name} -o out/x.o`).status, 0);
    assert.deepEqual(object, file('out/x.o'), name);
  }
});

test('what the protocol cannot carry stays, and says so; a worker takes it', async () => {
  box.write({ words: '-c c.c', 'assembly.S': '.globl own\nown: .long 1\n' });
  for (const line of [
    'gcc -Iinc -xc -c c.c -o out/x.o',
    'gcc -Iinc @words -o out/x.o',
    'gcc -c assembly.S -o out/x.o',
    'gcc -Iinc -g -gsplit-dwarf -c c.c -o out/x.o',
  ]) {
    const alone = await box.built(line, { SHOAL_HOSTS: honest(',lzo'), ...strict });
    assert.deepEqual([alone.ran.status, alone.summary.reasons], [0, { 'distcc-protocol': 1 }], line);
    const both = await box.built(line, { SHOAL_HOSTS: `${honest(',lzo')} ${box.hosts}`, ...strict });
    assert.deepEqual([both.ran.status, both.summary.remote + both.summary.cached], [0, 1], line);
  }
});

const unknowable: Readonly<Record<string, string>> = {
  'computed.c': '#ifndef A\n#define A\n#include "own.h"\n#include __FILE__\n#else\nint own = OWN;\n#endif\n',
  'dated.c': '#include "own.h"\nconst char when[] = __DATE__;\nint own = OWN;\n',
  'stamped.cpp': '#include <string>\nstd::string when() { return __TIMESTAMP__; }\n',
};

test('what a job reads need not be known where it is preprocessed here: workers are not asked then', async () => {
  box.write(unknowable);
  for (const [source, reason] of [
    ['computed.c', 'computed-include'],
    ['dated.c', 'timestamp-macro'],
    ['stamped.cpp', 'timestamp-macro'],
  ] as const) {
    const compile = `gcc -O1 -Iinc -MD -c ${source} -o out/x.o`;
    assert.equal(locally(compile).status, 0, locally(compile).stderr);
    const expected = ['out/x.o', 'out/x.d'].map(file);
    const alone = await box.built(compile);
    assert.deepEqual([alone.ran.status, alone.summary.reasons], [0, { [reason]: 1 }], source);
    for (const hosts of [honest(), honest(',lzo'), honest(',lzo,cpp'), `${box.hosts} ${honest(',lzo,cpp')}`]) {
      forget('out/x.o', 'out/x.d');
      const { ran, summary } = await box.built(compile, { SHOAL_HOSTS: hosts, ...strict });
      assert.deepEqual([ran.status, summary.remote, summary.reasons], [0, 1, {}], ran.stderr);
      assert.match(ran.stderr, /distcc:\S+: 1 jobs/);
      assert.deepEqual(['out/x.o', 'out/x.d'].map(file), expected, `${source} ${hosts}`);
    }
    const gone = await box.built(compile, { SHOAL_HOSTS: 'distcc://127.0.0.1:1/2', ...strict });
    assert.deepEqual([gone.ran.status, gone.summary.reasons], [0, { [reason]: 1 }], gone.ran.stderr);
  }
});

test('what the assembler reads does not travel so, and a mistake is said in the words of the compiler here', async () => {
  box.write({
    blob: 'own',
    'pulls.c': 'const char *when = __TIME__;\n__asm__(".data\\nown: .incbin \\"blob\\"\\n");\n',
    'wrong.c': 'const char *when = __DATE__;\nint f(void) { return nothing; }\n',
  });
  const env = { SHOAL_HOSTS: honest(',lzo'), ...strict };
  const pulls = await box.built('gcc -c pulls.c -o out/x.o', env);
  assert.deepEqual([pulls.ran.status, pulls.summary.reasons], [0, { incbin: 1 }], pulls.ran.stderr);
  const here = locally('gcc -c wrong.c -o out/x.o');
  const wrong = await box.built('gcc -c wrong.c -o out/x.o', env);
  assert.deepEqual([wrong.ran.status, wrong.summary.fallbacks], [1, 0]);
  assert.equal(wrong.ran.stderr.slice(0, here.stderr.length), here.stderr);
});

test('a host has no more jobs at once than its limit, whatever waits', async () => {
  let [open, most] = [0, 0];
  const counting = createServer((socket) => {
    open += 1;
    most = Math.max(most, open);
    const there = connect(serving.port, '127.0.0.1');
    for (const end of [socket, there]) end.on('error', () => undefined);
    socket.on('close', () => (open -= 1));
    socket.pipe(there).pipe(socket);
  });
  hostile.push(counting);
  await new Promise<void>((resolve) => counting.listen(0, '127.0.0.1', resolve));
  const { port } = counting.address() as AddressInfo;
  const line = 'for i in 1 2 3 4 5 6 7 8; do gcc -O2 -Iinc -c c.c -o out/$i.o & done; wait';
  const { summary } = await box.built(line, { SHOAL_HOSTS: `distcc://127.0.0.1:${port}/2`, ...strict });
  assert.equal(summary.remote, 8);
  assert.equal(most, 2);
  forget(...[1, 2, 3, 4, 5, 6, 7, 8].map((name) => `out/${name}.o`));
});

test('`shoal hosts` marks them approximate', async () => {
  const env = { SHOAL_HOSTS: `${honest(',lzo')} ${box.hosts}` };
  const { stdout } = await box.shoal(['hosts', '--json'], env);
  const { hosts } = JSON.parse(stdout) as {
    hosts: { name: string; state: string; slots: number; approximate: boolean }[];
  };
  assert.deepEqual(
    hosts.map(({ state, slots, approximate }) => [state, slots, approximate]),
    [
      ['ready', 2, true],
      ['ready', 2, false],
    ],
  );
  assert.match((await box.shoal(['hosts'], env)).stdout, /ready, approximate \(distcc\)/);
});

type Answer = (socket: Socket) => void;

async function misbehaving(answer: Answer): Promise<string> {
  // Not before there is something: whoever only looks whether there is a server goes again.
  const server = createServer((socket) => socket.on('error', () => undefined).once('data', () => answer(socket)));
  hostile.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return `distcc://127.0.0.1:${(server.address() as AddressInfo).port}/2,lzo`;
}

const noBytes = Buffer.alloc(0);
const answered = (waitStatus: number, output: Buffer = noBytes): Buffer =>
  Buffer.concat(
    encodeResponse({ version: 2, waitStatus, stderr: noBytes, stdout: noBytes, output, dependencies: noBytes }),
  );
/** Takes all of the request first: to send in the middle of it is another misbehaviour. */
const later =
  (bytes: Buffer | string): Answer =>
  (socket) => {
    socket.resume();
    setTimeout(() => socket.end(bytes), 100);
  };
const bomb = compressLzo(Buffer.alloc(1 << 20));
const head = (token: string, number: number): string => token + number.toString(16).padStart(8, '0');

const misdeeds: Readonly<Record<string, readonly [answer: Answer, reason: string]>> = {
  'resets the connection': [(socket) => void socket.resetAndDestroy(), 'worker-lost'],
  'ends without a word': [later(''), 'worker-lost'],
  'ends in the middle of its answer': [later(answered(0, noBytes).subarray(0, 20)), 'worker-lost'],
  'says nothing': [(socket) => void socket.resume(), 'worker-stalled'],
  'says something else': [later('HTTP/1.1 400 Bad Request\r\n\r\n'), 'bad-answer'],
  'sends more than there can be': [
    later(Buffer.concat([Buffer.from(head('DONE', 2) + head('STAT', 0) + head('SERR', 0xffffffff)), bomb])),
    'bad-answer',
  ],
  'sends what is no object': [later(answered(0, Buffer.from('no object'))), 'bad-answer'],
  'sends an empty object': [later(answered(0)), 'bad-answer'],
  'lacks the compiler': [later(answered(110 << 8)), 'no-toolchain'],
  'fails for a reason of its own': [later(answered(107 << 8)), 'worker-failed'],
  'has its compiler killed': [later(answered(9)), 'worker-failed'],
};

const line = 'gcc -O2 -Iinc -MD -c c.c -o out/x.o';
const usual = { DISTCC_IO_TIMEOUT: '1' };

for (const [what, [answer, reason]] of Object.entries(misdeeds)) {
  test(`a host that ${what}: the job goes elsewhere, or home with a reason`, async () => {
    const host = await misbehaving(answer);
    assert.equal(locally(line).status, 0);
    const expected = ['out/x.o', 'out/x.d'].map(file);
    const check = (): void => assert.deepEqual(['out/x.o', 'out/x.d'].map(file), expected);
    forget('out/x.o', 'out/x.d');
    const alone = await box.built(line, { ...usual, SHOAL_HOSTS: host });
    assert.deepEqual([alone.ran.status, alone.summary.reasons], [0, { [reason]: 1 }], alone.ran.stderr);
    check();
    forget('out/x.o', 'out/x.d');
    const other = await box.built(line, { ...usual, ...strict, SHOAL_HOSTS: `${host} ${honest(',lzo')}` });
    assert.deepEqual([other.ran.status, other.summary.fallbacks], [0, 0], other.ran.stderr);
    check();
    const refused = await box.built(line, { ...usual, ...strict, SHOAL_HOSTS: host });
    assert.equal(refused.ran.status, 1);
    assert.match(refused.ran.stderr, new RegExp(`shoal: strict: .*${reason}`));
  });
}

test('a host that is not there, or asks who one is', async () => {
  for (const [host, why] of [
    ['distcc://127.0.0.1:1/2,lzo', /ECONNREFUSED/],
    [honest(',lzo,auth=box.test'), /GSS-API|--auth|has ended the connection/],
  ] as const) {
    const env = { SHOAL_HOSTS: host };
    const { ran, summary } = await box.built(line, env);
    assert.deepEqual([ran.status, summary.reasons], [0, { 'no-worker': 1 }]);
    assert.match((await box.shoal(['hosts'], env)).stdout, why);
  }
});

test('a host that lacks a compiler is not asked for it again, and goes on with others', async () => {
  let asked = 0;
  const host = await misbehaving((socket) => {
    asked += 1;
    later(answered(110 << 8))(socket);
  });
  const four = (name: string): string =>
    Array.from({ length: 4 }, (_, at) => `gcc -Iinc -c c.c -o out/${name}${at}.o &`).join(' ');
  const lines = ['a', 'b', 'c', 'd'].map((name) => `${four(name)} wait`);
  const { ran, summary } = await box.built(lines.join('; '), { SHOAL_HOSTS: `${host} ${honest(',lzo')}`, ...strict });
  assert.deepEqual([ran.status, summary.remote], [0, 16], ran.stderr);
  // Its two slots, and one job ahead.
  assert.ok(asked >= 1 && asked <= 3, String(asked));
});

test('by ssh: the command as distcc has it, and the job over its pipes', async () => {
  const script = join(box.base, 'ssh');
  const relay = join(box.base, 'relay.mjs');
  writeFileSync(
    relay,
    `import { connect } from 'node:net';\nconst s = connect(${serving.port}, '127.0.0.1');\nprocess.stdin.pipe(s);\ns.pipe(process.stdout);\n`,
  );
  writeFileSync(script, `#!/bin/sh\necho "$@" >>${box.base}/asked\nexec ${process.execPath} ${relay}\n`);
  chmodSync(script, 0o755);
  assert.equal(locally(line).status, 0);
  const expected = file('out/x.o');
  forget('out/x.o');
  // A daemon that somebody has started, without that variable: what counts is the environment of the build.
  const daemon = box.start(box.command(['daemon']));
  const ended = new Promise((resolve) => daemon.once('close', resolve));
  await waitUntil('the daemon listens', 10_000, () => existsSync('/tmp/shoal-0/daemon.sock'));
  const env = { SHOAL_HOSTS: 'distcc://me@far/2:/opt/distccd,lzo', DISTCC_SSH: script, ...strict };
  const { ran, summary } = await box.built(line, env);
  assert.deepEqual([ran.status, summary.remote], [0, 1], ran.stderr);
  assert.deepEqual(file('out/x.o'), expected);
  assert.equal(file('asked').toString(), '-l me far /opt/distccd --inetd --enable-tcp-insecure\n');
  const nowhere = { SHOAL_HOSTS: 'distcc://me@far/2:/opt/distccd,lzo', DISTCC_SSH: '/bin/false' };
  const home = await box.built(line, nowhere);
  assert.deepEqual([home.ran.status, home.summary.local], [0, 1]);
  await box.shoal(['stop']);
  await ended;
});

test('DISTCC_SAVE_TEMPS=1 keeps what was sent, by the name that stock distcc gives it', async () => {
  box.write({ 'tmp/.keep': '' });
  const env = { SHOAL_HOSTS: honest(',lzo'), TMPDIR: 'tmp', ...strict };
  const kept = (): readonly string[] => readdirSync(join(box.base, 'tmp')).filter((name) => name.startsWith('distcc_'));
  await box.built('gcc -Iinc -c c.c -o out/x.o', env);
  await box.built('gcc -Iinc -c c.c -o out/x.o', { ...env, DISTCC_SAVE_TEMPS: '0' });
  assert.deepEqual(kept(), []);
  await box.built('gcc -Iinc -c c.c -o out/x.o; g++ -Iinc -c cpp.cpp -o out/x.o', { ...env, DISTCC_SAVE_TEMPS: '1' });
  const names = kept().toSorted((a, b) => a.length - b.length);
  assert.deepEqual(
    names.map((name) => name.replace(/[0-9a-f]{8}/, 'X')),
    ['distcc_X.i', 'distcc_X.ii'],
  );
  assert.equal(locally('gcc -Iinc -E c.c -o out/x.i').status, 0);
  assert.deepEqual(file(`tmp/${names[0] ?? ''}`), file('out/x.i'));
});

test('DISTCC_BACKOFF_PERIOD is how long a host rests: with 0 the next compile tries it again', async () => {
  let asked = 0;
  const host = await misbehaving((socket) => {
    asked += 1;
    socket.resetAndDestroy();
  });
  const six = Array.from({ length: 6 }, (_, at) => `gcc -Iinc -c c.c -o out/rest${at}.o`).join('; ');
  const tried = async (period: string): Promise<number> => {
    asked = 0;
    const { ran } = await box.built(six, { SHOAL_HOSTS: host, DISTCC_BACKOFF_PERIOD: period });
    assert.equal(ran.status, 0, ran.stderr);
    return asked;
  };
  const [patient, impatient] = [await tried('60'), await tried('0')];
  assert.ok(patient < 6 && impatient === 6, `${patient} ${impatient}`);
});

test('nothing is left in the runtime directory', async () => {
  await box.shoal(['stop']);
  const left = execFileSync('sh', ['-c', 'find /tmp/shoal-0 /run/user 2>/dev/null || true'], { encoding: 'utf8' });
  assert.ok(!/preprocess|distcc/.test(left), left);
});
