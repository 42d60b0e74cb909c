// What users of other compile farms complain of, tried on this one (docs/internals/peers-complaints.md): builds through a
// real worker on this box.
import assert from 'node:assert/strict';
import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { chmodSync, chownSync, cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { availableParallelism, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { waitUntil } from '../../bench/wait.ts';

const packageRoot = fileURLToPath(new URL('../../..', import.meta.url));
const main = join(packageRoot, 'dist/shoal/main.js');
const base = mkdtempSync(join(tmpdir(), 'shoal-complaints-'));
const { PATH = '' } = process.env;
const summaryFile = join(base, 'summary.json');
// More than a box that runs this has CPUs.
const slots = 64;
const nowhere = '127.0.0.1:1';
let worker: StartedWorker;
let address = '';
let startMs = 0;

type Ran = { readonly status: number | null; readonly stdout: string; readonly stderr: string };
type Env = Readonly<Record<string, string>>;

function ended(child: ChildProcess): Promise<Ran> {
  let stdout = '';
  let stderr = '';
  child.stdout?.on('data', (chunk: Buffer) => (stdout += chunk.toString()));
  child.stderr?.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
  return new Promise((resolve) => child.once('close', (status) => resolve({ status, stdout, stderr })));
}

function shoal(words: readonly string[], cwd: string, env: Env = {}): Promise<Ran> {
  const whole = { PATH, HOME: base, XDG_CACHE_HOME: join(base, 'cache'), SHOAL_HOSTS: address, ...env };
  return ended(spawn(process.execPath, [main, ...words], { cwd, env: whole, stdio: ['ignore', 'pipe', 'pipe'] }));
}

/** A shell line by the compiler alone. */
function atHome(line: string, cwd: string): Promise<Ran> {
  return ended(spawn('sh', ['-c', line], { cwd, env: { PATH, HOME: base }, stdio: ['ignore', 'pipe', 'pipe'] }));
}

type Summary = Readonly<Record<'remote' | 'cached' | 'local' | 'failed' | 'fallbacks', number>> & {
  readonly reasons: Readonly<Record<string, number>>;
};

async function built(
  line: string,
  cwd: string,
  env: Env = {},
): Promise<{ readonly ran: Ran; readonly summary: Summary }> {
  const ran = await shoal(['run', '--', 'sh', '-c', line], cwd, { SHOAL_SUMMARY: summaryFile, ...env });
  return { ran, summary: JSON.parse(readFileSync(summaryFile, 'utf8')) as Summary };
}

type Report = Readonly<Record<'name' | 'state' | 'why', string>> & { readonly failures: number };

function reports(json: string): readonly Report[] {
  return (JSON.parse(json) as { readonly hosts: readonly Report[] }).hosts;
}

function project(name: string, files: Readonly<Record<string, string>>): string {
  const directory = join(base, name);
  for (const [path, text] of Object.entries({ '.': '', ...files })) {
    const file = join(directory, path);
    mkdirSync(path === '.' ? file : dirname(file), { recursive: true });
    if (path !== '.') writeFileSync(file, text);
  }
  return directory;
}

type StartedWorker = { readonly address: string; readonly stop: () => Promise<unknown> };

type WorkerSpec = {
  readonly script?: string;
  readonly count?: number;
  readonly path?: string;
  readonly uid?: number;
  readonly gid?: number;
};

async function startWorker(
  home: string,
  { script = main, count = 1, path = PATH, ...user }: WorkerSpec = {},
): Promise<StartedWorker> {
  const words = ['worker', '--listen', '127.0.0.1:0', '--slots', String(count), '--state', join(home, 'worker')];
  const child = spawn(process.execPath, [script, ...words], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { PATH: path, HOME: home, XDG_CACHE_HOME: join(home, 'cache') },
    ...user,
  });
  let text = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (text += chunk.toString()));
  const gone = new Promise((resolve) => child.once('close', resolve));
  await waitUntil('the worker', 60_000, () => text.includes('ready ') || child.exitCode !== null);
  const ready = /^ready (\S+)$/m.exec(text)?.[1];
  assert.ok(ready !== undefined, text);
  return { address: ready, stop: () => (child.kill('SIGTERM'), gone) };
}

before(async () => {
  const startedMs = performance.now();
  worker = await startWorker(base, { count: slots });
  startMs = performance.now() - startedMs;
  address = worker.address;
});

after(async () => {
  await worker.stop();
  rmSync(base, { recursive: true, force: true });
});

test('a worker of many slots is soon ready, and serves who comes at once', async () => {
  assert.ok(startMs < 15_000, `${startMs} ms`);
  const directory = project('early', { 'x.c': 'int x;\n' });
  const { ran, summary } = await built('gcc -c x.c', directory, { SHOAL_STRICT: '1' });
  assert.deepEqual([ran.status, summary.remote], [0, 1], ran.stderr);
});

/** The directories of all packages that the one with this package.json needs. */
function dependenciesOf(packageJson: string, seen = new Set<string>()): Set<string> {
  const { dependencies = {} } = JSON.parse(readFileSync(join(packageRoot, packageJson), 'utf8')) as {
    readonly dependencies?: object;
  };
  for (const name of Object.keys(dependencies)) {
    const directory = `node_modules/${name}`;
    if (!seen.has(directory)) dependenciesOf(`${directory}/package.json`, seen.add(directory));
  }
  return seen;
}

test('neither worker nor client needs a privilege, nor a PATH that it may read whole', async () => {
  const home = mkdtempSync(join(tmpdir(), 'shoal-plain-'));
  // The package where everybody can read it, which a checkout may not be.
  for (const part of ['dist/shoal', 'launcher', 'native', 'package.json', ...dependenciesOf('package.json')]) {
    cpSync(join(packageRoot, part), join(home, part), { recursive: true });
  }
  // As su leaves it: root's own directories in front.
  const closed = project('closed', { 'bin/other': '' });
  chmodSync(closed, 0);
  const script = join(home, 'dist/shoal/main.js');
  const summaries = join(home, 'summary.json');
  writeFileSync(join(home, 'x.c'), 'int x;\n');
  const nobody = process.getuid?.() === 0 ? { uid: 65_534, gid: 65_534 } : {};
  if (nobody.uid !== undefined) chownSync(home, nobody.uid, nobody.gid);
  const path = `${closed}/bin:${PATH}`;
  const plain = await startWorker(home, { script, path, ...nobody });
  const env = {
    PATH: path,
    HOME: home,
    XDG_CACHE_HOME: '',
    SHOAL_HOSTS: plain.address,
    SHOAL_STRICT: '1',
    SHOAL_SUMMARY: summaries,
  };
  try {
    const client = spawn(process.execPath, [script, 'run', '--', 'gcc', '-c', 'x.c'], { cwd: home, env, ...nobody });
    const { status, stderr } = await ended(client);
    assert.equal(status, 0, stderr);
    assert.equal((JSON.parse(readFileSync(summaries, 'utf8')) as Summary).remote, 1, stderr);
  } finally {
    await plain.stop();
    chmodSync(closed, 0o700);
    rmSync(home, { recursive: true, force: true });
  }
});

test('as many jobs as the farm has slots are begun, however few CPUs this box has', async () => {
  assert.ok(slots > availableParallelism());
  const directory = project('wide', { Makefile: 'all:\n\t@echo "$(MAKEFLAGS)"\n' });
  assert.match((await shoal(['make'], directory)).stdout, new RegExp(`-j${2 * slots}\\b`));
});

test('a mistake in a source, or a header that it lacks, is not held against the host', async () => {
  const directory = project('mistakes', {
    'wrong.c': 'int f(void) { return undeclared; }\n',
    'lacks.c': '#include "none.h"\n',
    'right.c': 'int x;\n',
  });
  const line = `for i in 1 2 3; do gcc -c wrong.c; gcc -c lacks.c; done
    ${process.execPath} ${main} hosts --json >hosts.json; gcc -c right.c`;
  const { ran, summary } = await built(line, directory);
  assert.equal(ran.status, 0, ran.stderr);
  assert.deepEqual([summary.failed, summary.reasons, summary.remote], [3, { 'remote-compile-failed': 3 }, 4]);
  const [host] = reports(readFileSync(join(directory, 'hosts.json'), 'utf8'));
  assert.deepEqual([host?.state, host?.failures], ['ready', 0]);
});

test('a checkout is never given the object of another', async () => {
  const source = '#include "inc/s.h"\nunsigned long at = __builtin_offsetof(struct s, b);\n';
  const checkout = (name: string, members: string): string =>
    project(name, { 'main.c': source, 'inc/s.h': `struct s { ${members} };\n` });
  const line = 'gcc -Iinc -ffile-prefix-map="$PWD"=. -c main.c -o $OUT.o';
  for (const [name, members] of [
    ['one', 'int a; int b;'],
    ['two', 'int a; int c; int b;'],
    ['three', 'int a; int c; int b;'],
  ] as const) {
    const directory = checkout(name, members);
    assert.equal((await atHome(line.replace('$OUT', 'home'), directory)).status, 0);
    for (const out of ['first', 'second']) {
      const { ran } = await built(line.replace('$OUT', out), directory, { SHOAL_STRICT: '1' });
      assert.equal(ran.status, 0, ran.stderr);
      assert.deepEqual(readFileSync(join(directory, `${out}.o`)), readFileSync(join(directory, 'home.o')), name);
    }
  }
});

test('a warning that depends on a comment is what it is at home, so -Werror fails nothing elsewhere alone', async () => {
  const directory = project('comments', {
    'x.c': `#define ODD(x) ((x) == (x))
int f(int x) {
  switch (x) {
    case 1: x++; /* fall through */
    case 2: x--;
  }
  return ODD(x) ? x : 0;
}
`,
  });
  const line = 'gcc -Wall -Wextra -Wno-tautological-compare -Werror -c x.c -o $OUT.o';
  const home = await atHome(line.replace('$OUT', 'home'), directory);
  assert.deepEqual([home.status, home.stderr], [0, '']);
  const { ran, summary } = await built(line.replace('$OUT', 'farm'), directory, { SHOAL_STRICT: '1' });
  assert.deepEqual([ran.status, summary.remote], [0, 1], ran.stderr);
  assert.deepEqual(readFileSync(join(directory, 'farm.o')), readFileSync(join(directory, 'home.o')));
});

test('the end of one build leaves another alone, although it started the daemon', async () => {
  const directory = project('parallel', { 'x.c': 'int x;\n' });
  const first = built('gcc -c x.c -o 1.o; touch first; while [ ! -e second ]; do sleep 0.02; done', directory);
  await waitUntil('the first build', 20_000, () => exists(join(directory, 'first')));
  const env = { SHOAL_STRICT: '1', SHOAL_RESULT_CACHE: 'off', SHOAL_SUMMARY: join(base, 'second.json') };
  const line =
    'gcc -c x.c -o 2.o && touch second && while [ ! -e third ]; do sleep 0.02; done; sleep 0.3; for i in 3 4 5; do gcc -c x.c -o $i.o || exit 1; done';
  const second = shoal(['run', '--', 'sh', '-c', line], directory, env);
  assert.equal((await first).ran.status, 0);
  writeFileSync(join(directory, 'third'), '');
  const { status, stderr } = await second;
  assert.equal(status, 0, stderr);
  assert.equal((JSON.parse(readFileSync(env.SHOAL_SUMMARY, 'utf8')) as Summary).remote, 4, stderr);
});

// What configure scripts and libtool look at: both streams and the status of each command.
const probes = `
  set -- 'gcc -c conftest.c' 'gcc -c -o conftest.o conftest.c' 'gcc -c bad.c' 'gcc -E conftest.c' 'gcc -o conftest conftest.c' \
    'gcc -c warns.c -Wall' 'gcc -c -fPIC -DPIC warns.c -o pic.o' 'gcc -print-search-dirs' 'gcc --version' 'gcc -dumpmachine' \
    'gcc -c -Wnonsense -fno-such-option conftest.c' 'gcc -dM -E -x c /dev/null'
  at=0; for line; do at=$((at + 1)); $line >$OUT/$at.out 2>$OUT/$at.err; echo $? >$OUT/$at.status; done`;

test('whatever becomes of the farm, a compile says what its compiler says, and not a byte more', async () => {
  const files = {
    'conftest.c': 'int main(void) { return 0; }\n',
    'bad.c': 'int f(void) { return undeclared; }\n',
    'warns.c': 'int f(void) { int unused; return 0; }\n',
  };
  const silent = await silentServer();
  const ways: Readonly<Record<string, Env>> = {
    farm: {},
    nobody: { SHOAL_HOSTS: nowhere },
    silence: { SHOAL_HOSTS: silent.address },
    'no-home': { XDG_CACHE_HOME: '', HOME: '/dev/null/none' },
  };
  const directory = project('probes', files);
  const said = (out: string): string =>
    execFileSync('sh', ['-c', `cd ${out} && head -c 100000 *`], { cwd: directory, encoding: 'utf8' });
  mkdirSync(join(directory, 'home'));
  await atHome(probes.replaceAll('$OUT', 'home'), directory);
  for (const [name, env] of Object.entries(ways)) {
    mkdirSync(join(directory, name));
    const { status, stderr } = await shoal(['run', '--', 'sh', '-c', probes.replaceAll('$OUT', name)], directory, env);
    assert.equal(status, 0, stderr);
    assert.equal(said(name), said('home'), name);
  }
  silent.close();
});

test('each way in which a host is not there has words of its own', async () => {
  const silent = await silentServer();
  const other = await silentServer((socket) => socket.end('220 mail.example ESMTP\r\n'));
  const hosts = {
    refused: nowhere,
    silent: silent.address,
    other: other.address,
    unknown: 'no-such-host.invalid:8475',
  };
  const { stdout, status, stderr } = await shoal(['--hosts', Object.values(hosts).join(' '), 'hosts', '--json'], base);
  assert.equal(status, 0, stderr);
  const why = new Map(reports(stdout).map((report) => [report.name, report.why]));
  const words = Object.fromEntries(Object.entries(hosts).map(([kind, name]) => [kind, why.get(name) ?? '']));
  silent.close();
  other.close();
  assert.equal(new Set(Object.values(words)).size, 4, JSON.stringify(words));
});

test('a build in another mount namespace is not given what its headers are outside', async () => {
  const directory = project('mounted', {
    'x.c': '#include "in/x.h"\nint x = X;\n',
    'in/x.h': '#define X 1\n',
    'other/x.h': '#define X 2\n',
  });
  const unshare = process.getuid?.() === 0 ? 'unshare --mount' : 'unshare --user --map-root-user --mount';
  const line = `gcc -c x.c -o before.o; ${unshare} sh -c 'mount --bind other in && gcc -c x.c -o $OUT.o'`;
  assert.equal((await atHome(line.replace('$OUT', 'home'), directory)).status, 0);
  const { ran, summary } = await built(line.replace('$OUT', 'farm'), directory);
  assert.equal(ran.status, 0, ran.stderr);
  assert.deepEqual(readFileSync(join(directory, 'farm.o')), readFileSync(join(directory, 'home.o')));
  // With a uid of its own there it has a daemon of its own, or none.
  if (process.getuid?.() === 0) assert.deepEqual([summary.remote, summary.reasons], [1, { 'other-root': 1 }]);
});

test("where the compilers' names have no place the build runs here and says so, and strict mode does not begin it", async () => {
  const directory = project('placeless', { 'x.c': 'int x;\n' });
  const env = { XDG_CACHE_HOME: '/dev/null/none' };
  const line = ['run', '--', 'gcc', '-c', 'x.c'];
  const { status, stderr } = await shoal(line, directory, env);
  assert.equal(status, 0, stderr);
  assert.match(stderr, /names have no place \(ENOTDIR.*\), so this build runs here; set XDG_CACHE_HOME/);
  const strict = await shoal(line, directory, { ...env, SHOAL_STRICT: '1' });
  assert.deepEqual([strict.status, /strict: .* was not begun/.test(strict.stderr)], [1, true], strict.stderr);
});

function exists(path: string): boolean {
  try {
    readFileSync(path);
    return true;
  } catch {
    return false;
  }
}

/** A server that takes connections and says nothing, or what it is told to. */
async function silentServer(greet: (socket: Socket) => void = () => undefined) {
  const sockets = new Set<Socket>();
  const server: Server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined).resume();
    greet(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const bound = server.address();
  assert.ok(bound !== null && typeof bound === 'object');
  const close = (): void => {
    server.close();
    for (const socket of sockets) socket.destroy();
  };
  return { address: `127.0.0.1:${bound.port}`, close };
}
