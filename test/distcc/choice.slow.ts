// How distcc itself chooses a host, as docs/distcc.md tells it: a test for each step, with Debian's client and servers. They
// say what is so with those, and so whether the page is right; nothing of ours runs here.
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { once } from 'node:events';
import { join } from 'node:path';
import test from 'node:test';
import { waitUntil } from '../../bench/wait.ts';
import { hostOf, placesOf, slotsOf, startInTurn, withRig, type Client, type Rig } from './choice-rig.ts';

const [red, green, blue] = [2, 3, 4].map(hostOf) as [string, string, string];
/** Nobody listens there. */
const dead = hostOf(9);

/** The first slot that it got: the host's, for it takes that before one for preprocessing. */
function firstOf(client: Client): string {
  return slotsOf(client.log())[0] ?? 'none';
}

async function allEnd(clients: readonly Client[]): Promise<void> {
  for (const { ended } of clients) assert.equal((await ended).status, 0);
}

test('step 1, the list: DISTCC_HOSTS, else DISTCC_DIR/hosts, else /etc; ~/.distcc/hosts only without DISTCC_DIR', () =>
  withRig(async ({ distcc, directory, home }) => {
    const shown = async (hosts?: string, env: NodeJS.ProcessEnv = {}): Promise<string[]> => {
      const { stderr } = await distcc(hosts, ['--show-hosts'], env).ended;
      return stderr.split('\n').filter(Boolean);
    };
    writeFileSync(join(directory, 'distcc/hosts'), `${red}/1 # the fast one\n# none\n${green}\n`);
    mkdirSync(join(home, '.distcc'));
    writeFileSync(join(home, '.distcc/hosts'), `${blue}\n`);
    assert.deepEqual(await shown('a b/2'), ['a', 'b/2']);
    assert.deepEqual(await shown(), [`${red}/1`, green]);
    assert.deepEqual(await shown(undefined, { DISTCC_DIR: undefined }), [blue]);
    rmSync(join(directory, 'distcc/hosts'));
    assert.notDeepEqual(await shown(), [blue]);
  }));

test('step 2, the order: first slots of all hosts in the list’s order, then all second slots', () =>
  withRig(async ({ serve, compile, open }) => {
    for (const n of [2, 3, 4]) await serve(n);
    const hosts = `${red}/2 ${green}/1 ${blue}/2`;
    const clients = await startInTurn([1, 2, 3, 4, 5].map((n) => () => compile(hosts, n)));
    assert.deepEqual(clients.map(firstOf), [`${red}/2 0`, `${green}/1 0`, `${blue}/2 0`, `${red}/2 1`, `${blue}/2 1`]);
    open();
    await allEnd(clients);
  }));

test('step 2: one compile at a time goes to the first host always, however fast the others are', () =>
  withRig(async ({ serve, compile, open }) => {
    for (const n of [2, 3]) await serve(n);
    open();
    for (const n of [1, 2, 3]) assert.deepEqual(placesOf((await compile(`${red} ${green}`, n).ended).log), [red]);
  }));

test('step 3, limits: four jobs of this client to a host that says nothing, two to localhost', () =>
  withRig(async ({ serve, compile, distcc, open, gate }) => {
    await serve(2);
    const local = gate('local');
    const env = { GATE: local.path };
    const remote = await startInTurn([1, 2, 3, 4, 5].map((n) => () => compile(red, n)));
    assert.deepEqual(remote.map(firstOf), [`${red} 0`, `${red} 1`, `${red} 2`, `${red} 3`, 'none']);
    const home = await startInTurn([6, 7, 8].map((n) => () => compile('localhost', n, env)));
    assert.deepEqual(home.map(firstOf), ['localhost 0', 'localhost 1', 'none']);
    open();
    local.open();
    await allEnd([...remote, ...home]);
    assert.equal((await distcc(`localhost ${red} ${green}/7 ${blue}/3,down`, ['-j']).ended).stderr.trim(), '16');
  }));

test('step 3: the word localhost compiles without a server and without preprocessing; 127.0.0.1 is a host as any other', () =>
  withRig(async ({ compile }) => {
    const { status, log } = await compile('localhost', 1).ended;
    assert.deepEqual([status, placesOf(log)], [0, ['localhost']]);
    assert.doesNotMatch(log, /connecting to| -E /);
    const network = await compile(dead, 2, { DISTCC_FALLBACK: '0' }).ended;
    assert.match(network.log, /connecting to 127\.0\.0\.9 port 3632/);
  }));

test('step 3: a host with ,down is listed and not used', () =>
  withRig(async ({ serve, compile, distcc, open }) => {
    await serve(3);
    open();
    const hosts = `${red},down ${green}`;
    assert.match((await distcc(hosts, ['--show-hosts']).ended).stderr, /127\.0\.0\.2,down/);
    assert.deepEqual(placesOf((await compile(hosts, 1).ended).log), [green]);
  }));

test('step 4, all slots taken: it looks again after a second, or DISTCC_PAUSE_TIME_MSEC; nobody stands in a queue', () =>
  withRig(async ({ serve, compile, open }) => {
    await serve(2);
    const [first, second] = await startInTurn([() => compile(`${red}/1`, 1), () => compile(`${red}/1`, 2)]);
    const third = compile(`${red}/1`, 3, { DISTCC_PAUSE_TIME_MSEC: '20' });
    await waitUntil('it looks often', 10_000, () => (third.log().match(/sleeping 20ms/g)?.length ?? 0) > 3);
    assert.ok(first !== undefined && second !== undefined);
    assert.match(second.log(), /nothing available, sleeping 1000ms/);
    open();
    await third.ended;
    // It came last, and did not wait for the one before it.
    assert.equal(firstOf(second), 'none');
    await allEnd([first, second]);
  }));

test('step 4: what a server has to do for others is nothing that a client knows: it waits there, with free hosts in its list', () =>
  withRig(async ({ serve, compile, open, directory }) => {
    await serve(2, '--jobs', '1');
    await serve(3);
    const other = await startInTurn([() => compile(red, 1, { DISTCC_DIR: directory })]);
    const own = compile(`${red} ${green}`, 2);
    await waitUntil('it has sent its request', 10_000, () => own.log().includes('finished sending request'));
    assert.deepEqual(placesOf(own.log()), [red]);
    open();
    await allEnd([...other, own]);
    assert.deepEqual(placesOf(own.log()), [red]);
  }));

test('step 5, preprocessing: a slot of the host first, then one of eight here (--localslots_cpp), held until it has ended', () =>
  withRig(async ({ serve, compile, open, gate }) => {
    await serve(2);
    open();
    const cpp = gate('cpp');
    const starts = (hosts: string, count: number, from: number): (() => Client)[] =>
      Array.from({ length: count }, (_, at) => () => compile(hosts, from + at, { CPP_GATE: cpp.path }));
    const settle = async (some: readonly (() => Client)[], taken: number): Promise<readonly Client[]> => {
      const clients = some.map((start) => start());
      const of = (client: Client): number => slotsOf(client.log()).length;
      await waitUntil('all have a slot of the host', 10_000, () => clients.every((client) => of(client) > 0));
      await waitUntil('the others wait', 10_000, () =>
        clients.every((client) => of(client) === 2 || client.log().includes('nothing available')),
      );
      assert.equal(clients.filter((client) => of(client) === 2).length, taken);
      return clients;
    };
    const usual = await settle(starts(`${red}/12`, 10, 1), 8);
    cpp.open();
    await allEnd(usual);
    rmSync(cpp.path);
    const few = await settle(starts(`--localslots_cpp=2 ${red}/12`, 4, 20), 2);
    cpp.open();
    await allEnd(few);
  }));

test('step 5: what cannot travel, such as a link, has one of four slots here (--localslots), however many hosts are free', () =>
  withRig(async ({ distcc, gate, directory }) => {
    writeFileSync(join(directory, 'work/main.c'), 'int main(void) { return 0; }\n');
    const local = gate('local');
    const link = (hosts: string) => (at: number) => (): Client =>
      distcc(hosts, ['gated', 'main.c', '-o', `main${at}`], { GATE: local.path });
    const usual = await startInTurn([1, 2, 3, 4, 5].map(link(red)));
    assert.deepEqual(usual.map(firstOf), ['localhost 0', 'localhost 1', 'localhost 2', 'localhost 3', 'none']);
    local.open();
    await allEnd(usual);
    rmSync(local.path);
    const one = await startInTurn([6, 7].map(link(`--localslots=1 ${red}`)));
    assert.deepEqual(one.map(firstOf), ['localhost 0', 'none']);
    local.open();
    await allEnd(one);
  }));

test('step 6, a host that fails: the next is tried, and it is left alone for 60 s by all of this user’s clients', () =>
  withRig(async ({ serve, compile, open, lockFiles, directory }) => {
    await serve(2);
    open();
    const hosts = `${dead} ${red}`;
    const first = await compile(hosts, 1).ended;
    assert.deepEqual([first.status, placesOf(first.log)], [0, [dead, red]]);
    const mark = `backoff_tcp_${dead}_3632_0`;
    assert.ok(lockFiles().includes(mark));
    const second = await compile(hosts, 2).ended;
    assert.deepEqual(placesOf(second.log), [red]);
    assert.match(second.log, /still in backoff period for 127\.0\.0\.9/);
    const age = (seconds: number): void => {
      const at = Date.now() / 1000 - seconds;
      utimesSync(join(directory, 'distcc/lock', mark), at, at);
    };
    age(50);
    assert.deepEqual(placesOf((await compile(hosts, 3).ended).log), [red]);
    assert.deepEqual(placesOf((await compile(hosts, 4, { DISTCC_BACKOFF_PERIOD: '40' }).ended).log), [dead, red]);
    age(61);
    assert.deepEqual(placesOf((await compile(hosts, 5).ended).log), [dead, red]);
  }));

test('step 6: a compile that succeeds takes the mark away', () =>
  withRig(async ({ serve, compile, open, lockFiles, directory }) => {
    await compile(red, 1).ended;
    const mark = `backoff_tcp_${red}_3632_0`;
    assert.ok(lockFiles().includes(mark));
    await serve(2);
    open();
    utimesSync(join(directory, 'distcc/lock', mark), 0, 0);
    assert.deepEqual(placesOf((await compile(red, 2).ended).log), [red]);
    assert.ok(!lockFiles().includes(mark));
  }));

test('step 6: with DISTCC_BACKOFF_PERIOD=0 a dead host is tried again and again, without end', () =>
  withRig(async ({ compile }) => {
    const client = compile(dead, 1, { DISTCC_BACKOFF_PERIOD: '0' });
    await waitUntil('it has tried often', 20_000, () => placesOf(client.log()).length > 20);
    process.kill(client.pid, 'SIGKILL');
  }));

test('step 6: a server that accepts and says nothing is given up after DISTCC_IO_TIMEOUT', () =>
  withRig(async ({ compile }) => {
    const sockets: Socket[] = [];
    const silent = createServer((socket) => {
      sockets.push(socket);
      socket.on('error', () => undefined);
      socket.resume();
    });
    silent.listen(3632, red);
    await once(silent, 'listening');
    const { status, log } = await compile(red, 1, { DISTCC_IO_TIMEOUT: '1' }).ended;
    silent.close();
    for (const socket of sockets) socket.destroy();
    assert.deepEqual([status, placesOf(log)], [0, [red, 'localhost']]);
  }));

test('step 7, no host left: it compiles here, with a warning; with DISTCC_FALLBACK=0 it fails with 116', () =>
  withRig(async ({ compile }) => {
    const first = await compile(dead, 1).ended;
    assert.deepEqual([first.status, placesOf(first.log)], [0, [dead, 'localhost']]);
    assert.match(first.log, /Warning: failed to distribute 1\.c to 127\.0\.0\.9, running locally instead/);
    const second = await compile(dead, 2).ended;
    assert.deepEqual([second.status, placesOf(second.log)], [0, ['localhost']]);
    assert.equal((await compile(dead, 3, { DISTCC_FALLBACK: '0' }).ended).status, 116);
  }));

test('step 7: compiles that fell back take turns by the same four local slots', () =>
  withRig(async ({ compile, gate }) => {
    await compile(dead, 1).ended;
    const local = gate('local');
    const clients = [2, 3, 4, 5, 6].map((n) => compile(dead, n, { GATE: local.path }));
    const waits = (client: Client): boolean => client.log().includes('nothing available');
    const places = (): number => clients.filter((client) => placesOf(client.log()).length > 0).length;
    await waitUntil('four run and one waits', 10_000, () => places() === 4 && clients.some(waits));
    local.open();
    await allEnd(clients);
  }));

const wrong = (directory: string): void => writeFileSync(join(directory, 'work/bad.c'), 'int f(void) { return g; }\n');

/** A compile of a source with an error. */
async function compileWrong(
  { distcc, directory, serve, open }: Rig,
  env: NodeJS.ProcessEnv,
): Promise<ReturnType<typeof ofWrong>> {
  await serve(2);
  open();
  wrong(directory);
  const ended = await distcc(red, ['gated', '-c', 'bad.c'], env).ended;
  return ofWrong(ended.status, ended.stderr, ended.log);
}

function ofWrong(status: number | null, stderr: string, log: string) {
  return { status, errors: stderr.match(/error: /g)?.length ?? 0, places: placesOf(log) };
}

test('step 8, the compiler’s own error: the compile is done again here, and the local messages are shown', () =>
  withRig(async (rig) => {
    assert.deepEqual(await compileWrong(rig, {}), { status: 1, errors: 1, places: [red, 'localhost'] });
  }));

test('step 8: an error that the local compiler has too is not the host’s; without fallback nobody looks, and it is', () =>
  withRig(async (rig) => {
    const mark = `backoff_tcp_${red}_3632_0`;
    await compileWrong(rig, {});
    assert.ok(!rig.lockFiles().includes(mark));
    await rig.endServer(2);
    await compileWrong(rig, { DISTCC_FALLBACK: '0' });
    assert.ok(rig.lockFiles().includes(mark));
    assert.deepEqual(placesOf((await rig.compile(red, 2).ended).log), ['localhost']);
  }));

test('step 8: what compiles here and did not there is good, without a word, and that host is left alone', () =>
  withRig(async ({ serve, compile, open, breakServers, lockFiles }) => {
    await serve(2);
    open();
    breakServers();
    const { status, stderr, log } = await compile(red, 1).ended;
    assert.deepEqual([status, stderr, placesOf(log)], [0, '', [red, 'localhost']]);
    assert.ok(lockFiles().includes(`backoff_tcp_${red}_3632_0`));
  }));

test('step 8: with DISTCC_SKIP_LOCAL_RETRY, or without fallback, the remote messages are shown, and that is all', () =>
  withRig(async (rig) => {
    const expected = { status: 1, errors: 1, places: [red] };
    assert.deepEqual(await compileWrong(rig, { DISTCC_SKIP_LOCAL_RETRY: '1' }), expected);
    await rig.endServer(2);
    rmSync(join(rig.directory, 'distcc/lock'), { recursive: true });
    assert.deepEqual(await compileWrong(rig, { DISTCC_FALLBACK: '0' }), expected);
  }));

test('step 8: a compiler that the server does not have ends the connection: done here, and the host is left alone', () =>
  withRig(async ({ serve, distcc, directory, lockFiles }) => {
    await serve(2);
    const only = join(directory, 'only');
    mkdirSync(only);
    writeFileSync(join(only, 'mycc'), '#!/bin/sh\nexec gcc "$@"\n', { mode: 0o755 });
    writeFileSync(join(directory, 'work/1.c'), 'int f;\n');
    const env = { PATH: `${only}:/usr/bin:/bin` };
    const { status, log } = await distcc(red, ['mycc', '-c', '1.c'], env).ended;
    assert.deepEqual([status, placesOf(log)], [0, [red, 'localhost']]);
    assert.ok(lockFiles().includes(`backoff_tcp_${red}_3632_0`));
  }));

test('--randomize: the list is shuffled anew for each compile', () =>
  withRig(async ({ distcc }) => {
    const orders = new Set<string>();
    for (let at = 0; at < 12; at += 1) {
      orders.add((await distcc(`a b c d --randomize`, ['--show-hosts']).ended).stderr);
    }
    assert.ok(orders.size > 1);
  }));

test('slots are locked files of DISTCC_DIR: they end with the process, and users of other directories do not see them', () =>
  withRig(async ({ serve, compile, open, lockFiles, directory }) => {
    await serve(2);
    const [first] = await startInTurn([() => compile(`${red}/1`, 1)]);
    assert.ok(first !== undefined);
    assert.ok(lockFiles().includes(`cpu_tcp_${red}_3632_0`));
    const elsewhere = join(directory, 'elsewhere');
    mkdirSync(elsewhere);
    const [other] = await startInTurn([() => compile(`${red}/1`, 2, { DISTCC_DIR: elsewhere })]);
    assert.ok(other !== undefined);
    assert.equal(firstOf(other), `${red}/1 0`);
    process.kill(first.pid, 'SIGKILL');
    await first.ended;
    assert.ok(lockFiles().includes(`cpu_tcp_${red}_3632_0`));
    const [next] = await startInTurn([() => compile(`${red}/1`, 3)]);
    assert.ok(next !== undefined);
    assert.equal(firstOf(next), `${red}/1 0`);
    open();
    await allEnd([other, next]);
    assert.ok(existsSync(join(directory, 'distcc/lock', `cpu_tcp_${red}_3632_0`)));
  }));
