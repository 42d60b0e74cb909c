// GSS-API with a real KDC: Debian's distcc against our distccd --auth, our client's side against Debian's, and both of ours.
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { connect, createServer } from 'node:net';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { after, before } from 'node:test';
import { fileURLToPath } from 'node:url';
import { userIds } from '../../bench/sides/listening.ts';
import { waitUntil } from '../../bench/wait.ts';
import { openAuthenticator } from '../../src/distcc/gss-authenticator.ts';
import { encodeRequest, type Request } from '../../src/distcc/request.ts';
import { ensureGss } from '../../src/native.ts';
import { begin, exchange } from './client.ts';
import { ourDistccd, runDistcc, startOurs, startStock, type Compiled, type Daemon } from './programs.ts';
import { boxName, startRealm, type Realm } from './realm.ts';

const principal = `host/${boxName}`;

let directory = '';
let realm: Realm;
before(async () => {
  directory = mkdtempSync(join(tmpdir(), 'shoal-gss-'));
  chmodSync(directory, 0o755);
  writeFileSync(join(directory, 'x.c'), 'int f(void) { return 1; }\n');
  realm = await startRealm(join(directory, 'realm'), ['alice', 'bob'], [principal, `distcc/${boxName}`]);
});
after(async () => {
  await realm.stop();
  rmSync(directory, { recursive: true, force: true });
});

let servers = 0;

function serverEnv(own = principal): NodeJS.ProcessEnv {
  return { ...realm.env, KRB5_KTNAME: realm.keytab, DISTCCD_PRINCIPAL: own };
}

async function withServer(
  kind: 'ours' | 'stock',
  args: readonly string[],
  body: (daemon: Daemon) => Promise<void> | void,
  own?: string,
): Promise<void> {
  const home = join(directory, `server${(servers += 1)}`);
  mkdirSync(home);
  chmodSync(home, 0o755);
  const { uid, gid } = userIds('distccd');
  if (kind === 'stock') chownSync(realm.keytab, uid, gid);
  // One after the other they share what is made of the compilers, which takes seconds.
  const state = kind === 'ours' ? ['--state', join(directory, 'state')] : [];
  const started = { directory: home, args: ['--auth', ...state, ...args], env: serverEnv(own) };
  const daemon = await (kind === 'ours' ? startOurs(started) : startStock(started));
  try {
    await body(daemon);
  } finally {
    const helper = helperOf(daemon);
    await daemon.stop();
    await waitUntil('its helper has gone', 5000, () => helper === undefined || !existsSync(`/proc/${helper}/exe`));
  }
}

function helperOf({ pid }: Daemon): number | undefined {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean).map(Number);
  return children.find((child) => readFileSync(`/proc/${child}/cmdline`, 'utf8').includes('shoal-gss'));
}

function compile({ port }: Daemon, user: string | undefined, option = `auth=${boxName}`): Compiled {
  const env = user === undefined ? { KRB5CCNAME: join(directory, 'none') } : realm.ticketOf(user);
  rmSync(join(directory, 'x.o'), { force: true });
  return runDistcc({
    cwd: directory,
    hosts: `127.0.0.1:${port}/2${option === '' ? '' : `,${option}`}`,
    argv: ['gcc', '-c', 'x.c'],
    env: { ...realm.env, ...env, DISTCC_BACKOFF_PERIOD: '60', DISTCC_DIR: mkdtempSync(join(directory, 'client-')) },
  });
}

test('stock distcc with a ticket compiles; the log and the audit log say who it was', () =>
  withServer('ours', [], async (daemon) => {
    const { status, stderr } = compile(daemon, 'alice');
    assert.equal(status, 0, stderr + daemon.log());
    assert.ok(existsSync(join(directory, 'x.o')));
    const who = /client: 127\.0\.0\.1 is alice@SHOAL\.TEST/;
    await waitUntil('the log says so', 5000, () => who.test(daemon.log()));
    const audit = join(directory, 'state/audit.log');
    await waitUntil(
      'the line is written',
      5000,
      () => existsSync(audit) && /"event":"job"/.test(readFileSync(audit, 'utf8')),
    );
    assert.match(readFileSync(audit, 'utf8'), /"event":"job".*"principal":"alice@SHOAL\.TEST"/);
  }));

test('without a ticket, or without ,auth, nothing is compiled, and the log says why', () =>
  withServer('ours', [], async (daemon) => {
    assert.equal(compile(daemon, undefined).status, 116);
    assert.equal(compile(daemon, 'alice', '').status, 116);
    const why = /the client does not prove who it is: in its list this host needs ,auth/;
    await waitUntil('the log says so', 5000, () => why.test(daemon.log()));
    assert.equal(compile(daemon, 'alice').status, 0);
  }));

const lists: readonly (readonly [option: string, text: string, alice: number, bob: number])[] = [
  ['--whitelist', 'alice\n', 0, 116],
  ['--whitelist', '# those of the lab\nalice@SHOAL.TEST\n', 0, 116],
  ['--whitelist', 'alice@OTHER.TEST\n', 116, 116],
  ['--blacklist', 'alice\n', 116, 0],
];

for (const [option, text, alice, bob] of lists) {
  test(`${option} ${JSON.stringify(text)}`, async () => {
    const path = join(directory, 'list');
    writeFileSync(path, text);
    await withServer('ours', [`${option}=${path}`], async (daemon) => {
      assert.deepEqual([compile(daemon, 'alice').status, compile(daemon, 'bob').status], [alice, bob]);
      await waitUntil('the log says so', 5000, () =>
        /"(alice|bob)@SHOAL\.TEST" may not compile here/.test(daemon.log()),
      );
    });
  });
}

test('stock distcc with DISTCC_PRINCIPAL, for another service than host', () =>
  withServer(
    'ours',
    [],
    (daemon) => {
      const env = { ...realm.env, ...realm.ticketOf('alice'), DISTCC_PRINCIPAL: 'distcc' };
      const hosts = `127.0.0.1:${daemon.port},auth=${boxName}`;
      const { status } = runDistcc({ cwd: directory, hosts, argv: ['gcc', '-c', 'x.c'], env });
      assert.equal(status, 0, daemon.log());
    },
    `distcc/${boxName}`,
  ));

/** As our client asks at a host marked `,auth`. */
async function ours(port: number, user: string, named = boxName, env: NodeJS.ProcessEnv = {}): Promise<string> {
  const home = mkdtempSync(join(directory, 'ours-'));
  const authenticator = openAuthenticator({
    env: { ...realm.env, ...realm.ticketOf(user), ...env },
    directory: join(home, 'gss'),
    program: () => ensureGss(),
  });
  const socket = connect(port, '127.0.0.1');
  try {
    await once(socket, 'connect');
    await authenticator.authenticate(socket, { host: '127.0.0.1', principal: named });
    const request: Request = { version: 1, argv: ['gcc', '-c', 'x.c', '-o', 'x.o'], source: Buffer.from('int x;\n') };
    const pieces: Buffer[] = [];
    socket.on('data', (piece) => pieces.push(piece));
    socket.write(Buffer.concat(encodeRequest(request)));
    await once(socket, 'end');
    return Buffer.concat(pieces).toString('latin1', 0, 24);
  } catch (error) {
    return (error as Error).message;
  } finally {
    socket.destroy();
    authenticator.close();
    await waitUntil('its helper has gone', 5000, () => !existsSync(join(home, 'gss/gss')));
  }
}

for (const kind of ['stock', 'ours'] as const) {
  test(`our client at ${kind === 'stock' ? 'stock' : 'our'} distccd --auth`, () =>
    withServer(kind, [], async ({ port, log }) => {
      assert.equal(await ours(port, 'alice'), 'DONE00000001STAT00000000', log());
    }));

  test(`our client is told that it is not admitted by ${kind === 'stock' ? 'stock' : 'our'} distccd`, async () => {
    writeFileSync(join(directory, 'list'), 'bob\n');
    await withServer(kind, [`--whitelist=${join(directory, 'list')}`], async ({ port }) => {
      assert.match(await ours(port, 'alice'), /knows who this is, and does not admit it/);
      assert.equal(await ours(port, 'bob'), 'DONE00000001STAT00000000');
    });
  });
}

test('our client without a ticket, and at a server that is not who it should be, says so', () =>
  withServer('ours', [], async ({ port }) => {
    assert.match(await ours(port, 'alice', boxName, { KRB5CCNAME: join(directory, 'none') }), /GSS-API: .*credential/i);
    assert.match(await ours(port, 'alice', 'other.test'), /not found in Kerberos database/);
  }));

test('our client at a server without --auth, and at one that says nothing, is not held up', async () => {
  const plain = await startOurs({ directory: mkdtempSync(join(directory, 'plain-')) });
  try {
    assert.match(await ours(plain.port, 'alice'), /has ended the connection|as one with --auth/);
  } finally {
    await plain.stop();
  }
});

/** A whole build of ours, by a host that is marked `,auth`. */
function build({ port }: Daemon, user: string | undefined, options: Build = {}): Built {
  const {
    command = ['run', '--', 'gcc', '-O1', '-c', 'x.c'],
    named = `,auth=${boxName}`,
    list = 'SHOAL_HOSTS',
  } = options;
  const home = mkdtempSync(join(directory, 'build-'));
  const summary = join(home, 'summary.json');
  const ticket = user === undefined ? { KRB5CCNAME: join(directory, 'none') } : realm.ticketOf(user);
  rmSync(join(directory, 'x.o'), { force: true });
  const { PATH } = process.env;
  const { KRB5_CONFIG } = realm.env;
  const host = `127.0.0.1:${port}/4${named}`;
  const own = { PATH, HOME: home, XDG_CACHE_HOME: join(directory, 'cache'), SHOAL_SUMMARY: summary, KRB5_CONFIG };
  const env = { ...own, ...ticket, [list]: list === 'SHOAL_HOSTS' ? `distcc://${host}` : host, ...options.env };
  const run = (words: readonly string[]): Ran =>
    spawnSync(process.execPath, [main, ...words], { cwd: directory, env, encoding: 'utf8', timeout: 100_000 });
  return { ran: run(command), run, summary };
}

type Ran = { readonly status: number | null; readonly stdout: string; readonly stderr: string };
type Built = { readonly ran: Ran; readonly run: (words: readonly string[]) => Ran; readonly summary: string };
type Build = {
  readonly command?: readonly string[];
  readonly named?: string;
  readonly list?: 'SHOAL_HOSTS' | 'DISTCC_HOSTS';
  readonly env?: NodeJS.ProcessEnv;
};

const main = fileURLToPath(new URL('../../shoal/main.js', import.meta.url));
const runtime = '/tmp/shoal-0';
const helpersLeft = (): readonly string[] =>
  existsSync(runtime) ? readdirSync(runtime).filter((name) => name.startsWith('gss')) : [];

function madeHere(): Buffer {
  assert.equal(spawnSync('/usr/bin/gcc', ['-O1', '-c', 'x.c', '-o', 'here.o'], { cwd: directory }).status, 0);
  return readFileSync(join(directory, 'here.o'));
}

for (const kind of ['stock', 'ours'] as const) {
  test(`a whole build at ${kind === 'stock' ? 'stock' : 'our'} distccd --auth`, () =>
    withServer(kind, [], async (daemon) => {
      writeFileSync(join(directory, 'Makefile'), 'x.o: x.c\n\tgcc -O1 -c x.c\n');
      const strict = { SHOAL_STRICT: '1' };
      for (const options of [
        { command: ['make', 'x.o'], env: strict },
        { named: `,lzo,auth=${boxName}`, list: 'DISTCC_HOSTS', env: strict },
        { named: `,lzo,cpp,auth=${boxName}`, env: strict },
      ] as const) {
        const { ran, summary } = build(daemon, 'alice', options);
        assert.equal(ran.status, 0, ran.stderr + daemon.log());
        assert.equal((JSON.parse(readFileSync(summary, 'utf8')) as { remote: number }).remote, 1);
        assert.deepEqual(readFileSync(join(directory, 'x.o')), madeHere());
        assert.deepEqual(helpersLeft(), []);
      }
    }));

  test(`without a ticket a build is made here, and says why: ${kind} distccd`, () =>
    withServer(kind, [], async (daemon) => {
      const { ran, run, summary } = build(daemon, undefined);
      assert.equal(ran.status, 0, ran.stderr);
      const { reasons } = JSON.parse(readFileSync(summary, 'utf8')) as { reasons: unknown };
      assert.deepEqual(reasons, { 'no-worker': 1 });
      assert.match(ran.stderr, /no worker can be reached.*GSS-API: .*credential/i);
      assert.match(run(['hosts']).stdout, /GSS-API: .*credential/i);
      assert.deepEqual(readFileSync(join(directory, 'x.o')), madeHere());
      assert.deepEqual(helpersLeft(), []);
    }));
}

test('builds of one daemon prove to be whoever their own environments say', () =>
  withServer('ours', [], async (daemon) => {
    const { run } = build(daemon, undefined);
    const lasting = spawn(process.execPath, [main, 'daemon'], {
      env: { PATH: process.env['PATH'], HOME: mkdtempSync(join(directory, 'daemon-')) },
      stdio: 'ignore',
    });
    const ended = once(lasting, 'close');
    await waitUntil('it listens', 10_000, () => existsSync(join(runtime, 'daemon.sock')));
    for (const user of ['alice', undefined, 'bob']) {
      const { ran, summary } = build(daemon, user);
      assert.equal(ran.status, 0, ran.stderr);
      const { remote } = JSON.parse(readFileSync(summary, 'utf8')) as { remote: number };
      assert.equal(remote, user === undefined ? 0 : 1);
      if (user !== undefined) assert.match(daemon.log(), new RegExp(`is ${user}@SHOAL`));
    }
    assert.ok(helpersLeft().length > 0);
    run(['stop']);
    await ended;
    assert.deepEqual(helpersLeft(), []);
  }));

const malformed: Readonly<Record<string, Buffer>> = {
  'no token': Buffer.from('*DIST00000001'),
  'a length without end': Buffer.from('*TLENffffffff'),
  'too long a token': Buffer.from('*TLEN00100000'),
  'a token that is none': Buffer.from('*TLEN00000004abcd'),
  'an empty token': Buffer.from('*TLEN00000000'),
  'a cut token': Buffer.from('*TLEN00000100abcd'),
};

test('tokens that make no sense end their own connection: others are served, with a line each in the log', () =>
  withServer('ours', [], async (daemon) => {
    for (const [what, bytes] of Object.entries(malformed)) {
      const before = daemon.log().length;
      if (what === 'a cut token') (await begin(daemon.port, bytes)).end();
      else assert.match((await exchange(daemon.port, bytes)).toString('latin1'), /^\*?$/, what);
      await waitUntil(`${what} is logged`, 5000, () => /Warning: client: 127/.test(daemon.log().slice(before)));
    }
    assert.equal(compile(daemon, 'alice').status, 0);
  }));

test('clients that say nothing do not keep others out, and a helper that is killed is started again', () =>
  withServer('ours', [], async (daemon) => {
    const idle = await Promise.all(Array.from({ length: 100 }, () => begin(daemon.port, Buffer.from('*'))));
    assert.equal(compile(daemon, 'alice').status, 0);
    for (const socket of idle) socket.destroy();
    process.kill(helperOf(daemon) ?? assert.fail('no helper'), 'SIGKILL');
    await waitUntil('it answers again', 20_000, () => compile(daemon, 'alice').status === 0);
  }));

test('what is missing is said at the start: a principal, a key, a list, the option', () => {
  const start = (args: readonly string[], env: NodeJS.ProcessEnv): ReturnType<typeof spawnSync> =>
    spawnSync(
      process.execPath,
      [
        ourDistccd,
        '--daemon',
        '--no-detach',
        '--listen',
        '127.0.0.1',
        '--port',
        '0',
        '--log-stderr',
        '--state',
        join(directory, 'missing'),
        ...args,
      ],
      { env: { ...process.env, ...realm.env, ...env }, encoding: 'utf8' },
    );
  const cases: readonly (readonly [readonly string[], NodeJS.ProcessEnv, RegExp])[] = [
    [['--auth'], {}, /--auth needs DISTCCD_PRINCIPAL/],
    [['--auth'], { ...serverEnv(), KRB5_KTNAME: join(directory, 'no-keytab') }, /no key for that principal/],
    [['--auth'], serverEnv('host/other.test'), /no key for that principal/],
    [['--auth', '--whitelist=/none'], serverEnv(), /--whitelist \/none: ENOENT/],
    [['--whitelist=/none'], {}, /--whitelist needs --auth/],
  ];
  for (const [args, env, expected] of cases) {
    const { status, stderr } = start(args, env);
    assert.notEqual(status, 0);
    assert.match(String(stderr), expected);
  }
});

test('a KDC that is silent costs a client 20 s at most, and nobody else anything', async () => {
  const silent = createServer(() => undefined).listen(1089, '127.0.0.1');
  await once(silent, 'listening');
  const config = join(directory, 'silent.conf');
  writeFileSync(config, readFileSync(join(directory, 'realm/krb5.conf'), 'utf8').replace(':1088', ':1089'));
  await withServer('ours', [], async ({ port }) => {
    const began = performance.now();
    // The ticket for the service is not there yet.
    const ccname = join(directory, 'fresh');
    spawnSync('kinit', ['-c', ccname, 'alice'], { env: realm.env, input: 'alice\n' });
    const told = await ours(port, 'alice', boxName, { KRB5_CONFIG: config, KRB5CCNAME: ccname });
    assert.match(told, /Cannot contact any KDC|no authentication within|broken the exchange off|has ended/);
    assert.ok(performance.now() - began < 30_000);
  });
  silent.close();
});
