// pump, lsdistcc and distccmon-text beside the stock programs.
import assert from 'node:assert/strict';
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { waitUntil } from '../../bench/wait.ts';
import { encodeState, phases, type JobState } from '../../src/distcc/binstate.ts';
import { slowSource, oneBox } from '../client/one-box.ts';
import { distccEnv, startOurs, startStock, type Daemon } from './programs.ts';

const scratch = mkdtempSync(join(tmpdir(), 'shoal-tools-'));
const bin = fileURLToPath(new URL('../../../bin', import.meta.url));
const project = join(scratch, 'project');
const servers: Record<'ours' | 'stock', Daemon | undefined> = { ours: undefined, stock: undefined };

const sources: Readonly<Record<string, string>> = {
  Makefile:
    'all: c.o cc.o g.o\nc.o: c.c\n\t$(CC) -Iinc -c $< -o $@\ncc.o: cc.cc\n\t$(CXX) -Ilink -c $< -o $@\ng.o: c.c\n\t$(CC) -Iinc -O2 -DLEVEL=2 -c $< -o $@\n',
  'c.c': '#include "empty/../inc/own.h"\n#include <own.h>\n#include <stdio.h>\nint own(void) { return OWN; }\n',
  'cc.cc': '#include <own.h>\n#include <string>\nstd::string own() { return std::to_string(OWN); }\n',
  'inc/own.h': '#ifndef OWN\n#define OWN 7\n#include "deeper/own.h"\n#endif\n',
  'inc/deeper/own.h': 'static const int deeper = 1;\n',
};

before(async () => {
  chmodSync(scratch, 0o755);
  for (const directory of ['project/inc/deeper', 'project/empty', 'ours']) {
    mkdirSync(join(scratch, directory), { recursive: true });
  }
  for (const [name, text] of Object.entries(sources)) writeFileSync(join(project, name), text);
  symlinkSync('inc', join(project, 'link'));
  servers.ours = await startOurs({ directory: join(scratch, 'ours') });
  servers.stock = await startStock({ directory: scratch });
});

after(async () => {
  for (const server of Object.values(servers)) await server?.stop();
  rmSync(scratch, { recursive: true, force: true });
});

const pumps = (): readonly string[] => readdirSync('/tmp').filter((name) => name.startsWith('shoal-pump.'));

function shell(line: string, env: NodeJS.ProcessEnv): { status: number | null; stdout: string; stderr: string } {
  const path = `${join(scratch, 'bin')}:/usr/bin:/bin:${process.execPath.replace(/\/node$/, '')}`;
  return spawnSync('bash', ['-c', line], { cwd: project, encoding: 'utf8', env: { ...env, PATH: path } });
}

before(() => {
  mkdirSync(join(scratch, 'bin'));
  // Not distcc: builds here call the stock one.
  for (const name of ['pump', 'distccmon-text']) symlinkSync(join(bin, `${name}.js`), join(scratch, 'bin', name));
});

for (const which of ['ours', 'stock'] as const) {
  test(`pump make, the stock distcc and ${which === 'ours' ? 'our' : 'the stock'} distccd: the local compiler's objects`, () => {
    const objects = ['c.o', 'cc.o', 'g.o'].map((name) => join(project, name));
    const read = (): readonly Buffer[] => objects.map((path) => readFileSync(path));
    execFileSync('make', ['-s', '-B', 'CC=gcc', 'CXX=g++'], { cwd: project });
    const local = read();
    const hosts = `127.0.0.1:${servers[which]?.port}/4,lzo,cpp`;
    const env = distccEnv({ cwd: project, hosts });
    const { status, stderr } = shell('pump make -s -B -j3 CC="distcc gcc" CXX="distcc g++"', env);
    assert.equal(status, 0, stderr);
    assert.deepEqual(read(), local);
    const log = readFileSync(env['DISTCC_LOG'] ?? '', 'utf8');
    assert.doesNotMatch(log, /include server gave up|preprocessing locally/);
    if (which === 'stock') assert.match(servers.stock?.log() ?? '', /got NAME|NFIL/);
    assert.deepEqual(pumps(), []);
  });
}

test('a server of --startup ends by --shutdown, with its shell, and when another takes its place', async () => {
  const env = distccEnv({ cwd: project, hosts: '127.0.0.1,lzo,cpp' });
  const twice =
    'eval "`pump --startup`"; first=$INCLUDE_SERVER_DIR; eval "`pump --startup`"; test -e $first && echo leaked';
  const ended = shell(`${twice}; test -S $INCLUDE_SERVER_PORT && pump --shutdown; ls -d $INCLUDE_SERVER_DIR`, env);
  assert.equal(ended.stdout, '');
  assert.deepEqual(pumps(), []);
  const left = shell('eval "`pump --startup`"; test -S $INCLUDE_SERVER_PORT && echo there', env);
  assert.equal(left.stdout, 'there\n');
  await waitUntil('the server has ended with its shell', 10_000, () => pumps().length === 0);
  const killed = shell('eval "`pump --startup`"; kill -9 $INCLUDE_SERVER_PID; sleep 0.1; pump sh -c "exit 5"', env);
  assert.equal(killed.status, 5);
  assert.deepEqual(pumps(), []);
});

test('a compile that the include server does not answer for is preprocessed by its client', () => {
  const hosts = `127.0.0.1:${servers.stock?.port}/4,lzo,cpp`;
  const env = distccEnv({ cwd: project, hosts });
  // Where the object is a link, a job of ours stays here.
  symlinkSync('elsewhere.o', join(project, 'once.o'));
  const { status, stderr } = shell('pump distcc gcc -Iinc -c c.c -o once.o', env);
  assert.equal(status, 0, stderr);
  assert.match(readFileSync(env['DISTCC_LOG'] ?? '', 'utf8'), /include server gave up/);
});

test('pump refuses hosts of which none preprocesses, as the stock one does', () => {
  const { status, stderr } = shell('pump true', distccEnv({ cwd: project, hosts: 'a,lzo b' }));
  assert.equal(status, 1);
  assert.match(stderr, /does not contain any hosts with ',cpp' option/);
});

test('the monitors show the same of the same states', () => {
  const directory = join(scratch, 'states');
  mkdirSync(join(directory, 'state'), { recursive: true });
  const sleeping = phases.map(() => spawn('sleep', ['60'], { stdio: 'ignore' }));
  try {
    sleeping.forEach(({ pid = 0 }, index) => {
      const phase = phases[index] ?? 'Done';
      const state: JobState = { pid, file: `${'long/'.repeat(index)}x.c`, host: `host-${index}`, slot: index, phase };
      writeFileSync(join(directory, 'state', `binstate_${pid}`), encodeState(state));
    });
    writeFileSync(
      join(directory, 'state', 'binstate_dead'),
      encodeState({ pid: 4_194_303, file: 'x.c', host: 'h', slot: 0, phase: 'Send' }),
    );
    const env = { PATH: '/usr/bin:/bin', DISTCC_DIR: directory, HOME: scratch };
    const lines = (text: string): readonly string[] => text.split('\n').toSorted();
    const ours = spawnSync(process.execPath, [join(bin, 'distccmon-text.js')], { env, encoding: 'utf8' });
    const stock = spawnSync('distccmon-text', [], { env, encoding: 'utf8' });
    assert.equal(stock.stderr, '');
    assert.equal(lines(stock.stdout).length, phases.length + 1);
    assert.deepEqual(lines(ours.stdout), lines(stock.stdout));
    assert.equal(existsSync(join(directory, 'state', 'binstate_dead')), false);
  } finally {
    for (const child of sleeping) child.kill();
  }
});

test("the stock monitor shows our client's jobs while they are under way", async () => {
  const box = await oneBox('monitor');
  try {
    box.write({ 'slow.c': slowSource(6000) });
    await box.shoal(['run', '--', 'true']);
    const compile = box.run([box.launcher('distcc'), 'gcc', '-O2', '-c', 'slow.c']);
    const shown = (): string => spawnSync('distccmon-text', { env: { HOME: box.base }, encoding: 'utf8' }).stdout;
    const line = /^ *\d+ {2}Compile {5}slow\.c {25} +127\.0\.0\.1:\d+\[0\]\n\n$/;
    await waitUntil('the job is shown', 30_000, () => line.test(shown()));
    await compile;
    await waitUntil('the job is gone', 10_000, () => shown() === '\n');
  } finally {
    await box.shoal(['stop']);
    await box.remove();
  }
});

// In namespaces of its own: names for three addresses, of which two are served. No name follows the first that is missing
// (but for gap%d, which -g1 reaches): whether the stock program still finds that one depends on how fast the answers come.
const network = `
set -e
ip link set lo up
for n in 1 2 3; do ip addr add 10.9.0.$n/24 dev lo; done
mount --bind "$1/hosts" /etc/hosts
serve() { distccd --daemon --no-detach --listen "$1" -p "$2" --allow 0.0.0.0/0 --log-file "$3" & pids="$pids $!"; }
serve 10.9.0.1 3632 "$1/one"; serve 10.9.0.2 3632 "$1/two"; serve 10.9.0.1 3700 "$1/three"
trap 'kill $pids' EXIT
until lsdistcc -r3700 box1 | grep -q box1 && [ "$(lsdistcc -o0 | wc -l)" -ge 2 ]; do sleep 0.1; done
set +e
while read -r words; do
  echo "stock: $words"; lsdistcc $words | sort; echo "status \${PIPESTATUS[0]}"
  echo "ours: $words"; "$2" "$3" $words | sort; echo "status \${PIPESTATUS[0]}"
done < "$1/cases"
`;

const lsdistccCases = [
  '-o1',
  '-n',
  '-x',
  'box%d',
  'box1 box2 box3',
  '-x box1 box2 box3',
  'box3',
  '-r3700',
  '-x -r3700',
  '-k9000 -pgcc',
  '-k9000 -pnosuch -x',
  '-k9000 -P3 -pgcc',
  '-k9000 -P2 -pgcc box1',
  '-g1 gap%d',
  '-c0',
  '-c0 nosuchhost',
  'nosuchhost box1',
  'nosuchhost',
  '-m8',
  '10.9.0.1',
];

test('lsdistcc prints what the stock one does', () => {
  const directory = join(scratch, 'ls');
  mkdirSync(directory, { mode: 0o777 });
  chmodSync(directory, 0o777);
  const names = ['10.9.0.1 distcc1 box1 gap1', '10.9.0.2 distcc2 box2', '10.9.0.3 distcc3 box3 gap3'];
  writeFileSync(join(directory, 'hosts'), `127.0.0.1 localhost\n${names.join('\n')}\n`);
  writeFileSync(join(directory, 'cases'), `${lsdistccCases.join('\n')}\n`);
  const words = ['-mn', '--propagation', 'private', 'bash', '-c', network, 'bash', directory];
  const { stdout, stderr } = spawnSync('unshare', [...words, process.execPath, join(bin, 'lsdistcc.js')], {
    encoding: 'utf8',
    timeout: 120_000,
  });
  for (const each of lsdistccCases) {
    const told = (who: string): string | undefined =>
      stdout.split(`${who}: ${each}\n`)[1]?.split(/^(?:ours|stock): /m)[0];
    assert.notEqual(told('stock'), undefined, stderr);
    assert.equal(told('ours'), told('stock'), each);
  }
});
