// The files that an answer brings: complete or not at all, whatever happens to the launcher, with or without the file
// system's help. Every case runs twice: with nameless files (O_TMPFILE), and as where there are none.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import type { Socket } from 'node:net';
import { join } from 'node:path';
import { after, afterEach, test } from 'node:test';
import { ended, ending, frame, opening, setStage, type Stage } from './stage.ts';

const stages: Readonly<Record<string, Stage>> = {
  'with nameless files': setStage(),
  'without nameless files': setStage(['-DSHOAL_NO_TMPFILE']),
};

const whole = Buffer.alloc(400_000, 'new');

function answer(path: string, content: Buffer, more: { inPlace?: boolean; mode?: number } = {}): Buffer {
  return Buffer.concat([opening(path, content.length, more), frame('D', content), ending(0)]);
}

/** A library that lets nobody write many bytes at once. */
function fullDisk({ base }: Stage): string {
  const library = join(base, 'full.so');
  const code = `#include <errno.h>
#include <sys/syscall.h>
#include <unistd.h>
ssize_t write(int fd, const void *bytes, size_t size)
{
  if (size < 4096)
    return syscall(SYS_write, fd, bytes, size);
  errno = ENOSPC;
  return -1;
}`;
  execFileSync('gcc', ['-shared', '-fPIC', '-D_GNU_SOURCE', '-x', 'c', '-', '-o', library], { input: code });
  return library;
}

for (const [how, stage] of Object.entries(stages)) {
  const target = join(stage.work, 'x.o');
  const compile = [stage.gcc, '-c', 'x.c', '-o', 'x.o'] as const;
  afterEach(() => {
    stage.clear();
    rmSync(stage.work, { recursive: true });
    mkdirSync(stage.work);
  });
  after(stage.remove);

  test(`${how}: an output may come in any number of pieces, and one with no bytes in none`, async () => {
    const empty = join(stage.work, 'empty.d');
    await stage.daemon((_request, socket) => {
      const pieces = [1, 70_000, 200_000, 400_000].map((end, at, ends) =>
        frame('D', whole.subarray(ends[at - 1] ?? 0, end)),
      );
      socket.end(
        Buffer.concat([frame('H'), opening(target, whole.length), ...pieces, frame('H'), opening(empty, 0), ending(0)]),
      );
    });
    assert.equal((await stage.launch(compile)).status, 0);
    assert.ok(readFileSync(target).equals(whole));
    assert.equal(statSync(empty).size, 0);
    assert.deepEqual(readdirSync(stage.work).toSorted(), ['empty.d', 'x.o']);
  });

  test(`${how}: the mode follows from the permission bits and the umask, of new files only`, async () => {
    const kept = join(stage.work, 'kept.d');
    for (const mask of ['077', '002', '022']) {
      for (const mode of [0o666, 0o777]) {
        await stage.daemon((request, socket) => {
          assert.equal(request.umask, Number.parseInt(mask, 8));
          const first = Buffer.concat([opening(target, 3, { mode }), frame('D', 'new')]);
          socket.end(Buffer.concat([first, answer(kept, Buffer.from('dep'), { inPlace: true })]));
        });
        writeFileSync(target, 'old', { mode: 0o640 });
        writeFileSync(kept, 'older and longer', { mode: 0o640 });
        chmodSync(kept, 0o640);
        const { ino } = statSync(kept);
        await stage.launch(['/bin/sh', '-c', `umask ${mask}; exec "$@"`, 'sh', ...compile]);
        assert.equal(statSync(target).mode & 0o777, mode & ~Number.parseInt(mask, 8));
        assert.equal(readFileSync(target, 'utf8'), 'new');
        assert.equal(statSync(kept).mode & 0o777, 0o640);
        assert.equal(statSync(kept).ino, ino);
        assert.equal(readFileSync(kept, 'utf8'), 'dep');
        stage.clear();
      }
    }
  });

  test(`${how}: a link at the target is replaced, as the assembler does, or written through`, async () => {
    const elsewhere = join(stage.work, 'elsewhere');
    for (const inPlace of [false, true]) {
      writeFileSync(elsewhere, 'old');
      rmSync(target, { force: true });
      symlinkSync('elsewhere', target);
      await stage.daemon((_request, socket) => socket.end(answer(target, Buffer.from('new'), { inPlace })));
      await stage.launch(compile);
      assert.equal(lstatSync(target).isSymbolicLink(), inPlace);
      assert.equal(readFileSync(target, 'utf8'), 'new');
      assert.equal(readFileSync(elsewhere, 'utf8'), inPlace ? 'new' : 'old');
      stage.clear();
    }
  });

  test(`${how}: what is no file is never replaced: the real compiler runs`, async () => {
    execFileSync('mkfifo', [target]);
    await stage.daemon((_request, socket) => socket.end(answer(target, whole)));
    assert.equal((await stage.launch(compile)).status, 3);
    assert.equal(stage.runs(), 1);
    assert.ok(lstatSync(target).isFIFO());
    assert.deepEqual(readdirSync(stage.work), ['x.o']);
  });

  test(`${how}: an output that cannot be written leaves the reason to the real compiler, and none of its bytes`, async () => {
    writeFileSync(target, 'old');
    await stage.daemon((_request, socket) => {
      const first = Buffer.concat([opening(target, whole.length), frame('D', whole)]);
      socket.end(Buffer.concat([first, frame('2', 'a warning'), answer(join(stage.work, 'none/x.d'), whole)]));
    });
    const ran = await stage.launch(compile);
    assert.equal(ran.status, 3);
    assert.doesNotMatch(ran.stderr, /a warning/);
    assert.equal(stage.runs(), 1);
    assert.deepEqual(readdirSync(stage.work), ['x.o']);
  });

  const incomplete: Readonly<Record<string, readonly Buffer[]>> = {
    'fewer bytes than announced': [opening(target, 10), frame('D', 'short'), ending(0)],
    'more bytes than announced': [opening(target, 2), frame('D', 'long'), ending(0)],
    'bytes of no output': [frame('D', 'stray'), ending(0)],
    'no status': [opening(target, 3), frame('D', 'new')],
    'a status of no ended process': [opening(target, 3), frame('D', 'new'), ending(0x7f)],
    'a path with a NUL': [opening(`${target}\0y`, 3), frame('D', 'new'), ending(0)],
    'a path that is too long': [opening(`/${'x'.repeat(5000)}`, 3), frame('D', 'new'), ending(0)],
    'a frame larger than any': [opening(target, 3), frame('O', Buffer.alloc(100_000, '/')), ending(0)],
  };
  for (const [what, frames] of Object.entries(incomplete)) {
    test(`${how}: after an answer with ${what} nothing has changed, and the real compiler runs once`, async () => {
      writeFileSync(target, 'old');
      await stage.daemon((_request, socket) => socket.end(Buffer.concat(frames)));
      assert.equal((await stage.launch(compile)).status, 3);
      assert.equal(stage.runs(), 1);
      assert.equal(readFileSync(target, 'utf8'), 'old');
      assert.deepEqual(readdirSync(stage.work), ['x.o']);
    });
  }

  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGKILL'] as const) {
    test(`${how}: ${signal} in the middle of an output ends the launcher by it, and nothing is left`, async () => {
      writeFileSync(target, 'old');
      let gone: Promise<unknown> | undefined;
      let child: ReturnType<Stage['start']> | undefined;
      await stage.daemon((_request, socket) => {
        gone = new Promise((resolve) => socket.once('close', resolve));
        // Once half of it has left for the launcher it has been opened there; the rest never comes.
        socket.write(Buffer.concat([opening(target, whole.length), frame('D', whole.subarray(0, 300_000))]), () =>
          child?.kill(signal),
        );
      });
      child = stage.start(compile);
      assert.equal((await ended(child)).signal, signal);
      await gone;
      assert.equal(readFileSync(target, 'utf8'), 'old');
      assert.deepEqual(readdirSync(stage.work), ['x.o']);
      assert.equal(stage.runs(), 0);
    });
  }

  test(`${how}: a disk that gets full leaves the reason to the real compiler, and the daemon hears that it began`, async () => {
    writeFileSync(target, 'old');
    const said: string[] = [];
    await stage.daemon((_request, socket) => {
      socket.on('data', (bytes: Buffer) => said.push(bytes.toString()));
      socket.end(answer(target, whole));
    });
    // As strict as it can be: it is not for want of a daemon that it runs here.
    const ran = await stage.launch(compile, { LD_PRELOAD: fullDisk(stage), SHOAL_STRICT: '1' });
    assert.deepEqual([ran.status, stage.runs(), said], [3, 1, ['S']], ran.stderr);
    assert.equal(readFileSync(target, 'utf8'), 'old');
    assert.deepEqual(readdirSync(stage.work), ['x.o']);
  });

  test(`${how}: compiles of one target at the same time leave one of their results, whole`, async () => {
    const count = 12;
    const waiting: Socket[] = [];
    stage.addCompiler(`printf local >${target}`, stage.compilers, 'fallback');
    await stage.daemon((_request, socket) => {
      waiting.push(socket);
      if (waiting.length < count) return;
      waiting.forEach((one, at) => one.end(answer(target, Buffer.alloc(100_000, String.fromCharCode(97 + at)))));
    });
    const command = [join(stage.bin, 'shoal'), 'fallback', '-c', 'x.c'] as const;
    const runs = await Promise.all(Array.from({ length: count }, () => stage.launch(command)));
    assert.deepEqual([...new Set(runs.map(({ status }) => status))], [0]);
    const text = readFileSync(target, 'latin1');
    assert.ok(text === 'local' || (text.length === 100_000 && text === text.charAt(0).repeat(100_000)));
    assert.deepEqual(readdirSync(stage.work), ['x.o']);
  });

  test(`${how}: what a killed launcher could have left is swept by the next compile of the target`, async () => {
    const leftover = `${target}.shoal~`;
    writeFileSync(leftover, 'half');
    await stage.daemon((_request, socket) => socket.end(answer(target, whole)));
    await stage.launch(compile);
    // Where files have no names while they are written, this one cannot be the launcher's.
    assert.equal(existsSync(leftover), how === 'with nameless files');
  });
}
