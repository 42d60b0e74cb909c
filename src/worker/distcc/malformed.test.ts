// What no client of distcc's sends: each is refused with a line in the log, the next honest job is served, and hundreds of
// the worst leave the server no larger.
import assert from 'node:assert/strict';
import { createConnection } from 'node:net';
import test, { after, before } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { waitUntil } from '../../../bench/wait.ts';
import { ask } from '../../../test/distcc/client.ts';
import { startDistcc } from '../../../test/distcc/serving.ts';
import { compressLzo } from '../../distcc/lzo-compress.ts';
import { encodeRequest, type Request } from '../../distcc/request.ts';

let serving: Awaited<ReturnType<typeof startDistcc>>;
before(async () => {
  serving = await startDistcc({ idleMs: 2000 });
});
after(() => serving.stop());

const honest: Request = {
  version: 1,
  argv: ['gcc', '-c', 'x.c', '-o', 'x.o'],
  source: Buffer.from('# 1 "x.c"\nint answer(void) { return 42; }\n'),
};

const packet = (token: string, number: number, body: string | Buffer = ''): Buffer =>
  Buffer.concat([Buffer.from(`${token}${number.toString(16).padStart(8, '0')}`), Buffer.from(body)]);
const text = (token: string, body: string | Buffer): Buffer => packet(token, body.length, body);
const words = (...argv: readonly string[]): Buffer =>
  Buffer.concat([packet('ARGC', argv.length), ...argv.map((word) => text('ARGV', word))]);
const usual = words('gcc', '-c', 'x.c', '-o', 'x.o');
const source = text('DOTI', 'int x;\n');
const lzo = (token: string, content: Buffer): Buffer => text(token, compressLzo(content));
/** 16 MB in 64 KB, again and again. */
const bomb = compressLzo(Buffer.alloc(16 << 20));
const pumped = (...files: readonly Buffer[]): Buffer =>
  Buffer.concat([packet('DIST', 3), text('CDIR', '/p'), usual, packet('NFIL', files.length / 2), ...files]);

const whole = Buffer.concat(encodeRequest(honest));

const malformed: Readonly<Record<string, Buffer>> = {
  'a version that there is not': packet('DIST', 9),
  'a token that there is not': packet('WHAT', 1),
  'digits that are none': Buffer.from('DIST0000000g'),
  'words before the version': Buffer.concat([usual, packet('DIST', 1), source]),
  'the source before the words': Buffer.concat([packet('DIST', 1), source, usual]),
  'no words': Buffer.concat([packet('DIST', 1), packet('ARGC', 0), source]),
  'four billion words': Buffer.concat([packet('DIST', 1), packet('ARGC', 0xffffffff)]),
  'a word of 4 GB': Buffer.concat([packet('DIST', 1), packet('ARGC', 3), packet('ARGV', 0xffffffff)]),
  'a source of 4 GB': Buffer.concat([packet('DIST', 1), usual, packet('DOTI', 0xffffffff)]),
  'four billion files': Buffer.concat([packet('DIST', 3), text('CDIR', '/p'), usual, packet('NFIL', 0xffffffff)]),
  'a word with a NUL': Buffer.concat([packet('DIST', 1), words('gcc', '-c', 'x.c', '-DA\0B'), source]),
  'garbage for LZO': Buffer.concat([packet('DIST', 2), usual, text('DOTI', Buffer.alloc(4096, 0xa5))]),
  'a bomb of LZO': Buffer.concat(
    [packet('DIST', 3), text('CDIR', '/p'), usual, packet('NFIL', 20)].concat(
      Array.from({ length: 20 }, (_, at) => [text('NAME', `/p/${at}.h`), text('FILE', bomb)]).flat(),
    ),
  ),
  'a name that is not absolute': pumped(text('NAME', 'x.c'), lzo('FILE', Buffer.from('int x;\n'))),
  'a name with ..': pumped(text('NAME', '/p/../../etc/x.c'), lzo('FILE', Buffer.from('int x;\n'))),
  'a name with a NUL': pumped(text('NAME', '/p/x\0.c'), lzo('FILE', Buffer.from('int x;\n'))),
  'a file in the place of a name': pumped(lzo('FILE', Buffer.from('int x;\n')), text('NAME', '/p/x.c')),
};

/** All that the server says to these bytes, behind which nothing comes. */
function said(bytes: Uint8Array): Promise<Buffer> {
  return new Promise((resolve) => {
    const pieces: Buffer[] = [];
    const socket = createConnection({ port: serving.port, host: '127.0.0.1', allowHalfOpen: true });
    socket.on('data', (piece) => pieces.push(piece));
    socket.on('error', () => undefined);
    socket.on('close', () => resolve(Buffer.concat(pieces)));
    socket.end(bytes);
  });
}

const warnings = (): number => serving.lines.filter(({ level }) => level === 'warning' || level === 'error').length;

async function isServed(): Promise<void> {
  const answer = await ask(serving.port, honest);
  assert.ok(answer !== 'closed' && answer.waitStatus === 0);
}

for (const [what, bytes] of Object.entries(malformed)) {
  test(`${what} is refused with a line in the log, and the next job is served`, async () => {
    const before = warnings();
    assert.equal((await said(bytes)).length, 0);
    assert.equal(warnings(), before + 1, JSON.stringify(serving.lines.slice(-3)));
    await isServed();
  });
}

test('a request that is cut short at any byte is refused', async () => {
  const cuts = Array.from({ length: whole.length - 1 }, (_, at) => at + 1);
  for (let from = 0; from < cuts.length; from += 20) {
    const answers = await Promise.all(cuts.slice(from, from + 20).map((cut) => said(whole.subarray(0, cut))));
    assert.ok(answers.every((answer) => answer.length === 0));
  }
  await isServed();
});

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

// A worker that has done its first jobs holds 36.
const mostHeldMb = 60;

/** What is held, without garbage. */
function heldMb(): number {
  collect();
  const { heapUsed, external } = process.memoryUsage();
  return (heapUsed + external) >> 20;
}

test('hundreds of the worst leave the server no larger', async () => {
  const { 'a bomb of LZO': bombs, ...others } = malformed;
  const rounds = async (count: number): Promise<void> => {
    for (let round = 0; round < count; round += 1) await Promise.all(Object.values(others).map(said));
    await said(bombs ?? assert.fail());
  };
  await rounds(5);
  // What a bomb became may be held for a moment longer than its connection.
  await waitUntil('the garbage of the first hundred', 10_000, () => heldMb() < mostHeldMb);
  await rounds(20);
  await waitUntil('the garbage of three hundred more', 10_000, () => heldMb() < mostHeldMb);
  await isServed();
});
