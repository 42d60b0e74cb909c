import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import test, { after, before } from 'node:test';
import fc from 'fast-check';
import { waitUntil } from '../../../bench/wait.ts';
import { ask, begin, exchange, type Answer } from '../../../test/distcc/client.ts';
import { pathEnv, startDistcc, withDistcc, type Serving } from '../../../test/distcc/serving.ts';
import { encodeRequest, type FilesRequest, type Request, type SentFile } from '../../distcc/request.ts';
import type { Response } from '../../distcc/response.ts';
import { exposure, openness } from './exposure.ts';

const env = { PATH: pathEnv };

// Most tests share a worker, each with a directory of its own: making one takes seconds on a busy box.
let usual: Awaited<ReturnType<typeof startDistcc>> | undefined;
before(async () => {
  usual = await startDistcc({});
});
after(() => usual?.stop());

let homes = 0;

async function withUsual(body: (serving: Serving) => Promise<void>): Promise<void> {
  assert.ok(usual !== undefined);
  const home = join(usual.home, String((homes += 1)));
  mkdirSync(home);
  await body({ ...usual, home });
}

function answered(answer: Answer): Response {
  assert.notEqual(answer, 'closed');
  return answer as Response;
}

/** What the compiler itself makes of preprocessed source. */
function locally(home: string, source: string, words: readonly string[] = ['-O2', '-Wall']): Buffer {
  writeFileSync(join(home, 'x.i'), source);
  execFileSync('gcc', [...words, '-c', 'x.i', '-o', 'x.o'], { cwd: home, env, stdio: 'ignore' });
  return readFileSync(join(home, 'x.o'));
}

const answerSource = '# 1 "x.c"\nint answer(void) { return 42; }\n';

const preprocessed = (argv: readonly string[], source: string, version: 1 | 2 = 1): Request => {
  return { version, argv, source: Buffer.from(source) };
};

const honest = preprocessed(['gcc', '-O2', '-Wall', '-c', 'x.c', '-o', 'x.o'], answerSource);

/** Some seconds of work for any compiler. */
const slow = `int f(int x) { return x${' ? x * x : x'.repeat(200_000)}; }\n`;

/** Its object is more than the kernel keeps for a client that does not read. */
const bulky = preprocessed(['gcc', '-c', 'x.c'], 'char many[] = { [64 << 20] = 1 };\n');

async function servesHonestJobs({ port }: Serving): Promise<void> {
  assert.equal(answered(await ask(port, honest)).waitStatus, 0);
}

test('protocols 1 and 2 give the object of the local compiler, by every name that leads to it', () =>
  withUsual(async ({ port, home }) => {
    const expected = locally(home, answerSource);
    const machine = execFileSync('gcc', ['-dumpmachine'], { encoding: 'utf8' }).trim();
    const rewritten = existsSync(`/usr/bin/${machine}-gcc`) ? [`${machine}-gcc`] : [];
    for (const version of [1, 2] as const) {
      for (const name of ['gcc', '/usr/bin/gcc', ...rewritten]) {
        const argv = [name, '-O2', '-Wall', '-c', 'sub/x.c', '-o', 'sub/x.o'];
        const response = answered(await ask(port, preprocessed(argv, answerSource, version)));
        assert.deepEqual([response.waitStatus, response.stderr.toString()], [0, ''], name);
        assert.deepEqual(response.output, expected, name);
      }
    }
  }));

test('an error of the user’s source is told as the compiler tells it, and there is no output', () =>
  withUsual(async ({ port }) => {
    const request = preprocessed(['gcc', '-c', 'dir/x.c'], '# 1 "dir/x.c"\nint f(void) { return g; }\n', 2);
    const { waitStatus, stderr, output } = answered(await ask(port, request));
    assert.equal(waitStatus, 1 << 8);
    assert.match(stderr.toString(), /^dir\/x\.c: In function .*\ndir\/x\.c:1:\d+: error: .*g.* undeclared/);
    assert.equal(output.length, 0);
  }));

test('assembly is an output too', () =>
  withUsual(async ({ port }) => {
    const { waitStatus, output } = answered(await ask(port, preprocessed(['gcc', '-S', 'x.c'], answerSource)));
    assert.equal(waitStatus, 0);
    assert.match(output.toString(), /^answer:/m);
  }));

/** The project below `home` as a client in protocol 3 sends it. */
function sentFrom(home: string, paths: readonly string[]): SentFile[] {
  return paths.map((path) => ({ kind: 'file', path: join(home, path), content: readFileSync(join(home, path)) }));
}

const project: Readonly<Record<string, string>> = {
  'src/x.c': '#include "lib.h"\n#include <stdio.h>\nint main(void) { puts(WHERE); return LIB; }\n',
  'include/lib.h': '#define LIB 7\n#define WHERE __FILE__\n',
};

function writeProject(home: string): void {
  for (const [path, text] of Object.entries(project)) {
    mkdirSync(dirname(join(home, path)), { recursive: true });
    writeFileSync(join(home, path), text);
  }
}

test('protocol 3 compiles the client’s files at the client’s paths: object, dependencies and text are the local ones', () =>
  withUsual(async ({ port, home }) => {
    writeProject(home);
    const words = [
      '-g',
      '-O1',
      '-MD',
      '-MF',
      'deps/x.d',
      '-I',
      join(home, 'include'),
      '-c',
      'src/x.c',
      '-o',
      'out/x.o',
    ];
    for (const name of ['deps', 'out']) mkdirSync(join(home, name));
    execFileSync('gcc', words, { cwd: home, env });
    const local = (path: string): Buffer => readFileSync(join(home, path));
    const cwd = home;
    const files: SentFile[] = [
      ...sentFrom(home, Object.keys(project)),
      // As distcc's include server has it: these are on every box.
      { kind: 'link', path: '/usr/include', target: '../../../../../../usr/include' },
    ];
    const response = answered(await ask(port, { version: 3, argv: ['gcc', ...words], cwd, files }));
    assert.deepEqual([response.waitStatus, response.stderr.toString()], [0, '']);
    assert.deepEqual(response.output, local('out/x.o'));
    assert.equal(response.dependencies.toString(), local('deps/x.d').toString());
  }));

test('a client that sends its own system headers has those, and no others', () =>
  withUsual(async ({ port, home }) => {
    writeProject(home);
    const stdio: SentFile = {
      kind: 'file',
      path: '/usr/include/stdio.h',
      content: Buffer.from(
        '#if __has_include(<stdlib.h>)\n#error the box’s own header\n#endif\nint puts(const char *);\n',
      ),
    };
    const argv = ['gcc', '-Iinclude', '-c', 'src/x.c'];
    const files = [...sentFrom(home, Object.keys(project)), stdio];
    const response = answered(await ask(port, { version: 3, argv, cwd: home, files }));
    assert.equal(response.stderr.toString(), '');
    assert.match(response.dependencies.toString(), /^x\.o: src\/x\.c include\/lib\.h/);
  }));

test('nothing of this box but headers is in reach of what a client sends', () =>
  withUsual(async ({ port, home }) => {
    const secret = join(home, 'secret');
    writeFileSync(secret, '"the box’s"');
    const read = (path: string, files: readonly SentFile[] = []): FilesRequest => ({
      version: 3,
      argv: ['gcc', '-c', '/p/x.c'],
      cwd: '/p',
      files: [
        { kind: 'file', path: '/p/x.c', content: Buffer.from(`const char *text =\n#include "${path}"\n;\n`) },
        ...files,
      ],
    });
    const link: SentFile = { kind: 'link', path: '/p/link', target: `../../../..${secret}` };
    for (const request of [read('/etc/passwd'), read(secret), read('/p/link', [link]), read('/proc/1/environ')]) {
      const { waitStatus, stderr } = answered(await ask(port, request));
      assert.notEqual(waitStatus, 0);
      assert.match(stderr.toString(), /No such file or directory|Permission denied/);
    }
  }));

test('a compiler that is not here is said to be missing, with distcc’s own status for it', () =>
  withUsual(async ({ port }) => {
    for (const name of ['nocc', '/opt/gcc', '/bin/sh', '../../bin/gcc', 'sh']) {
      const response = answered(await ask(port, preprocessed([name, '-c', 'x.c'], answerSource)));
      assert.equal(response.waitStatus, 110 << 8, name);
      assert.match(response.stderr.toString(), /no compiler .* on this box, which has .*gcc/);
    }
  }));

const unanswered: Readonly<Record<string, Request>> = {
  'a link': preprocessed(['gcc', 'x.c', '-o', 'x'], answerSource),
  'a plugin': preprocessed(['gcc', '-c', 'x.c', '-fplugin=./x.so'], answerSource),
  'specs of the client’s': preprocessed(['gcc', '-c', 'x.c', '-specs=/etc/passwd'], answerSource),
  'no object': preprocessed(['gcc', '-fsyntax-only', '-c', 'x.c'], answerSource),
  'a path with ..': {
    version: 3,
    argv: ['gcc', '-c', 'x.c'],
    cwd: '/p',
    files: [{ kind: 'file', path: '/p/../../etc/x.c', content: Buffer.from('') }],
  },
  'a working directory that is none': { version: 3, argv: ['gcc', '-c', 'x.c'], cwd: 'p', files: [] },
  'an output in /dev': { version: 3, argv: ['gcc', '-c', 'x.c', '-o', '/dev/x.o'], cwd: '/p', files: [] },
  'a file below a file': {
    version: 3,
    argv: ['gcc', '-c', 'x.c'],
    cwd: '/p',
    files: ['/p/x.c', '/p/x.c/y'].map((path) => ({ kind: 'file', path, content: Buffer.from('') })),
  },
};

test('what is not done for strangers ends without an answer, with a line in the log, and others are served', () =>
  withUsual(async (serving) => {
    for (const [what, request] of Object.entries(unanswered)) {
      const before = serving.lines.length;
      assert.equal(await ask(serving.port, request), 'closed', what);
      const told = serving.lines.slice(before).filter(({ level }) => level === 'warning');
      assert.equal(told.length, 1, what);
    }
    await servesHonestJobs(serving);
  }));

test('with a sysroot, specs files are this box’s, below it', () =>
  withUsual(async ({ port: without, home }) => {
    const sysroot = join(home, 'sysroot');
    mkdirSync(sysroot);
    writeFileSync(join(sysroot, 'my.specs'), '*cc1:\n+ -DFROM_SPECS=1\n\n');
    writeFileSync(join(home, 'outside.specs'), '');
    const withName = (name: string): Request => preprocessed(['gcc', '-c', 'x.c', `-specs=${name}`], answerSource);
    assert.equal(await ask(without, withName('my.specs')), 'closed');
    await withDistcc({ sysroot }, async ({ port }) => {
      assert.equal(answered(await ask(port, withName('my.specs'))).waitStatus, 0);
      for (const name of ['../outside.specs', 'none.specs']) assert.equal(await ask(port, withName(name)), 'closed');
    });
  }));

test('with a list of commands, a client’s is found by its last words', () =>
  withUsual(async ({ home }) => {
    const path = join(home, 'commands');
    writeFileSync(path, '/usr/bin/gcc\n');
    await withDistcc({ list: { path, words: 1 } }, async ({ port }) => {
      const status = async (name: string): Promise<number> =>
        answered(await ask(port, preprocessed([name, '-c', 'x.c'], answerSource))).waitStatus;
      assert.deepEqual([await status('gcc'), await status('/far/away/gcc'), await status('g++')], [0, 0, 110 << 8]);
      writeFileSync(path, '/usr/bin/g++\n');
      assert.deepEqual([await status('gcc'), await status('g++')], [110 << 8, 0]);
    });
  }));

test('a compile that takes too long is ended, and its client told so', () =>
  withDistcc({ lifetimeMs: 300 }, async (serving) => {
    const { waitStatus, stderr } = answered(await ask(serving.port, preprocessed(['gcc', '-O2', '-c', 'x.c'], slow)));
    assert.equal(waitStatus, 118 << 8);
    assert.match(stderr.toString(), /took longer than/);
    await withUsual(servesHonestJobs);
  }));

test('a client that goes takes its compile with it; the slot is free for the next', () =>
  withDistcc({ slots: 1 }, async (serving) => {
    const bytes = Buffer.concat(encodeRequest(preprocessed(['gcc', '-O2', '-c', 'x.c'], slow)));
    const socket = await begin(serving.port, bytes);
    const gone = (): boolean => serving.lines.some(({ text }) => text.includes('CLI_DISCONN'));
    socket.destroy();
    await servesHonestJobs(serving);
    assert.ok(gone());
  }));

test('one that sends nothing, or little by little, is let go; one that ends early too', () =>
  withDistcc({ idleMs: 200 }, async (serving) => {
    const bytes = Buffer.concat(encodeRequest(honest));
    for (const part of [Buffer.alloc(0), bytes.subarray(0, 5), bytes.subarray(0, bytes.length - 1)]) {
      assert.equal((await exchange(serving.port, part)).length, 0);
    }
    (await begin(serving.port, bytes.subarray(0, 20))).destroy();
    await servesHonestJobs(serving);
  }));

test('when it is to end, what compiles is finished and answered, and what has not come is let go', () =>
  withDistcc({}, async ({ port, server, lines }) => {
    const bytes = Buffer.concat(encodeRequest(honest));
    const arriving = exchange(port, bytes.subarray(0, 30));
    const deaf = await begin(port, Buffer.concat(encodeRequest(bulky)));
    deaf.pause();
    const answer = ask(port, honest);
    const answers = (): number => lines.filter(({ text }) => text.includes('COMPILE_OK')).length;
    await waitUntil('all three are there', 10_000, () => server.connections() >= 2 || answers() > 0);
    assert.equal(answered(await answer).waitStatus, 0);
    await server.drain();
    assert.equal((await arriving).length, 0);
    assert.equal(await ask(port, honest), 'closed');
    deaf.destroy();
  }));

test('random bytes, and requests with changed ones, never end the server', () =>
  withDistcc({ idleMs: 200 }, async (serving) => {
    const whole = Buffer.concat(encodeRequest({ ...honest, version: 2 } as Request));
    const edits = fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 4 });
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ minLength: 12, maxLength: 200 }), edits, async (random, edits) => {
        const changed = Buffer.from(whole);
        for (const [at, value] of edits) changed[at % changed.length] = value;
        await Promise.all([exchange(serving.port, random), exchange(serving.port, changed)]);
      }),
      { numRuns: 40 },
    );
    await servesHonestJobs(serving);
    assert.equal(serving.server.connections(), 0);
  }));

test('fifty clients at once all get their objects', () =>
  withUsual(async ({ port, home }) => {
    const expected = locally(home, answerSource);
    const answers = await Promise.all(Array.from({ length: 50 }, () => ask(port, honest)));
    for (const answer of answers) assert.deepEqual(answered(answer).output, expected);
  }));

test('an address that is not on the list is turned away, with a line in the log', () =>
  withDistcc({ allow: ['10.1.2.3', 'fd00::/8'] }, async ({ port, lines }) => {
    assert.equal(await ask(port, honest), 'closed');
    assert.match(lines.at(-1)?.text ?? '', /^connection from client '127\.0\.0\.1' denied by access list/);
  }));

test('listening beyond this box wants a list of addresses, and says what that means', () => {
  const anywhere = [{ host: '0.0.0.0', port: 3632 }];
  const here = [{ host: '127.0.0.1', port: 3632 }];
  assert.match(exposure({ listen: anywhere, allow: [] }) ?? '', /--allow ADDRESS/);
  assert.equal(exposure({ listen: here, allow: [] }), undefined);
  assert.equal(exposure({ listen: anywhere, allow: ['10.0.0.0/8'] }), undefined);
  assert.match(
    openness({ listen: anywhere, allow: ['10.0.0.0/8'] }) ?? '',
    /do not prove who they are.*10\.0\.0\.0\/8/,
  );
  assert.equal(openness({ listen: here, allow: [] }), undefined);
});

test('the page of counters is what stock distccd’s readers read', () =>
  withDistcc({ stats: [{ host: '127.0.0.1', port: 39_633 }] }, async (serving) => {
    await servesHonestJobs(serving);
    await ask(serving.port, preprocessed(['gcc', '-c', 'x.c'], 'int f(void) { return g; }\n'));
    const page = await (await fetch('http://127.0.0.1:39633/')).text();
    assert.match(page, /^argv \/distccd\n<distccstats>\ndcc_tcp_accept 2\n/);
    assert.match(page, /^dcc_compile_ok 1\ndcc_compile_error 1\n/m);
    assert.match(page, /<\/distccstats>\n$/);
  }));
