// What a job sees, and what it can do. What it leaves and how it ends: ends.test.ts.
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, readFileSync, realpathSync } from 'node:fs';
import { dirname, join } from 'node:path';
import test, { after, before } from 'node:test';
import {
  file,
  intrusion,
  jobOf,
  layFiles,
  openFixture,
  ran,
  runAs,
  shell,
  type Fixture,
} from '../../../test/sandbox/fixture.ts';
import { isRefusal, startSlot, type SandboxJob } from './sandbox.ts';

let fixture: Fixture;
before(async () => (fixture = await openFixture()));
after(() => fixture.close());

const lay = (name: string, files: Readonly<Record<string, string>>): void =>
  layFiles(join(fixture.options.stateDir, name), files);

const source = '#include "x.h"\nint f(int a) { int unused; return a + X; }\n';
const compileOptions = ['-g', '-O2', '-Wall', '-MD', '-c', 'x.c', '-o', 'o/x.o'];

test('gcc gives the object, dependency file and warnings that it gives outside', async () => {
  const outside = join(fixture.directory, 'outside');
  layFiles(outside, { 'x.c': source, 'x.h': '#define X 3\n' });
  mkdirSync(join(outside, 'o'));
  const env = { PATH: '/usr/bin:/bin', LC_ALL: 'C' };
  const { stderr } = spawnSync('gcc', compileOptions, { cwd: outside, env });
  lay('layer', { 'x.h': '#define X 3\n' });
  const done = await ran(
    fixture.slot,
    jobOf(['gcc', ...compileOptions], {
      root: {
        kind: 'within',
        lowerDirs: ['layer'],
        mountAt: outside,
        hostDirs: ['usr', 'bin', 'lib', 'lib64', 'etc/alternatives'],
      },
      additions: [file('x.c', source)],
      directories: ['o'],
      cwd: outside,
      outputs: ['o/x.o', 'o/x.d', 'o/x.gcno'],
    }),
  );
  assert.equal(done.stderr.toString(), stderr.toString());
  assert.match(done.stderr.toString(), /unused variable/);
  assert.equal(done.waitStatus, 0);
  const outputs = done.outputs.map((output) => [output.path, output.kind === 'file' && output.content]);
  assert.deepEqual(outputs, [
    ['o/x.o', readFileSync(join(outside, 'o/x.o'))],
    ['o/x.d', readFileSync(join(outside, 'o/x.d'))],
  ]);
  assert.ok(done.usage.userUs + done.usage.systemUs > 0 && done.usage.maxRssKb > 1000 && done.usage.wallUs > 1000);
});

/** The files that make up a C compiler, at their places below `root`. */
function copyCompiler(root: string): string {
  const gcc = realpathSync('/usr/bin/gcc');
  const asked = ['cc1', 'as'].map((name) =>
    execFileSync(gcc, [`-print-prog-name=${name}`], { encoding: 'utf8' }).trim(),
  );
  const found = asked.map((path) => (path.includes('/') ? path : join('/usr/bin', path)));
  const programs = [gcc, ...found];
  const needed = new Set([...programs, '/usr/include/stdc-predef.h']);
  for (const program of programs) {
    const loaded = execFileSync('ldd', [program], { encoding: 'utf8' });
    for (const [, path] of loaded.matchAll(/(\/\S+) \(/g)) needed.add(path ?? program);
  }
  for (const path of needed) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    copyFileSync(path, join(root, path));
  }
  return gcc;
}

test('a root of the toolchain and the sources is enough for gcc, and all there is', async () => {
  const toolchain = join(fixture.options.stateDir, 'toolchain');
  const gcc = copyCompiler(toolchain);
  const outside = join(fixture.directory, 'exact');
  layFiles(outside, { 'x.c': source, 'x.h': '#define X 3\n' });
  mkdirSync(join(outside, 'o'));
  spawnSync(gcc, compileOptions, { cwd: outside, env: { PATH: '/usr/bin' } });
  const below = outside.slice(1);
  const done = await ran(
    fixture.slot,
    jobOf([gcc, ...compileOptions], {
      root: { kind: 'exact', lowerDirs: ['empty', 'toolchain'] },
      additions: [file(`${below}/x.c`, source), file(`${below}/x.h`, '#define X 3\n')],
      directories: [below, `${below}/o`],
      env: ['PATH=/usr/bin'],
      cwd: outside,
      outputs: [`${below}/o/x.o`],
    }),
  );
  assert.equal(done.waitStatus, 0, done.stderr.toString());
  const [object] = done.outputs;
  assert.deepEqual(object?.kind === 'file' && object.content, readFileSync(join(outside, 'o/x.o')));
});

test('nothing of the box, of the slot or of an earlier job is visible', async () => {
  const look = intrusion(fixture, ['look']);
  await ran(fixture.slot, { ...look, additions: [...look.additions, file('tmp/left', ''), file('etc/left', '')] });
  const { text } = await ran(fixture.slot, look);
  const seen = text.trim().split('\n').toSorted();
  const fds = ['0', '1', '2', '3'].map((name) => `/proc/self/fd/${name}`);
  const names = ['/dev', '/dev/null', '/dev/urandom', '/intruder', '/proc', '/proc/self', '/proc/thread-self', '/tmp'];
  assert.deepEqual(
    seen.filter((name) => !/^\/proc\/\d+$/.test(name)),
    [...names, ...fds].toSorted(),
  );
  assert.equal(seen.filter((name) => /^\/proc\/\d+$/.test(name)).length, 2, 'the leader and the job');
});

test('no call that an attacker wants is granted', async () => {
  assert.equal((await ran(fixture.slot, intrusion(fixture, ['calls']))).text, '');
});

test('the leader cannot be touched, although it has the same uid', async () => {
  const done = await ran(fixture.slot, intrusion(fixture, ['leader']));
  assert.deepEqual({ text: done.text, waitStatus: done.waitStatus }, { text: '', waitStatus: 0 });
});

test('there is no network but a loopback that is down', async () => {
  const { text } = await ran(fixture.slot, shell('cat /proc/net/dev; cat /proc/net/route'));
  assert.deepEqual(text.match(/\w+(?=:)/g), ['lo']);
});

test('what the box shows is read-only, and what it has not is left out', async () => {
  const { text, stderr } = await ran(fixture.slot, shell('ls /; touch /usr/here; ls -d /usr/bin/env'));
  assert.deepEqual(
    text.split('\n').filter((name) => ['home', 'root', 'var', 'sys', 'run', 'opt'].includes(name)),
    [],
  );
  assert.match(stderr.toString(), /Read-only file system/);
  assert.match(text, /\/usr\/bin\/env\n$/);
});

test('a job sees its additions, links, times and deletions over the layers, topmost first', async () => {
  lay('low', { a: 'low', b: 'low', 'sub/c': 'low', 'sub/d': 'low', 'gone/e': 'low' });
  lay('high', { b: 'high', 'sub/c': 'high' });
  const done = await ran(
    fixture.slot,
    shell(
      'for f in $(find . -type f | sort); do echo $f $(cat $f) $(stat -c "%a %y" $f | cut -c 1-33); done; readlink l; ls -d empty/dir',
      {
        root: {
          kind: 'within',
          lowerDirs: ['high', 'low'],
          mountAt: '/build',
          hostDirs: ['/usr', '/bin', '/lib', '/lib64'],
        },
        additions: [
          file('sub/c', 'job', { mtimeNs: 1_234_567_890_123_456_789n }),
          file('new/x', 'job', { executable: true, mtimeNs: -1n }),
        ],
        symlinks: [
          { path: 'sub/l', target: '../a' },
          { path: 'l', target: 'nowhere' },
        ],
        directories: ['empty/dir'],
        deletions: ['sub/d', 'gone'],
        env: ['PATH=/usr/bin:/bin', 'TZ=UTC'],
      },
    ),
  );
  const lines = done.text.split('\n');
  assert.deepEqual(
    lines.map((line) => line.split(' ').slice(0, 3).join(' ')),
    ['./a low 644', './b high 644', './new/x job 755', './sub/c job 644', 'nowhere', 'empty/dir', ''],
  );
  assert.match(lines[2] ?? '', /1969-12-31 23:59:59.999999999/);
  assert.match(lines[3] ?? '', /2009-02-13 23:31:30.123456789/);
});

test('layers, which belong to the worker, are not changed by a job that changes its files', async () => {
  lay('shared', { 'o/old': 'old', file: 'old' });
  const root: SandboxJob['root'] = { kind: 'exact', lowerDirs: ['shared'] };
  const base = intrusion(fixture, ['look'], { root });
  const script = { ...shell('rm o/old && echo new > o/new && ls o'), directories: ['o'] };
  const done = await ran(fixture.slot, {
    ...script,
    root: {
      ...script.root,
      kind: 'within',
      lowerDirs: ['shared'],
      mountAt: '/b',
      hostDirs: ['usr', 'bin', 'lib', 'lib64'],
    },
    cwd: '/b',
  });
  assert.equal(done.text, 'new\n', done.stderr.toString());
  assert.equal(readFileSync(join(fixture.options.stateDir, 'shared/o/old'), 'utf8'), 'old');
  assert.match((await ran(fixture.slot, base)).text, /^\/file$/m);
});

test('a directory that would hide a link of the tree is refused, for the job would see another tree', async () => {
  lay('linked', { 'real/x': '' });
  execFileSync('ln', ['-sfn', 'real', join(fixture.options.stateDir, 'linked/alias')]);
  const root: SandboxJob['root'] = { kind: 'exact', lowerDirs: ['linked'] };
  const refused = await fixture.slot.run(intrusion(fixture, [], { root, directories: ['alias/o'] }));
  assert.deepEqual(refused, { kind: 'failed', why: 'creating alias/o: Not a directory' });
});

test('a directory that one layer has alone is shown as it is, read-only, and is entered through no link', async () => {
  lay('upper', { 'a/x': 'upper', 'real/y': 'upper' });
  lay('lower', { 'b/c/z': 'lower', 'b/w': 'lower' });
  execFileSync('ln', ['-sfn', 'real', join(fixture.options.stateDir, 'upper/alias')]);
  const script = shell('cat a/x b/w b/c/z; echo no > b/c/new; ls b/c; grep -c " /b/b/c " /proc/self/mountinfo');
  const root: SandboxJob['root'] = {
    kind: 'within',
    lowerDirs: ['upper', 'lower'],
    mountAt: '/b',
    hostDirs: ['usr', 'bin', 'lib', 'lib64'],
  };
  const whole = [{ path: 'b/c', lowerDir: 'lower' }];
  const done = await ran(fixture.slot, { ...script, root, whole, cwd: '/b' });
  assert.equal(done.text, 'upperlowerlowerz\n1\n');
  assert.match(done.stderr.toString(), /Read-only file system/);
  // Where the root has something else, what it has is shown.
  const hidden = [{ path: 'alias', lowerDir: 'upper' }];
  assert.equal((await ran(fixture.slot, { ...script, root, whole: hidden, cwd: '/b' })).text, 'upperlowerlowerz\n0\n');
  for (const [path, lowerDir] of [
    ['b/c', 'upper'],
    ['a', '../j/u'],
  ] as const) {
    const refused = await fixture.slot.run({ ...script, root, whole: [{ path, lowerDir }], cwd: '/b' });
    assert.equal(refused.kind, 'failed');
  }
});

test('TMPDIR is a directory of the job where its own root has none', async () => {
  const { text } = await ran(
    fixture.slot,
    shell('cd $TMPDIR && pwd && touch x && ls -ld /tmp | cut -c 1-10', { env: ['TMPDIR=/var/elsewhere', 'PATH=/bin'] }),
  );
  assert.equal(text, '/var/elsewhere\ndrwxrwxrwt\n');
});

test('a terminal is a terminal, of the size it has at home', async () => {
  const terminal = { bits: 5, columns: 123, rows: 45 };
  const size = await ran(
    fixture.slot,
    shell('test -t 2 && test -t 0 && ! test -t 1 && stty size && printf "a\\nb" >&2', { terminal }),
  );
  assert.deepEqual([size.text, size.stderr.toString(), size.waitStatus], ['45 123\n', 'a\nb', 0]);
  const warn = jobOf(['gcc', '-Wall', '-c', 'x.c', '-o', 'x.o'], {
    additions: [file('x.c', 'int f(void) { int u; }')],
  });
  const env = [...warn.env, 'TERM=xterm-256color'];
  const plain = await ran(fixture.slot, { ...warn, env });
  const coloured = await ran(fixture.slot, { ...warn, env, terminal: { bits: 4, columns: 80, rows: 24 } });
  assert.ok(!plain.stderr.includes('\u001b['));
  assert.ok(coloured.stderr.includes('\u001b[01;35m'));
  const both = await ran(
    fixture.slot,
    shell('echo one; echo two >&2; echo three', { terminal: { bits: 6, columns: 80, rows: 24 } }),
  );
  assert.deepEqual([both.text, both.stderr.toString()], ['', 'one\ntwo\nthree\n']);
});

test('a box that forbids a step says which, and what to do', async () => {
  const refusal = await startSlot({ ...fixture.options, stateDir: join(fixture.directory, 'absent') });
  assert.ok(isRefusal(refusal));
  assert.match(refusal.why, /open_tree .*absent: No such file/);
  const dead = await startSlot({ ...fixture.options, initPath: '/bin/false' });
  assert.ok(isRefusal(dead));
  const missing = await startSlot({ ...fixture.options, initPath: join(fixture.directory, 'no-init'), ...runAs });
  assert.ok(isRefusal(missing));
});
