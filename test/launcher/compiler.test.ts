// Which compiler runs, and in what state: it must not be able to tell that a launcher stood before it.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { after, afterEach, test } from 'node:test';
import { encodeRunHere, type LauncherRequest } from '../../src/client/launcher-wire.ts';
import { encodeCompleted, ended, frame, setStage } from './stage.ts';

const stage = setStage();
const { bin, compilers, work, gcc } = stage;
const shoal = join(bin, 'shoal');
const realGcc = execFileSync('/bin/sh', ['-c', 'command -v gcc'], { encoding: 'utf8' }).trim();
const pathOf = (...directories: readonly string[]): Record<string, string> => ({
  PATH: [...directories, '/usr/bin', '/bin'].join(delimiter),
});
afterEach(stage.clear);
after(stage.remove);
writeFileSync(join(work, 'x.c'), 'int x;\n');
const runHere = (): Promise<void> => stage.daemon((_request, socket) => void socket.write(encodeRunHere('link')));

test('the real gcc finds its parts behind a masquerade, by name, by path and as a prefix', async () => {
  const commands = [['gcc'], [gcc], [shoal, 'gcc'], [shoal, realGcc], [shoal, gcc], [shoal, shoal, 'gcc']] as const;
  await runHere();
  const plain = execFileSync(realGcc, ['-print-search-dirs'], { encoding: 'utf8' });
  for (const [first, ...rest] of commands) {
    const name = first ?? '';
    const ran = await stage.launch([name, ...rest, '-c', 'x.c'], pathOf(bin));
    assert.deepEqual([ran.status, ran.stderr], [0, '']);
    assert.ok(existsSync(join(work, 'x.o')));
    rmSync(join(work, 'x.o'));
    assert.equal((await stage.launch([name, ...rest, '-print-search-dirs'], pathOf(bin))).stdout, plain);
  }
});

const names = join(stage.base, 'names');
mkdirSync(names);
for (const name of ['gcc', 'clang', 'shoal']) symlinkSync(stage.launcher, join(names, name));
writeFileSync(join(work, 'again'), '@again');

for (const compiler of ['gcc', 'clang']) {
  test(`${compiler} run here says what it says without a launcher, also of where it stands`, async () => {
    await runHere();
    const real = execFileSync('/bin/sh', ['-c', `command -v ${compiler}`], { encoding: 'utf8' }).trim();
    const calls = [
      { launched: [compiler], plain: [compiler] },
      { launched: [shoal, compiler], plain: [compiler] },
      { launched: [join(names, compiler)], plain: [real] },
      { launched: [shoal, real], plain: [real] },
    ];
    for (const args of [['-v'], ['@again', '-c', 'x.c'], ['-###', '-S', 'x.c', '-o', 'y.s'], ['-print-search-dirs']]) {
      for (const before of [[], ['/none', ''], ['/none', names]]) {
        for (const { launched, plain } of calls) {
          const others = before.filter((directory) => directory !== names);
          const expected = await stage.launch(['env', ...plain, ...args], pathOf(...others));
          const got = await stage.launch(['env', ...launched, ...args], pathOf(names, ...before));
          assert.deepEqual(got, expected, launched.join(' '));
        }
      }
    }
  });
}

/** A program that tells by what name it was called, and its PATH. */
const tellsName = join(stage.base, 'tells-name');
writeFileSync(
  `${tellsName}.c`,
  '#include <stdio.h>\n#include <stdlib.h>\nint main(int n, char **v) { return printf("%s %s\\n", v[0], getenv("PATH")) < n; }\n',
);
execFileSync('gcc', [`${tellsName}.c`, '-o', tellsName]);

test('where the compiler cannot find itself by its name alone, it is told where it is', async () => {
  const place = (name: string, links: Readonly<Record<string, string>>): string => {
    const directory = join(stage.base, name);
    mkdirSync(directory);
    for (const [link, target] of Object.entries(links)) symlinkSync(target, join(directory, link));
    return directory;
  };
  const own = place('own', { gcc: tellsName });
  const mixed = place('mixed', { gcc: stage.launcher, other: '/bin/true' });
  const cached = place('cached', { gcc: 'ccache' });
  writeFileSync(join(cached, 'ccache'), '#!/bin/sh\n', { mode: 0o755 });
  const told = async (directories: readonly string[], command: string): Promise<string> =>
    (await stage.launch(['env', command], { PATH: [...directories, '/usr/bin'].join(delimiter) })).stdout;
  await runHere();
  assert.equal(await told([names, own], 'gcc'), `gcc ${own}:/usr/bin\n`);
  assert.equal(await told([own, names], join(names, 'gcc')), `${own}/gcc ${own}:/usr/bin\n`);
  // What else is in a directory may be wanted by the compiler.
  assert.equal(await told([mixed, own], 'gcc'), `${own}/gcc ${mixed}:${own}:/usr/bin\n`);
  assert.equal(await told([names, mixed, own], 'gcc'), `${own}/gcc ${mixed}:${own}:/usr/bin\n`);
  assert.equal(await told([names, cached, own], 'gcc'), `${own}/gcc ${cached}:${own}:/usr/bin\n`);
});

test('a program that is no compiler may call one, and finds the launcher where it was', async () => {
  const own = join(stage.base, 'wrapper');
  mkdirSync(own);
  symlinkSync(tellsName, join(own, 'gcc'));
  await stage.daemon((_request, socket) => void socket.write(encodeRunHere('not-a-compiler')));
  const { stdout } = await stage.launch(['env', 'gcc'], pathOf(names, own));
  assert.equal(stdout, `${own}/gcc ${pathOf(names, own)['PATH']}\n`);
});

test('a wrapper that looks for the next compiler on PATH, and finds the launcher, gets the one after itself', async () => {
  const [outer, inner] = [join(stage.base, 'outer'), join(stage.base, 'inner')];
  // As colorgcc does: the first gcc on PATH that is not this script; run as a child, or in its own place.
  const next = `for d in $(echo "$PATH" | tr : ' '); do [ "$d/gcc" = "$0" ] || { [ -x "$d/gcc" ] && n=$d/gcc && break; }; done`;
  stage.addCompiler(`${next}\n"$n" outer "$@"`, outer);
  stage.addCompiler(`${next}\nexec "$n" inner "$@"`, inner);
  const ran = await stage.launch([gcc, '-c'], pathOf(bin, outer, inner, compilers));
  assert.equal(ran.stdout, 'local inner outer -c\n');
  assert.equal(stage.runs(), 3);
  rmSync(outer, { recursive: true });
  rmSync(inner, { recursive: true });
});

writeFileSync(
  join(stage.base, 'below'),
  '#!/bin/sh\nleft=$1; shift\nif [ $left = 0 ]; then exec "$@"; fi\n"$0" $((left - 1)) "$@"\nexit $?\n',
  { mode: 0o755 },
);
// Each calls the next gcc on PATH from a process that is no child of the wrapper; the bound is for a launcher that errs.
const deepCalls = {
  'under timeout': 'timeout 60 "$n" "$@"',
  'in a pipeline': '( "$n" "$@"; true ) | cat',
  'many processes below': `"${join(stage.base, 'below')}" 20 "$n" "$@"`,
};
for (const [how, call] of Object.entries(deepCalls)) {
  test(`a wrapper script that calls the next compiler ${how} ends, also within another`, async () => {
    const [outer, inner] = [join(stage.base, 'deep-outer'), join(stage.base, 'deep-inner')];
    const bound = 'd=${DEPTH:-0}; [ $d -lt 9 ] || { echo "for ever" >&2; exit 9; }; export DEPTH=$((d + 1))';
    const next = `for d in $(echo "$PATH" | tr : ' '); do [ "$d/gcc" = "$0" ] || { [ -x "$d/gcc" ] && n=$d/gcc && break; }; done`;
    for (const directory of [outer, inner]) stage.addCompiler(`${bound}\n${next}\n${call}`, directory);
    for (const wrappers of [[outer], [outer, inner]]) {
      stage.forgetRuns();
      const ran = await stage.launch([gcc, '-c'], pathOf(bin, ...wrappers, compilers));
      assert.doesNotMatch(ran.stderr, /for ever/);
      assert.equal(ran.stdout, 'local -c\n');
      assert.equal(stage.runs(), wrappers.length + 1);
    }
    for (const directory of [outer, inner]) rmSync(directory, { recursive: true });
  });
}

/** Compiled from a text of C into a directory of its own, as gcc. */
const compileGcc = (name: string, text: string): string => {
  const directory = join(stage.base, name);
  mkdirSync(directory);
  writeFileSync(join(directory, 'gcc.c'), `#include <stdio.h>\n#include <stdlib.h>\n#include <string.h>\n${text}\n`);
  execFileSync(realGcc, [join(directory, 'gcc.c'), '-o', join(directory, 'gcc')]);
  return directory;
};

test('a compiler that runs its own name far below itself means itself, not a later namesake', async () => {
  // A grandchild, as lto-wrapper's make is; from a directory that stays on PATH, where the launcher is not alone.
  const again = 'if (n > 1 && !strcmp(v[1], "again")) return puts("first") < 0;';
  const first = compileGcc('first', `int main(int n, char **v) { ${again} return system("gcc again; true"); }`);
  const mixed = join(stage.base, 'mixed-again');
  mkdirSync(mixed);
  symlinkSync(stage.launcher, join(mixed, 'gcc'));
  symlinkSync('/bin/true', join(mixed, 'other'));
  assert.equal((await stage.launch([join(mixed, 'gcc')], pathOf(mixed, first, compilers))).stdout, 'first\n');
  rmSync(first, { recursive: true });
  rmSync(mixed, { recursive: true });
});

test('a compiled wrapper that the daemon knows as none of the compilers is passed over below itself, too', async () => {
  const bound = 'char *d = getenv("DEPTH"); if (d && strlen(d) > 9) return 9;';
  const grow = 'char depth[16]; sprintf(depth, "%sx", d ? d : ""); setenv("DEPTH", depth, 1);';
  const main = `int main(void) { ${bound} ${grow} return system("timeout 60 gcc -c; true"); }`;
  const compiled = compileGcc('compiled', main);
  await stage.daemon((_request, socket) => void socket.write(encodeRunHere('not-a-compiler')));
  assert.equal((await stage.launch([gcc], pathOf(bin, compiled, compilers))).stdout, 'local -c\n');
  rmSync(compiled, { recursive: true });
});

test('a wrapper is passed over by what its link leads to, unless it was asked for', async () => {
  const masquerade = join(stage.base, 'masquerade');
  for (const wrapper of ['ccache', 'sccache', 'distcc', 'icecc', 'colorgcc']) {
    mkdirSync(masquerade);
    writeFileSync(join(masquerade, wrapper), `#!/bin/sh\necho ${wrapper} "$@"\n`, { mode: 0o755 });
    symlinkSync(wrapper, join(masquerade, 'gcc'));
    assert.equal((await stage.launch(['gcc', '-c'], pathOf(bin, masquerade, compilers))).stdout, 'local -c\n');
    // `shoal distcc` is our own.
    if (wrapper !== 'distcc')
      assert.equal((await stage.launch([shoal, wrapper, '-c'], pathOf(masquerade))).stdout, `${wrapper} -c\n`);
    rmSync(masquerade, { recursive: true });
  }
});

test('another installation of shoal on PATH is passed over', async () => {
  const other = join(stage.base, 'other');
  mkdirSync(other);
  execFileSync('cp', [stage.launcher, join(other, 'shoal')]);
  symlinkSync('shoal', join(other, 'gcc'));
  assert.equal((await stage.launch(['gcc', '-c'], pathOf(bin, other, compilers))).stdout, 'local -c\n');
});

test('PATH is read as the shell reads it', async () => {
  const inWork = join(work, 'gcc');
  writeFileSync(join(work, 'notexec'), 'x');
  writeFileSync(inWork, '#!/bin/sh\necho here "$0"\n', { mode: 0o755 });
  mkdirSync(join(stage.base, 'directory/gcc'), { recursive: true });
  const seen: string[] = [];
  await stage.daemon((request, socket) => {
    seen.push(request.compiler);
    socket.write(encodeRunHere('link'));
  });
  // A directory of that name is no compiler; an empty element is the working directory.
  assert.equal(
    (await stage.launch([gcc], { PATH: `${join(stage.base, 'directory')}::${compilers}` })).stdout,
    'here ./gcc\n',
  );
  assert.equal((await stage.launch([shoal, './gcc'])).stdout, 'here ./gcc\n');
  assert.deepEqual(seen, [`${work}/./gcc`, `${work}/./gcc`]);
  rmSync(inWork);
});

test('where there is no compiler the launcher ends as a shell does', async () => {
  const absent = await stage.launch([shoal, 'no-such-compiler', '-c']);
  assert.deepEqual(
    [absent.status, absent.stderr],
    [127, 'shoal: no-such-compiler: no subcommand (`shoal help` lists them), and no such compiler on PATH\n'],
  );
  assert.equal((await stage.launch([shoal, './absent'])).status, 127);
  assert.equal((await stage.launch([shoal, work])).status, 126);
  assert.equal((await stage.launch([gcc], { PATH: bin })).status, 127);
});

test('a compiler without #! is a script of sh', async () => {
  writeFileSync(join(compilers, 'plain'), 'echo "$0" "$@"\n', { mode: 0o755 });
  assert.equal((await stage.launch([shoal, 'plain', 'a b', ''])).stdout, `${join(compilers, 'plain')} a b \n`);
});

test('SHOAL_DISABLE runs the compiler with no daemon asked', async () => {
  await stage.daemon(() => assert.fail('asked'));
  assert.equal((await stage.launch([gcc, '-c'], { SHOAL_DISABLE: '1' })).stdout, 'local -c\n');
});

test('the compiler gets the environment, the descriptors and the signals that the launcher was given', async () => {
  const body = `cat /proc/self/status | grep -E '^Sig(Ign|Blk)'; tr '\\0' '\\n' </proc/self/environ | grep -v SHOAL_RUNNING; ls /proc/self/fd`;
  stage.addCompiler(body, compilers, 'report');
  let request: LauncherRequest | undefined;
  await stage.daemon((seen, socket) => {
    request = seen;
    socket.write(encodeRunHere('link'));
  });
  const env = { ODD: 'a=b\nc', EMPTY: '', ...pathOf(compilers) };
  const ignoring = ['/bin/sh', '-c', `trap '' PIPE INT; exec "$@"`, 'sh'] as const;
  const direct = await stage.launch([...ignoring, join(compilers, 'report')], env);
  const launched = await stage.launch([...ignoring, shoal, join(compilers, 'report')], env);
  const socket = '200\n';
  assert.equal(launched.stdout.replace(socket, ''), direct.stdout);
  assert.ok(launched.stdout.includes(socket), 'the connection is among the descriptors, out of the way');
  assert.deepEqual(request?.env.filter((entry) => entry.startsWith('ODD') || entry.startsWith('EMPTY')).toSorted(), [
    'EMPTY=',
    'ODD=a=b\nc',
  ]);
});

test('where the limit of descriptors leaves no room, the connection stays where it is until the compiler has ended', async () => {
  stage.addCompiler('sleep 0.2; echo ended; exit 3');
  let closed: (() => void) | undefined;
  const end = new Promise<'closed'>((resolve) => (closed = () => resolve('closed')));
  await stage.daemon((_request, socket) => {
    socket.on('close', () => closed?.());
    socket.write(encodeRunHere('link'));
  });
  const child = stage.start(['/bin/sh', '-c', 'ulimit -n 50; exec "$@"', 'sh', gcc, '-c']);
  const said = new Promise<'ended'>((resolve) => child.stdout?.once('data', () => resolve('ended')));
  assert.equal(await Promise.race([end, said]), 'ended');
  assert.equal((await ended(child)).status, 3);
  await end;
});

test('closed descriptors are told to the daemon and are closed in the compiler', async () => {
  stage.addCompiler(
    `for n in 0 1 2; do [ -e /proc/$$/fd/$n ] || echo "closed $n" >>${join(work, 'closed')}; done`,
    compilers,
    'look',
  );
  const bits: number[] = [];
  await stage.daemon((request, socket) => {
    bits.push(request.terminal.bits);
    socket.write(encodeRunHere('link'));
  });
  for (const redirection of ['<&-', '>&-', '2>&-', '<&- >&- 2>&-']) {
    await stage.launch(['/bin/sh', '-c', `exec "$@" ${redirection}`, 'sh', shoal, 'look']);
  }
  assert.deepEqual(bits, [8, 16, 32, 56]);
  assert.equal(
    readFileSync(join(work, 'closed'), 'utf8'),
    'closed 0\nclosed 1\nclosed 2\nclosed 0\nclosed 1\nclosed 2\n',
  );
});

test('what is printed to a closed descriptor lands in no file', async () => {
  const target = join(work, 'x.o');
  const content = Buffer.alloc(1000, 'o');
  await stage.daemon((_request, socket) => {
    const outputs = [{ path: target, how: 'replace', content }] as const;
    socket.end(encodeCompleted({ outputs, stdout: Buffer.alloc(0), stderr: Buffer.from('a warning'), waitStatus: 0 }));
  });
  for (const redirection of ['2>&-', '<&- >&- 2>&-']) {
    const ran = await stage.launch(['/bin/sh', '-c', `exec "$@" ${redirection}`, 'sh', gcc, '-c', 'x.c']);
    assert.equal(ran.status, 0);
    assert.ok(readFileSync(target).equals(content));
  }
});

test('a megabyte on stdout arrives whole through a pipe that is read slowly', async () => {
  const text = Buffer.alloc(1 << 20, 'abcdefg\n');
  await stage.daemon((_request, socket) => {
    socket.end(encodeCompleted({ outputs: [], stdout: text, stderr: Buffer.from('e'), waitStatus: 256 }));
  });
  const child = stage.start([gcc, '-E', 'x.c']);
  child.stdout?.pause();
  const end = ended(child);
  setImmediate(() => child.stdout?.resume());
  const ran = await end;
  assert.deepEqual([ran.status, ran.stderr], [1, 'e']);
  assert.equal(ran.stdout, text.toString());
});

test('a reader that has gone ends the launcher by SIGPIPE, as it would end the compiler', async () => {
  const text = Buffer.alloc(1 << 20, 'x');
  await stage.daemon((_request, socket) => {
    socket.end(encodeCompleted({ outputs: [], stdout: text, stderr: Buffer.alloc(0), waitStatus: 0 }));
  });
  const ran = await stage.launch(['/bin/bash', '-c', `${gcc} -E x.c | true; echo "\${PIPESTATUS[0]}"`]);
  assert.equal(ran.stdout, '141\n');
});

test('stdout that takes nothing makes a compile fail that printed there', async () => {
  await stage.daemon((_request, socket) => {
    socket.end(encodeCompleted({ outputs: [], stdout: Buffer.from('x'), stderr: Buffer.alloc(0), waitStatus: 0 }));
  });
  const ran = await stage.launch(['/bin/sh', '-c', `${gcc} -E x.c >/dev/full`]);
  assert.deepEqual([ran.status, ran.stderr], [1, 'shoal: standard output: No space left on device\n']);
});

for (const [name, number] of [
  ['SIGABRT', 6],
  ['SIGSEGV', 11],
  ['SIGKILL', 9],
  ['SIGINT', 2],
] as const) {
  test(`a compile that died by ${name} dies by it here, even where it is ignored, with no core`, async () => {
    await stage.daemon((_request, socket) => {
      // 0x80: a core was dumped there.
      socket.end(
        encodeCompleted({ outputs: [], stdout: Buffer.alloc(0), stderr: Buffer.alloc(0), waitStatus: number | 0x80 }),
      );
    });
    const ran = await stage.launch(['/bin/sh', '-c', `trap '' INT ABRT; ulimit -c unlimited; exec ${gcc} -c x.c`]);
    assert.equal(ran.signal, name);
  });
}

test('an environment of hundreds of kilobytes arrives whole', async () => {
  const env = Object.fromEntries(Array.from({ length: 10 }, (_, at) => [`BIG${at}`, `${at}`.repeat(100_000)]));
  let request: LauncherRequest | undefined;
  await stage.daemon((seen, socket) => {
    request = seen;
    socket.end(encodeCompleted({ outputs: [], stdout: Buffer.alloc(0), stderr: Buffer.alloc(0), waitStatus: 0 }));
  });
  assert.equal((await stage.launch([gcc, '-c', 'x.c'], env)).status, 0);
  for (const [name, value] of Object.entries(env)) assert.ok(request?.env.includes(`${name}=${value}`));
});

test('sources are named with their inodes by suffix; options, outputs and absent files are not', async () => {
  for (const name of ['a.cc', 'b.S', 'dir.c.o', 'noext', '-x.c']) writeFileSync(join(work, name), '');
  let indexes: readonly number[] = [];
  await stage.daemon((request, socket) => {
    indexes = request.sources.map(({ index }) => index);
    socket.end(Buffer.concat([frame('R', 'x')]));
  });
  await stage.launch([gcc, '-c', 'x.c', 'a.cc', 'absent.c', 'dir.c.o', 'noext', './b.S', '-x.c', '-o', 'x.o']);
  assert.deepEqual(indexes, [2, 3, 7]);
});
