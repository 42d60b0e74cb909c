// The launcher, asked to preprocess what it was to compile.
import assert from 'node:assert/strict';
import { readFileSync, readdirSync, writeFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import { join } from 'node:path';
import { after, afterEach, test } from 'node:test';
import { preprocessFrame, type Preprocessed } from '../../src/client/launcher-wire.ts';
import { preprocessBy } from '../../src/client/distcc/preprocess.ts';
import { encodeCompleted, frame, setStage } from './stage.ts';

const stage = setStage(['-DSHOAL_CPUS=1']);
after(stage.remove);
afterEach(stage.clear);

const nothing = Buffer.alloc(0);
const done = (stdout = 'compiled elsewhere\n'): Buffer =>
  encodeCompleted({ outputs: [], stdout: Buffer.from(stdout), stderr: nothing, waitStatus: 0 });

/** A daemon that asks for preprocessed source, and then says that the job was done; gives what it got. */
async function asking(end: () => Buffer = done): Promise<Preprocessed[]> {
  const got: Preprocessed[] = [];
  await stage.daemon((_, socket) => {
    void preprocessBy(socket)
      .preprocess()
      .then((one) => {
        got.push(one);
        socket.end(end());
      });
  });
  return got;
}

/** The words that the compiler was run with. */
async function wordsFor(argv: readonly string[], compiler = 'gcc'): Promise<readonly string[]> {
  stage.addCompiler('for word; do printf "%s\\n" "$word"; done', stage.compilers, compiler);
  const got = await asking();
  await stage.launch([join(stage.bin, 'shoal'), compiler, ...argv]);
  stage.clear();
  return got[0]?.text.toString().split('\n').slice(0, -1) ?? [];
}

const turned: readonly (readonly [string, string])[] = [
  ['-O2 -Iinc -DX=1 -c a.c', '-O2 -Iinc -DX=1 -E a.c'],
  ['-c a.c -o out/a.o', '-E a.c'],
  ['-c a.c -oa.o -g', '-E a.c -g'],
  ['-S a.c -c', '-E a.c'],
  ['-MD -c a.c', '-MD -E a.c'],
  ['-MD -c a.c -o out/a.o', '-MD -E a.c -MF out/a.d -MQ out/a.o'],
  ['-MMD -MP -c a.c -o out.d/a', '-MMD -MP -E a.c -MF out.d/a.d -MQ out.d/a'],
  ['-MD -MF x.d -c a.c -o a.o', '-MD -MF x.d -E a.c -MQ a.o'],
  ['-MD -MTname -c a.c -o a.o', '-MD -MTname -E a.c -MF a.d'],
  ['-MT -o -MD -MFx.d -c a.c', '-MT -o -MD -MFx.d -E a.c'],
  ['-Wp,-MD,y.d -c a.c -o a.o', '-Wp,-MD,y.d -E a.c'],
  ['-include -c -D -o -c a.c', '-include -c -D -o -E a.c'],
];

test('a compile’s words become those of its preprocessing; its dependencies stay what they were', async () => {
  for (const [argv, expected] of turned) {
    assert.deepEqual(await wordsFor(argv.split(' ')), expected.split(' '), argv);
  }
  const ofClang = '-Wp,-MMD,y.d -E a.c -MQ a.o';
  assert.deepEqual(await wordsFor('-Wp,-MMD,y.d -c a.c -o a.o'.split(' '), 'clang-14'), ofClang.split(' '));
});

test('what is no compile, or may be one in a response file, is not tried; the daemon hears so', async () => {
  for (const argv of ['a.c -o a', '@words -c a.c', '-c a.c -o', '-c a.c --output=a.o', '-c a.c --write-dependencies']) {
    stage.addCompiler('echo ran');
    let why = '';
    await stage.daemon((_, socket) => {
      preprocessBy(socket)
        .preprocess()
        .catch((error: unknown) => {
          why = (error as Error).message;
          socket.end(frame('R', 'client-failed'));
        });
    });
    const { stdout } = await stage.launch([stage.gcc, ...argv.split(' ')]);
    assert.match(why, /cannot preprocess/, argv);
    assert.deepEqual([stdout, stage.runs()], ['ran\n', 1], argv);
    stage.clear();
  }
});

test('text, words on stderr and status arrive; nothing of it is printed or left', async () => {
  stage.addCompiler('echo "# 1 a.c"; echo warned >&2; exit 3');
  const got = await asking();
  const ran = await stage.launch([stage.gcc, '-c', 'a.c']);
  assert.deepEqual([ran.stdout, ran.stderr, ran.status], ['compiled elsewhere\n', '', 0]);
  assert.deepEqual(
    got.map(({ text, stderr, waitStatus }) => [text.toString(), stderr.toString(), waitStatus]),
    [['# 1 a.c\n', 'warned\n', 3 << 8]],
  );
  assert.deepEqual(readdirSync(stage.runtime).toSorted(), ['daemon.sock', 'gate']);
});

test('forty megabytes arrive as they are', async () => {
  const text = Buffer.alloc(40 << 20, 'a line of a source\n');
  writeFileSync(join(stage.work, 'large'), text);
  stage.addCompiler('cat large');
  const got = await asking();
  await stage.launch([stage.gcc, '-c', 'a.c']);
  assert.ok(got[0]?.text.equals(text));
});

test('of many, as many preprocess at once as there are processors', async () => {
  const log = join(stage.base, 'turns');
  writeFileSync(log, '');
  stage.addCompiler(`echo begin >>${log}; sleep 0.02; echo end >>${log}`);
  const got = await asking();
  await Promise.all(Array.from({ length: 12 }, () => stage.launch([stage.gcc, '-c', 'a.c'])));
  assert.equal(got.length, 12);
  assert.equal(readFileSync(log, 'utf8'), 'begin\nend\n'.repeat(12));
});

test('a job that comes home after it was preprocessed gets a slot again, and runs', async () => {
  stage.addCompiler('case "$*" in *-E*) echo text;; *) echo "$@"; exit 7;; esac');
  await stage.daemon((_, socket) => {
    const inSlot = Buffer.concat([Buffer.alloc(4), Buffer.from('worker-lost')]);
    void preprocessBy(socket)
      .preprocess()
      .then(() => socket.write(frame('W', inSlot)));
    socket.on('data', () => socket.end());
  });
  const { status, stdout } = await stage.launch([stage.gcc, '-c', 'a.c']);
  assert.deepEqual([status, stdout, stage.runs()], [7, '-c a.c\n', 2]);
});

test('a frame with content asks for nothing: the compiler runs here, once', async () => {
  stage.addCompiler('echo "$@"');
  await stage.daemon((_, socket) => socket.end(frame('E', '-o /etc/passwd')));
  const { stdout } = await stage.launch([stage.gcc, '-c', 'a.c']);
  assert.deepEqual([stdout, stage.runs()], ['-c a.c\n', 1]);
});

test('its end is known also where whoever began the build ignores the ends of processes', async () => {
  stage.addCompiler('echo "# 1 a.c"; exit 3');
  const got = await asking();
  await stage.launch(['bash', '-c', `trap '' CHLD; exec "$@"`, 'sh', stage.gcc, '-c', 'a.c']);
  assert.deepEqual(
    got.map(({ waitStatus }) => waitStatus),
    [3 << 8],
  );
});

test('a daemon that goes while it is sent the text: the compile runs here', async () => {
  stage.addCompiler('case "$*" in *-E*) yes | head -c 30000000;; *) echo "$@";; esac');
  await stage.daemon((_, socket: Socket) => {
    socket.write(preprocessFrame);
    socket.once('data', () => socket.destroy());
  });
  const { status, stdout } = await stage.launch([stage.gcc, '-c', 'a.c']);
  assert.deepEqual([status, stdout], [0, '-c a.c\n']);
});

test('what the launcher says while it preprocesses is no word that it could not write what was done elsewhere', async () => {
  stage.addCompiler('case "$*" in *-E*) echo text;; *) exit 7;; esac');
  for (const [object, status] of [
    ['a.o', 0],
    ['none/a.o', 7],
  ] as const) {
    const said: string[] = [];
    await stage.daemon((_, socket) => {
      const { preprocess, onceSaid } = preprocessBy(socket);
      void preprocess().then(() => said.push('preprocessed'));
      const output = { path: join(stage.work, object), how: 'replace', content: nothing } as const;
      const elsewhere = encodeCompleted({ outputs: [output], stdout: nothing, stderr: nothing, waitStatus: 0 });
      // Another host was sooner.
      setImmediate(() => {
        onceSaid(() => said.push('unwritten'));
        socket.end(elsewhere);
      });
    });
    assert.equal((await stage.launch([stage.gcc, '-c', 'a.c'])).status, status);
    assert.deepEqual(said.toSorted(), status === 0 ? ['preprocessed'] : ['preprocessed', 'unwritten']);
    stage.clear();
  }
});
