// Whatever is written to the daemon's socket: it is refused, said so in the log, and the next who asks is served.
import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { waitUntil } from '../../bench/wait.ts';
import { encodeControlRequest, maxRequestBytes } from '../../src/client/launcher-wire.ts';
import { openRuntimeDir } from '../../src/trust/runtime-dir.ts';

const main = fileURLToPath(new URL('../../../dist/shoal/main.js', import.meta.url));
const base = mkdtempSync(join(tmpdir(), 'shoal-hostile-'));
const { socket: path } = openRuntimeDir();
const log = join(base, 'state', 'shoal', 'daemon.log');
// An idle daemon has some 60 MB, requests on their way in 32 MB, and as much again until the garbage collector comes by:
// some 270 MB on Node 24. Of the 768 MB that are sent below, nothing like that may stay.
const mostResidentMb = 400;
let daemon: ChildProcess;

before(async () => {
  const { PATH } = process.env;
  const env = { PATH, HOME: base, XDG_STATE_HOME: join(base, 'state'), XDG_CACHE_HOME: join(base, 'cache') };
  daemon = spawn(process.execPath, [main, 'daemon'], { stdio: 'ignore', env });
  await waitUntil('the daemon', 10_000, () => existsSync(path));
});

after(async () => {
  const gone = new Promise((resolve) => daemon.once('close', resolve));
  daemon.kill('SIGTERM');
  await gone;
  rmSync(base, { recursive: true, force: true });
});

function record(tag: string, value: Buffer): Buffer {
  const head = Buffer.alloc(5);
  head.write(tag, 0, 'latin1');
  head.writeUInt32LE(value.length, 1);
  return Buffer.concat([head, value]);
}

function jobFrame(body: Buffer, announced = body.length): Buffer {
  const head = Buffer.from('SHL1\0\0\0\0', 'latin1');
  head.writeUInt32LE(announced, 4);
  return Buffer.concat([head, body]);
}

function identity(of: string): Buffer {
  const { dev, ino } = statSync(of, { bigint: true });
  const bytes = Buffer.alloc(16);
  bytes.writeBigUInt64LE(dev, 0);
  bytes.writeBigUInt64LE(ino, 8);
  return bytes;
}

const request = Buffer.concat([
  record('x', Buffer.from('/usr/bin/gcc')),
  ...['gcc', '-c', 'absent.c'].map((word) => record('a', Buffer.from(word))),
  record('e', Buffer.from('PATH=/usr/bin:/bin')),
  record('w', Buffer.from(base)),
  record('u', Buffer.from([18, 0, 0, 0])),
  record('t', Buffer.alloc(5)),
  record('r', identity('/')),
  record('c', identity(base)),
  record('m', identity('/proc/self/ns/mnt')),
  record('p', Buffer.from([1, 0, 0, 0])),
]);

/** What the daemon answers to `bytes`, after which nothing comes; it is let go once it has said something. */
function answerTo(bytes: Buffer, patienceMs = 5000): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const socket = connect(path);
    const chunks: Buffer[] = [];
    const timer = setTimeout(() => socket.destroy(new Error('the daemon neither answers nor hangs up')), patienceMs);
    socket.on('data', (chunk: Buffer) => {
      chunks.push(chunk);
      socket.destroy();
    });
    socket.on('error', (error: NodeJS.ErrnoException) => {
      // It hangs up on what it does not like, perhaps while we still write.
      if (error.code !== 'EPIPE' && error.code !== 'ECONNRESET') reject(error);
    });
    socket.on('close', () => {
      clearTimeout(timer);
      resolve(Buffer.concat(chunks));
    });
    socket.end(bytes);
  });
}

async function isServing(): Promise<boolean> {
  const answer = await answerTo(encodeControlRequest({ op: 'status' }));
  const status: unknown = JSON.parse(answer.subarray(4).toString());
  return (status as { readonly kind?: unknown }).kind === 'status';
}

function residentMb(): number {
  const text = readFileSync(`/proc/${daemon.pid}/status`, 'utf8');
  return Number(/^VmRSS:\s+(\d+) kB/m.exec(text)?.[1]) / 1024;
}

test('bytes that open nothing are refused, and the next request is served', async () => {
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ minLength: 8, maxLength: 300 }), async (bytes) => {
      fc.pre(!/^SH[LC]1/.test(Buffer.from(bytes).toString('latin1')));
      assert.equal((await answerTo(Buffer.from(bytes))).length, 0);
    }),
    { numRuns: 200 },
  );
  assert.ok(await isServing());
});

test('a job of which any bytes are wrong is refused, or run by its launcher', async () => {
  const mutation = fc.record({ at: fc.nat(request.length - 1), byte: fc.integer({ min: 0, max: 255 }) });
  await fc.assert(
    fc.asyncProperty(fc.array(mutation, { minLength: 1, maxLength: 4 }), fc.nat(request.length), async (wrong, cut) => {
      const body = Buffer.from(request);
      for (const { at, byte } of wrong) body.writeUInt8(byte, at);
      for (const bytes of [jobFrame(body), jobFrame(body.subarray(0, cut)), jobFrame(body.subarray(0, cut), 1000)]) {
        const answer = await answerTo(bytes);
        // A request that says less than it announces is waited for; the end of it ends that.
        assert.ok(answer.length === 0 || /^[RW]/.test(answer.toString('latin1')), answer.toString('latin1'));
      }
    }),
    { numRuns: 200 },
  );
  assert.ok(await isServing());
  assert.match(readFileSync(log, 'utf8'), /a launcher's request was refused: /);
});

test('a question that is none gets an error, whatever it is', async () => {
  await fc.assert(
    fc.asyncProperty(fc.jsonValue(), async (value) => {
      const answer = await answerTo(encodeControlRequest(value));
      assert.match(answer.subarray(4).toString(), /^\{"kind":"error",/);
    }),
    { numRuns: 100 },
  );
  assert.ok(await isServing());
});

test('requests of any size at once take bounded memory, and one above the bound is refused at its first bytes', async () => {
  const tooLarge = jobFrame(Buffer.alloc(1 << 20), maxRequestBytes + 1);
  assert.equal((await answerTo(tooLarge)).length, 0);
  for (let round = 0; round < 6; round += 1) {
    const large = Array.from({ length: 8 }, () => answerTo(jobFrame(Buffer.alloc(maxRequestBytes, 0x61)), 20_000));
    for (const answer of await Promise.all(large)) assert.equal(answer.length, 0);
  }
  assert.ok(await isServing());
  assert.ok(residentMb() < mostResidentMb, `${residentMb()} MB`);
});
