// Debian's distcc against our distccd.
import assert from 'node:assert/strict';
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { after, before } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { userIds } from '../../bench/sides/listening.ts';
import { waitUntil } from '../../bench/wait.ts';
import { distccdOptions, distccdVariables } from '../../src/distcc/distccd-options.ts';
import { serveIncludes } from './include-server.ts';
import { distccEnv, ourDistccd, runDistcc, spawnDistcc, startOurs, startStock, type Daemon } from './programs.ts';

const sources: Readonly<Record<string, string>> = {
  'c.c': '#include <stdio.h>\n#include "own.h"\nint main(void) { printf("%d %d\\n", OWN, __LINE__); return 0; }\n',
  'cpp.cpp':
    '#include <map>\n#include <string>\n#include "own.h"\nstd::map<std::string, int> m{{"a", OWN}};\nint f() { return m["a"]; }\n',
  'objc.m':
    '#include "own.h"\n__attribute__((objc_root_class)) @interface Thing { int value; }\n- (int)value;\n@end\n@implementation Thing\n- (int)value { return OWN; }\n@end\n',
  'assembly.S': '#include "own.h"\n.globl own\nown: .long OWN\n',
};
const compilers: Readonly<Record<string, string>> = {
  'c.c': 'gcc',
  'cpp.cpp': 'g++',
  'objc.m': 'gcc',
  'assembly.S': 'gcc',
};

let directory = '';
let ours: Daemon;

before(async () => {
  directory = mkdtempSync(join(tmpdir(), 'shoal-stock-'));
  // Stock distccd's user has to get through.
  chmodSync(directory, 0o755);
  mkdirSync(join(directory, 'inc'));
  writeFileSync(join(directory, 'inc/own.h'), '#define OWN 42\n');
  for (const [name, text] of Object.entries(sources)) writeFileSync(join(directory, name), text);
  writeFileSync(join(directory, 'bad.c'), '#include "own.h"\nint f(void) { return nothing + OWN; }\n');
  writeFileSync(join(directory, 'warned.c'), '#include "own.h"\nint f(void) { int unused; return OWN; }\n');
  writeFileSync(join(directory, 'slow.c'), `int f(int x) { return x${' ? x * x : x'.repeat(200_000)}; }\n`);
  ours = await startOurs({ directory });
});
after(async () => {
  await ours.stop();
  rmSync(directory, { recursive: true, force: true });
});

const read = (name: string): Buffer => readFileSync(join(directory, name));
const env = { PATH: '/usr/bin:/bin', LC_ALL: 'C' };

function locally(argv: readonly string[]): { readonly status: number | null; readonly stderr: string } {
  const [compiler = '', ...args] = argv;
  return spawnSync(compiler, args, { cwd: directory, env, encoding: 'utf8' });
}

const words = (name: string, ...more: string[]): string[] => [
  compilers[name] ?? 'gcc',
  '-O2',
  '-Wall',
  '-Iinc',
  ...more,
  '-c',
  name,
];

for (const option of ['', ',lzo']) {
  test(`objects are the local compiler’s: ${option === '' ? 'plain' : option}`, () => {
    for (const name of Object.keys(sources)) {
      assert.equal(locally([...words(name), '-o', 'local.o']).status, 0, name);
      const ran = runDistcc({
        cwd: directory,
        hosts: `127.0.0.1:${ours.port}/2${option}`,
        argv: [...words(name), '-o', 'far.o'],
      });
      assert.deepEqual(ran, { status: 0, stdout: '', stderr: '' }, name);
      assert.deepEqual(read('far.o'), read('local.o'), name);
    }
  });
}

test('debug information, errors and warnings are what stock distccd gives', async () => {
  const stock = await startStock({ directory });
  try {
    for (const name of [...Object.keys(sources), 'bad.c', 'warned.c']) {
      for (const option of ['', ',lzo']) {
        const [theirs, own] = [stock, ours].map(({ port }) => {
          rmSync(join(directory, 'debug.o'), { force: true });
          const argv = [...words(name, '-g3'), '-o', 'debug.o'];
          const ran = runDistcc({ cwd: directory, hosts: `127.0.0.1:${port}/2${option}`, argv });
          return { ...ran, object: existsSync(join(directory, 'debug.o')) ? read('debug.o') : undefined };
        });
        assert.equal(own?.status, name === 'bad.c' ? 1 : 0, own?.stderr);
        assert.deepEqual(own, theirs, `${name} ${option}`);
      }
    }
  } finally {
    await stock.stop();
  }
});

test('protocol 3, with an include server: object, dependencies and debug information are the local ones', async () => {
  for (const name of ['c.c', 'cpp.cpp', 'objc.m']) {
    const includes = await serveIncludes([name, 'inc/own.h'].map((path) => join(directory, path)));
    try {
      const argv = [...words(name, '-g', '-MMD', '-MF', 'x.d', '-MT', 'target'), '-o', 'x.o'];
      assert.equal(locally(argv).status, 0);
      const [object, dependencies] = [read('x.o'), read('x.d').toString()];
      for (const path of ['x.o', 'x.d']) rmSync(join(directory, path));
      const hosts = `127.0.0.1:${ours.port}/2,cpp,lzo`;
      const ran = await spawnDistcc({ cwd: directory, hosts, argv, env: { INCLUDE_SERVER_PORT: includes.socket } });
      assert.deepEqual(ran, { status: 0, stdout: '', stderr: '' }, name);
      assert.deepEqual(read('x.o'), object, name);
      assert.equal(read('x.d').toString(), dependencies, name);
    } finally {
      includes.close();
    }
  }
});

test('over a pipe, as by ssh, a server is found or started, and ends by itself', () => {
  const ssh = join(directory, 'ssh');
  writeFileSync(ssh, `#!/bin/sh\nexec ${process.execPath} ${ourDistccd} --inetd\n`);
  chmodSync(ssh, 0o755);
  assert.equal(locally([...words('c.c'), '-o', 'local.o']).status, 0);
  const argv = [...words('c.c'), '-o', 'far.o'];
  const ran = runDistcc({ cwd: directory, hosts: '@box/2,lzo', argv, env: { DISTCC_SSH: ssh } });
  assert.deepEqual(ran, { status: 0, stdout: '', stderr: '' });
  assert.deepEqual(read('far.o'), read('local.o'));
});

test('fifty clients at once lose nothing', async () => {
  assert.equal(locally([...words('c.c'), '-o', 'local.o']).status, 0);
  const hosts = `--localslots_cpp=50 127.0.0.1:${ours.port}/50,lzo`;
  const names = Array.from({ length: 50 }, (_, at) => `many${at}.o`);
  const ran = await Promise.all(
    names.map((name) => spawnDistcc({ cwd: directory, hosts, argv: [...words('c.c'), '-o', name] })),
  );
  for (const [at, name] of names.entries()) {
    assert.equal(ran[at]?.status, 0, ran[at]?.stderr);
    assert.deepEqual(read(name), read('local.o'));
  }
});

test('a client that is killed takes its compile with it', async () => {
  const argv = ['gcc', '-O2', '-c', 'slow.c'];
  const client = spawn('distcc', argv, {
    cwd: directory,
    env: distccEnv({ cwd: directory, hosts: `127.0.0.1:${ours.port}/2` }),
  });
  const compiling = (): boolean => execFileSync('ps', ['-eo', 'args'], { encoding: 'utf8' }).includes('/tmp/distccd.i');
  await waitUntil('it compiles', 30_000, compiling);
  client.kill('SIGKILL');
  await waitUntil('it does not any more', 30_000, () => !compiling());
  await waitUntil('the log says so', 5000, () => ours.log().includes('CLI_DISCONN'));
});

test('a compiler that the box does not have: the client says so and compiles at home', async () => {
  const elsewhere = join(directory, 'without');
  mkdirSync(elsewhere);
  const bare = await startOurs({ directory: elsewhere, env: { DISTCCD_PATH: elsewhere } });
  try {
    const argv = [...words('c.c'), '-o', 'home.o'];
    const compile = { cwd: directory, hosts: `127.0.0.1:${bare.port}`, argv };
    const ran = runDistcc({ ...compile, env: { DISTCC_FALLBACK: '1', DISTCC_SKIP_LOCAL_RETRY: undefined } });
    assert.equal(ran.status, 0, ran.stderr);
    assert.ok(existsSync(join(directory, 'home.o')));
    const told = runDistcc(compile);
    assert.equal(told.status, 110);
    assert.match(told.stderr, /no compiler "\S*gcc" on this box, which has none/);
  } finally {
    assert.equal(await bare.stop(), 0);
  }
});

test('an address that is not on the list is turned away; its client compiles at home', async () => {
  const elsewhere = join(directory, 'closed');
  mkdirSync(elsewhere);
  const closed = await startOurs({ directory: elsewhere, args: ['--allow', '10.9.8.7'] });
  try {
    const compile = { cwd: directory, hosts: `127.0.0.1:${closed.port}`, argv: [...words('c.c'), '-o', 'home.o'] };
    // Without a pause stock distcc tries a host that turns it away for ever.
    const pause = { DISTCC_BACKOFF_PERIOD: '60' };
    assert.equal(runDistcc({ ...compile, env: { ...pause, DISTCC_FALLBACK: '1' } }).status, 0);
    assert.notEqual(runDistcc({ ...compile, env: pause }).status, 0);
    assert.match(closed.log(), /connection from client '127\.0\.0\.1' denied by access list/);
  } finally {
    assert.equal(await closed.stop(), 0);
  }
});

test('in the background it serves when the command returns; its end leaves nothing', async () => {
  const home = join(directory, 'detached');
  mkdirSync(home);
  const file = (name: string): string => join(home, name);
  const args = [
    '--daemon',
    '--listen',
    '127.0.0.1',
    '--port',
    '0',
    '--pid-file',
    file('pid'),
    '--log-file',
    file('log'),
  ];
  const started = spawnSync(process.execPath, [ourDistccd, ...args, '--state', file('state')], {
    env: { ...process.env, HOME: home },
    encoding: 'utf8',
  });
  assert.deepEqual([started.status, started.stdout, started.stderr], [0, '', '']);
  const pid = Number(readFileSync(file('pid'), 'utf8'));
  const port = Number(/clients on .*:(\d+)/.exec(readFileSync(file('log'), 'utf8'))?.[1]);
  assert.equal(
    runDistcc({ cwd: directory, hosts: `127.0.0.1:${port}`, argv: [...words('c.c'), '-o', 'far.o'] }).status,
    0,
  );
  process.kill(pid, 'SIGTERM');
  await waitUntil('it has ended', 10_000, () => !existsSync(`/proc/${pid}`));
  assert.ok(!existsSync(file('pid')));
  const left = execFileSync('ps', ['-eo', 'args'], { encoding: 'utf8' })
    .split('\n')
    .filter((line) => line.includes(home));
  assert.deepEqual(left, []);
});

test('started by root, it becomes the user that it is told, and so do its compiles', async () => {
  const home = join(directory, 'as-user');
  mkdirSync(home);
  // Where any user can read it.
  const root = join(ourDistccd, '../..');
  for (const part of ['bin', 'launcher', 'native', 'node_modules', 'package.json', 'dist/shoal']) {
    cpSync(join(root, part), join(home, part), { recursive: true, dereference: true });
  }
  const { uid, gid } = userIds('distccd');
  const state = join(home, 'state');
  mkdirSync(state);
  chownSync(state, uid, gid);
  const daemon = await startOurs({
    directory: state,
    program: join(home, 'bin/distccd.js'),
    args: ['--user', 'distccd', '--pid-file', join(state, 'pid')],
  });
  try {
    const ran = runDistcc({
      cwd: directory,
      hosts: `127.0.0.1:${daemon.port}`,
      argv: [...words('c.c'), '-o', 'far.o'],
    });
    assert.deepEqual(ran, { status: 0, stdout: '', stderr: '' });
    const uids = /^Uid:\s+(.*)$/m.exec(readFileSync(`/proc/${daemon.pid}/status`, 'utf8'))?.[1];
    assert.deepEqual(
      uids?.split('\t'),
      Array.from({ length: 4 }, () => String(uid)),
    );
  } finally {
    assert.equal(await daemon.stop(), 0);
  }
});

test('without a list of addresses it does not listen beyond this box, and says what to do', () => {
  const refused = spawnSync(process.execPath, [ourDistccd, '--daemon', '--no-detach'], { encoding: 'utf8' });
  assert.equal(refused.status, 101);
  assert.match(refused.stderr, /--allow ADDRESS\[\/BITS\] \(or --allow-private\)/);
});

test('every option and variable that stock distccd names is known', () => {
  const help = execFileSync('distccd', ['--help'], { encoding: 'utf8' });
  const page = '/usr/share/man/man1/distccd.1.gz';
  const manual = existsSync(page) ? gunzipSync(readFileSync(page)).toString().replaceAll('\\-', '-') : '';
  const names = new Set([...`${help}${manual}`.matchAll(/--([a-z][a-z-]+)\b/g)].map((match) => match[1] ?? ''));
  assert.ok(names.size > 25, [...names].join(' '));
  // The option of configure that builds it with GSS-API.
  names.delete('with-auth');
  for (const name of names) assert.ok(distccdOptions[name] !== undefined, `--${name}`);
  const program = readFileSync('/usr/bin/distccd', 'latin1');
  const variables = new Set([...program.matchAll(/\0(DISTCCD?_[A-Z_]+)\0/g)].map((match) => match[1] ?? ''));
  assert.ok(variables.size > 5, [...variables].join(' '));
  for (const name of variables) assert.ok(distccdVariables[name] !== undefined, name);
});
