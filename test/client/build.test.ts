// A whole build through a real worker on this box, as a user runs it: make, the launcher, the daemon, the sandbox.
import assert from 'node:assert/strict';
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { openRuntimeDir } from '../../src/trust/runtime-dir.ts';

const root = fileURLToPath(new URL('../../..', import.meta.url));
const main = join(root, 'dist/shoal/main.js');
const base = mkdtempSync(join(tmpdir(), 'shoal-build-'));
const project = join(base, 'project');
let worker: ChildProcess;
let hosts = '';

const makefile = `OBJECTS = one.o two.o three.o
all: program
program: $(OBJECTS)
\t$(CXX) -o $@ $(OBJECTS)
%.o: %.c
\t$(CC) -g -O1 -Wall -MD -c $< -o $@
%.o: %.cc
\t$(CXX) -g -std=c++17 -MMD -MP -c $< -o $@
`;

const sources: Readonly<Record<string, string>> = {
  Makefile: makefile,
  'include/one.h': '#pragma once\n#include "two.h"\n#define ONE 1\n',
  'include/two.h': '#pragma once\n#include <stdio.h>\n',
  'one.c': '#include "include/one.h"\nint one(void) { int unused; return ONE; }\n',
  'two.cc': '#include <vector>\n#include <string>\nstd::vector<std::string> two() { return {"a"}; }\n',
  'three.cc': 'extern "C" int one(void);\nint main() { return one() - 1; }\n',
};

function writeProject(): void {
  mkdirSync(join(project, 'include'), { recursive: true });
  for (const [name, text] of Object.entries(sources)) writeFileSync(join(project, name), text);
}

type Ran = { readonly status: number | null; readonly stdout: string; readonly stderr: string };

function run(command: readonly [string, ...string[]], env: Readonly<Record<string, string>> = {}): Ran {
  const [file, ...args] = command;
  const { PATH = '' } = process.env;
  const clean = { PATH, HOME: base, XDG_CACHE_HOME: join(base, 'cache'), SHOAL_HOSTS: hosts, ...env };
  const { status, stdout, stderr } = spawnSync(file, args, {
    cwd: project,
    env: clean,
    encoding: 'utf8',
    timeout: 60_000,
  });
  return { status, stdout, stderr };
}

const shoal = (words: readonly string[], env: Readonly<Record<string, string>> = {}): Ran =>
  run([process.execPath, main, ...words], env);

/** What the build said, without the progress that a slow one is told of every few seconds. */
const ofBuild = ({ stderr }: Ran): string => stderr.replace(/^shoal: [0-9]+ done \(.*\n/gm, '');

function summaryOf(words: readonly string[], env: Readonly<Record<string, string>> = {}) {
  const file = join(base, 'summary.json');
  rmSync(file, { force: true });
  const ran = shoal(words, { SHOAL_SUMMARY: file, ...env });
  const summary = JSON.parse(readFileSync(file, 'utf8')) as Readonly<Record<string, unknown>>;
  return { ran, summary };
}

const products = ['one.o', 'two.o', 'three.o', 'one.d', 'two.d', 'three.d'];
const contents = (): Buffer[] => products.map((name) => readFileSync(join(project, name)));
const clean = (): void => [...products, 'program'].forEach((name) => rmSync(join(project, name), { force: true }));

before(async () => {
  writeProject();
  worker = spawn(
    process.execPath,
    [main, 'worker', '--listen', '127.0.0.1:0', '--slots', '2', '--state', join(base, 'state')],
    {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: { PATH: process.env['PATH'], HOME: base, XDG_CACHE_HOME: join(base, 'cache') },
    },
  );
  hosts = await new Promise<string>((resolve, reject) => {
    let text = '';
    worker.stdout?.on('data', (chunk: Buffer) => {
      text += chunk.toString();
      const ready = /^ready (\S+)$/m.exec(text);
      if (ready?.[1] !== undefined) resolve(ready[1]);
    });
    worker.on('close', (status) => reject(new Error(`the worker ended with ${status}`)));
  });
});

after(async () => {
  const gone = new Promise((resolve) => worker.once('close', resolve));
  worker.kill('SIGTERM');
  assert.equal(await gone, 0, 'SIGTERM ends a worker with status 0');
  rmSync(base, { recursive: true, force: true });
});

test('a build through the farm leaves what the local build leaves', () => {
  const local = run(['make', '-s']);
  assert.equal(local.status, 0, local.stderr);
  const expected = contents();
  clean();
  const { ran, summary } = summaryOf(['make', '-s', '-j2'], { SHOAL_STRICT: '1' });
  assert.equal(ran.status, 0, ran.stderr);
  assert.deepEqual(contents(), expected);
  assert.ok(ofBuild(ran).startsWith(local.stderr), 'the warnings are the same, ours come after them');
  assert.deepEqual([summary['files'], summary['remote'], summary['local'], summary['fallbacks']], [3, 3, 0, 0]);
  assert.deepEqual(summary['reasons'], { link: 1 });
});

test('the same build again comes from the results, unless they are switched off', () => {
  clean();
  assert.equal(summaryOf(['make', '-s', '-j2']).summary['cached'], 3);
  clean();
  assert.equal(summaryOf(['make', '-s', '-j2'], { SHOAL_RESULT_CACHE: 'off' }).summary['remote'], 3);
});

test('a header that changed, with the same size, is seen by the next compile', () => {
  writeFileSync(join(project, 'include/one.h'), (sources['include/one.h'] ?? '').replace('ONE 1', 'ONE 2'));
  rmSync(join(project, 'one.o'));
  shoal(['make', '-s', 'one.o']);
  const remote = readFileSync(join(project, 'one.o'));
  run(['make', '-s', '-B', 'one.o']);
  assert.deepEqual(remote, readFileSync(join(project, 'one.o')));
});

test('a header that comes into being just before its first compile is found there, also where it was missed before', () => {
  // What a kernel's build does: a compile tells what a header shall hold, and the next one reads it.
  const script = `mkdir -p made; for i in 1 2 3; do
      echo "#if __has_include(\\"made/$i.h\\")\n#endif" > look$i.c; gcc -c look$i.c || exit 1
      echo "#include \\"made/$i.h\\"" > use$i.c; echo "int made$i;" > made/$i.h; gcc -c use$i.c || exit 1
    done`;
  const { ran, summary } = summaryOf(['run', '--', 'sh', '-c', script]);
  assert.equal(ran.status, 0, ran.stderr);
  assert.deepEqual([summary['remote'], summary['reasons']], [6, {}]);
});

test('a header that the build writes, shadows and takes away again is read as it is when its compile comes', () => {
  // Of one size, within one second: what a plan made from the last look would get wrong.
  const script = `mkdir -p near far; echo 'int far;' > far/g.h; echo '#include "g.h"' > use.c
    for i in 1 2 3 4 5 6; do
      echo "int near$i;" > near/g.h; gcc -g -Inear -Ifar -c use.c -o $1$i.o || exit 1
      rm near/g.h; gcc -g -Inear -Ifar -c use.c -o $1far$i.o || exit 1
    done`;
  const names = [1, 2, 3, 4, 5, 6].flatMap((i) => [`${i}.o`, `far${i}.o`]);
  assert.equal(run(['sh', '-c', script, 'sh', 'home']).status, 0);
  const { ran, summary } = summaryOf(['run', '--', 'sh', '-c', script, 'sh', 'farm'], { SHOAL_STRICT: '1' });
  assert.equal(ran.status, 0, ran.stderr);
  assert.deepEqual([summary['files'], summary['local'], summary['fallbacks']], [12, 0, 0], ran.stderr);
  for (const name of names) {
    assert.deepEqual(readFileSync(join(project, `farm${name}`)), readFileSync(join(project, `home${name}`)), name);
  }
});

test('a directory of the compiler’s own search that the build makes is searched from then on', () => {
  const script = `rm -rf sys; mkdir -p behind; echo '#define OWN 2' > behind/own.h; echo 'int a;' > early.c
    printf '#include <own.h>\\nint own = OWN;\\n' > late.c
    gcc --sysroot=sys -c early.c && mkdir -p sys/usr/include && echo '#define OWN 1' > sys/usr/include/own.h &&
    gcc --sysroot=sys -idirafter behind -c late.c -o $1.o`;
  assert.equal(run(['sh', '-c', script, 'sh', 'home']).status, 0);
  const { ran, summary } = summaryOf(['run', '--', 'sh', '-c', script, 'sh', 'farm'], { SHOAL_STRICT: '1' });
  assert.deepEqual([ran.status, summary['remote']], [0, 2], ran.stderr);
  assert.deepEqual(readFileSync(join(project, 'farm.o')), readFileSync(join(project, 'home.o')));
});

test('of a variable that is there twice the compiler elsewhere gets the one that it would take here', () => {
  const twice = `#include <unistd.h>
extern char **environ;
int main(int count, char **words)
{
  char *all[1000] = {"CPATH=first", "CPATH=second"};
  for (int at = 0; environ[at] && at < 990; at++)
    all[at + 2] = environ[at];
  environ = all;
  return execvp(words[1], words + 1) - count;
}`;
  writeFileSync(join(project, 'twice.c'), twice);
  assert.equal(run(['gcc', '-o', 'twice', 'twice.c']).status, 0);
  const script = `mkdir -p first second; echo 'int own = 1;' > first/own.h; echo 'int own = 2;' > second/own.h
    echo '#include <own.h>' > own.c; ./twice gcc -c own.c -o $1.o`;
  assert.equal(run(['sh', '-c', script, 'sh', 'home']).status, 0);
  const { ran, summary } = summaryOf(['run', '--', 'sh', '-c', script, 'sh', 'farm'], { SHOAL_STRICT: '1' });
  assert.deepEqual([ran.status, summary['remote']], [0, 1], ran.stderr);
  assert.deepEqual(readFileSync(join(project, 'farm.o')), readFileSync(join(project, 'home.o')));
});

test('a response file with a name that is not UTF-8 is read by the compiler here', () => {
  const script = `d=$(printf 'odd\\377'); mkdir -p "$d" behind; echo 'int own = 1;' > "$d/own.h"
    echo 'int own = 2;' > behind/own.h; echo '#include <own.h>' > own.c; echo "-I$d -idirafter behind" > words
    gcc @words -c own.c -o $1.o; rm -r "$d"`;
  assert.equal(run(['sh', '-c', script, 'sh', 'home']).status, 0);
  const { ran, summary } = summaryOf(['run', '--', 'sh', '-c', script, 'sh', 'farm']);
  assert.deepEqual([ran.status, summary['reasons']], [0, { 'response-file': 1 }], ran.stderr);
  assert.deepEqual(readFileSync(join(project, 'farm.o')), readFileSync(join(project, 'home.o')));
});

test("a mistake in the source is reported as the compiler reports it, with make's status", () => {
  writeFileSync(join(project, 'one.c'), 'int one(void) { return undeclared; }\n');
  rmSync(join(project, 'one.o'), { force: true });
  const local = run(['make', '-s', 'one.o']);
  const { ran, summary } = summaryOf(['make', '-s', 'one.o']);
  assert.equal(ran.status, local.status);
  assert.ok(ofBuild(ran).startsWith(local.stderr), ran.stderr);
  assert.equal(summary['failed'], 1, ran.stderr);
  writeProject();
});

test("shoal run ends with the command's own status, and says so when no compile came by", () => {
  assert.equal(shoal(['run', '--', 'sh', '-c', 'exit 7']).status, 7);
  assert.match(shoal(['run', '--', 'true']).stderr, /no compile reached shoal/);
  assert.equal(shoal(['run', '--', 'no-such-command']).status, 127);
});

test('without any worker the build runs here, and one line says how to add one', () => {
  clean();
  const { ran, summary } = summaryOf(['make', '-s'], { SHOAL_HOSTS: '127.0.0.1:1' });
  assert.equal(ran.status, 0);
  assert.equal(ran.stderr.split('\n').filter((line) => line.includes('shoal worker')).length >= 1, true);
  assert.deepEqual(summary['reasons'], { 'no-worker': 3, link: 1 });
  clean();
  const strict = shoal(['make', '-s'], { SHOAL_HOSTS: '127.0.0.1:1', SHOAL_STRICT: '1' });
  assert.notEqual(strict.status, 0);
  assert.match(strict.stderr, /strict.*no-worker/);
});

test('a compile whose environment was scrubbed is still part of its build', () => {
  clean();
  const command = 'env -i PATH="$PATH" make -s one.o';
  assert.equal(summaryOf(['run', '--', 'sh', '-c', command]).summary['files'], 1);
});

test('status and stop speak for the daemon, and nothing is left of it', async () => {
  const launcher = join(base, 'cache', 'shoal', 'bin', 'shoal');
  rmSync(join(project, 'one.o'), { force: true });
  assert.equal(
    run([launcher, 'gcc', '-c', 'one.c', '-o', 'one.o']).status,
    0,
    'the launcher starts the daemon by itself',
  );
  const status = JSON.parse(shoal(['status', '--json']).stdout) as Readonly<Record<string, unknown>>;
  assert.equal(status['running'], true);
  assert.equal(shoal(['stop']).status, 0);
  assert.equal(existsSync(`/proc/${String(status['pid'])}`), false);
  const { socket } = openRuntimeDir();
  assert.equal(existsSync(socket), false);
  const refused = connect(socket);
  await new Promise<void>((resolve) => refused.once('error', () => resolve()));
  assert.match(shoal(['status']).stderr, /no daemon/);
});

test('strict mode with a budget lets the build run, and fails it with the list', () => {
  clean();
  const nowhere = { SHOAL_HOSTS: '127.0.0.1:1' };
  const { ran, summary } = summaryOf(['--strict=50%', 'make', '-s'], nowhere);
  assert.equal(ran.status, 1, ran.stderr);
  assert.match(
    ran.stderr,
    /strict: 3 compiles stayed here, 100 % of those that could run elsewhere; 50 % are allowed:/,
  );
  assert.match(ran.stderr, new RegExp(`\n  ${join(project, 'one.c')}: no-worker\n`));
  assert.equal(summary['fallbacks'], 3);
  clean();
  assert.equal(shoal(['--strict=100%', 'make', '-s'], nowhere).status, 0);
  clean();
  assert.equal(shoal(['make', '-s'], { SHOAL_STRICT: '0.5%' }).status, 0);
  const wrong = shoal(['--strict=many', 'make', '-s']);
  assert.deepEqual([wrong.status, wrong.stderr.split('\n').length], [2, 2]);
  assert.match(wrong.stderr, /strict is "many": write 1 for no fallback at all, or a share/);
});

test('of daemons that are started at once one stays, and what explain and hosts are asked is answered', async () => {
  clean();
  assert.equal(shoal(['make', '-s', '-j2']).status, 0);
  const { PATH, HOME, XDG_CACHE_HOME } = { PATH: process.env['PATH'], HOME: base, XDG_CACHE_HOME: join(base, 'cache') };
  const env = { PATH, HOME, XDG_CACHE_HOME, SHOAL_HOSTS: hosts };
  const started = Array.from({ length: 4 }, () => spawn(process.execPath, [main, 'daemon'], { stdio: 'ignore', env }));
  const ends = started.map((daemon) => new Promise<number | null>((resolve) => daemon.once('close', resolve)));
  const others = new Promise<void>((resolve) => {
    let ended = 0;
    for (const end of ends) void end.then(() => (ended += 1) === started.length - 1 && resolve());
  });
  await others;
  const status = JSON.parse(shoal(['status', '--json']).stdout) as { pid: number };
  assert.ok(started.some(({ pid, exitCode }) => pid === status.pid && exitCode === null));

  const listed = JSON.parse(shoal(['hosts', '--json']).stdout) as { hosts: Record<string, unknown>[] };
  assert.deepEqual(
    listed.hosts.map(({ name, state, slots }) => [name, state, slots]),
    [[hosts, 'ready', 2]],
  );
  assert.match(shoal(['hosts']).stdout, new RegExp(`^host .*\n${hosts} +2 `));

  const explained = JSON.parse(shoal(['explain', 'two.o', '--json']).stdout) as Record<string, unknown>;
  assert.equal(explained['source'], join(project, 'two.cc'));
  assert.deepEqual(
    (explained['attempts'] as { host: string; outcome: string }[]).map(({ host, outcome }) => [host, outcome]),
    [[hosts, 'done']],
  );
  const { stdout } = shoal(['explain', 'last']);
  assert.match(stdout, new RegExp(`${hosts}: .* = wait .* \\+ round trip .* \\+ compile .* <- went there`));
  assert.match(stdout, /ended, (compiled|a result that was known) on/);
  assert.equal(shoal(['explain', 'nothing.c']).status, 1);

  assert.equal(shoal(['stop']).status, 0);
  assert.deepEqual(await Promise.all(ends), [0, 0, 0, 0]);
});
