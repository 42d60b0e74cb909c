// The list of system calls is enough: compilers of every family, and the tools of a build, do in the sandbox what they do
// outside, to the byte.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import { hostPaths } from '../../src/worker/sandbox/slot-process.ts';
import { file, jobOf, layFiles, openFixture, plenty, ran } from './fixture.ts';

const sources = {
  'x.c': '#include <stdio.h>\n#include <math.h>\nint f(double x) { return printf("%f", sin(x)); }\n',
  'x.cc':
    '#include <map>\n#include <regex>\n#include <string>\n#include <thread>\nint f() { std::map<std::string, int> m; std::thread t([] {}); t.join(); return (int)m.size(); }\n',
  'x.s': '.text\n.globl g\ng: ret\n',
};

const ofC = [
  '-O2',
  '-g -O2 -pipe',
  '-flto -frandom-seed=1',
  '-fsanitize=address',
  '-gsplit-dwarf -g',
  '-fopenmp',
  '-save-temps',
];
const ofCxx = ['-std=c++20 -O1', '-g -pipe'];

function linesOf(): readonly string[] {
  const gcc = ofC.map((flags) => `gcc ${flags} -c x.c -o x.o`);
  const clang = ofC
    .filter((flags) => flags !== '-fopenmp')
    .map((flags) => `clang ${flags.replace('-frandom-seed=1', '')} -c x.c -o x.o`);
  const cxx = ['g++', 'clang++'].flatMap((driver) => ofCxx.map((flags) => `${driver} ${flags} -c x.cc -o x.o`));
  const others = [
    'gcc -c x.s -o x.o',
    'clang -fno-integrated-as -c x.c -o x.o',
    'clang -fno-integrated-cc1 -c x.c -o x.o',
    'musl-gcc -O2 -c x.c -o x.o',
    'gcc -shared -fPIC -Wl,--build-id=none x.c -o x.o -lm',
  ];
  return [...gcc, ...clang, ...cxx, ...others];
}

test('objects are those of outside', async () => {
  const fixture = await openFixture();
  try {
    const outside = join(fixture.directory, 'outside');
    const env = ['PATH=/usr/bin:/bin', 'LC_ALL=C'];
    const additions = Object.entries(sources).map(([path, content]) => file(path, content));
    const root = { kind: 'within', lowerDirs: ['empty'], mountAt: outside, hostDirs: hostPaths } as const;
    for (const line of linesOf()) {
      rmSync(outside, { recursive: true, force: true });
      mkdirSync(outside);
      layFiles(outside, sources);
      const argv = line.split(' ').filter((word) => word !== '');
      const local = spawnSync(argv[0] ?? '', argv.slice(1), {
        cwd: outside,
        env: { PATH: '/usr/bin:/bin', LC_ALL: 'C' },
      });
      assert.equal(local.status, 0, `${line}: ${local.stderr.toString()}`);
      const done = await ran(fixture.slot, jobOf(argv, { root, additions, env, cwd: outside, outputs: ['x.o'] }));
      assert.deepEqual([line, done.waitStatus, done.stderr.toString()], [line, 0, local.stderr.toString()]);
      const [object] = done.outputs;
      assert.ok(object?.kind === 'file' && object.content.equals(readFileSync(join(outside, 'x.o'))), line);
    }
  } finally {
    await fixture.close();
  }
});

const makefile = `
all: a b c lib.a
a b c: ; gcc -c x.c -o $@.o && cp -a $@.o $@ && touch -d '1 hour ago' $@ && chmod 755 $@ && ln -sf $@ l$@ && mv l$@ m$@
lib.a: a b c ; ar rcs $@ a.o b.o c.o && ranlib $@ && strip -g a.o && nm a.o > names && objcopy b.o d.o
	find . -name '*.o' | sort | xargs -P2 -n1 sha256sum > sums && sed -n 1p sums | awk '{print NF}' | grep -q 2
	tar cf t.tar sums && tar xf t.tar && mktemp -d > /dev/null && mkdir -p d/e && rm -rf d && install -m755 sums s2
	sh -c 'trap : INT; (sleep 0.01; echo x) | cat > p & wait; flock lock timeout 5 true; read y < p; test $$y = x'
	bash -c 'cat <(echo hi) > q; exec 3<>q; for i in 1 2 3; do (exit 0) & done; wait'
	perl -e 'open my $$p, "-|", "echo perl" or die; print <$$p>; close $$p'
	python3 -c 'import subprocess, tempfile, threading, multiprocessing as m; t = threading.Thread(target=print); t.start(); t.join(); tempfile.mkstemp(); print(subprocess.check_output(["echo", "python"]))'
`;

test('the tools of a build work', async () => {
  const fixture = await openFixture();
  try {
    const additions = [file('Makefile', makefile), file('x.c', sources['x.c'])];
    const limits = { ...plenty, processes: 200 };
    const done = await ran(fixture.slot, jobOf(['make', '-j3'], { additions, limits, outputs: ['lib.a', 'sums'] }));
    assert.equal(done.waitStatus, 0, `${done.text}\n${done.stderr.toString()}`);
    assert.equal(done.outputs.length, 2);
  } finally {
    await fixture.close();
  }
});
