// What the launcher's tests have in common: a launcher compiled for a runtime directory of the test's own, in front of
// compilers that note each run, and a daemon that the test plays.
import { execFileSync, spawn, type ChildProcess, type StdioOptions } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import {
  completedFrames,
  decodeRequest,
  preambleBytes,
  type Completed,
  type LauncherRequest,
} from '../../src/client/launcher-wire.ts';

export type Ran = {
  readonly status: number | null;
  readonly signal: string | null;
  readonly stdout: string;
  readonly stderr: string;
};

export type Stage = ReturnType<typeof setStage>;

const sources = fileURLToPath(new URL('../../../launcher', import.meta.url));

function compileLauncher(output: string, runtime: string, macros: readonly string[]): void {
  const files = readdirSync(sources).filter((name) => name.endsWith('.c') && !/^(init|gss)/.test(name));
  const paths = files.map((name) => join(sources, name));
  const options = ['-O1', '-std=gnu11', '-Wall', '-Wextra', '-Werror', `-DSHOAL_RUNTIME_DIR="${runtime}"`, ...macros];
  execFileSync('gcc', [...options, '-o', output, ...paths]);
}

/** A frame of the daemon's answer. */
export function frame(tag: string, content: Buffer | string = ''): Buffer {
  const bytes = Buffer.from(content);
  const head = Buffer.alloc(5);
  head.write(tag, 0, 'latin1');
  head.writeUInt32LE(bytes.length, 1);
  return Buffer.concat([head, bytes]);
}

/** The frame that opens an output of `size` bytes at `path`. */
export function opening(path: string, size: number, { inPlace = false, mode = 0o666 } = {}): Buffer {
  const head = Buffer.alloc(13);
  head.writeUInt8(inPlace ? 1 : 0, 0);
  head.writeUInt32LE(mode, 1);
  head.writeBigUInt64LE(BigInt(size), 5);
  return frame('O', Buffer.concat([head, Buffer.from(path)]));
}

/** A whole answer in one piece. */
export function encodeCompleted(done: Completed): Buffer {
  return Buffer.concat(completedFrames(done));
}

export function ending(waitStatus: number): Buffer {
  const status = Buffer.alloc(4);
  status.writeUInt32LE(waitStatus);
  return frame('X', status);
}

/** All that a process prints, and how it ended, once its pipes have been closed by everybody. */
export function ended(child: ChildProcess): Promise<Ran> {
  const out: Buffer[] = [];
  const err: Buffer[] = [];
  child.stdout?.on('data', (chunk: Buffer) => out.push(chunk));
  child.stderr?.on('data', (chunk: Buffer) => err.push(chunk));
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (status, signal) => {
      resolve({ status, signal, stdout: Buffer.concat(out).toString(), stderr: Buffer.concat(err).toString() });
    });
  });
}

export function setStage(macros: readonly string[] = []) {
  const base = mkdtempSync(join(tmpdir(), 'shoal-launcher-'));
  const place = (name: string): string => {
    mkdirSync(join(base, name), { mode: 0o700 });
    return join(base, name);
  };
  const [runtime, bin, compilers, work, install] = [
    place('runtime'),
    place('bin'),
    place('compilers'),
    place('work'),
    place('install'),
  ];
  const launcher = join(install, 'shoal');
  const log = join(base, 'compiler.log');
  compileLauncher(launcher, runtime, macros);
  for (const name of ['gcc', 'shoal']) symlinkSync(launcher, join(bin, name));

  const path = `${bin}:${compilers}:/usr/bin:/bin`;
  /** Puts a compiler on PATH that notes each run, then does `body`. */
  const addCompiler = (body: string, directory = compilers, name = 'gcc'): void => {
    mkdirSync(directory, { recursive: true });
    writeFileSync(join(directory, name), `#!/bin/sh\necho run >>${log}\n${body}\n`, { mode: 0o755 });
  };
  addCompiler('echo local "$@"; echo "running $SHOAL_RUNNING" >&2; exit 3');

  let server: Server | undefined;
  /** Plays the daemon: hands each request to `answer`. */
  const daemon = async (answer: (request: LauncherRequest, socket: Socket) => void): Promise<void> => {
    const listening = createServer((socket) => {
      let received = Buffer.alloc(0);
      socket.on('error', () => undefined);
      const receive = (chunk: Buffer): void => {
        received = Buffer.concat([received, chunk]);
        if (received.length < preambleBytes || received.length < preambleBytes + received.readUInt32LE(4)) return;
        const decoded = decodeRequest(received.subarray(preambleBytes));
        if (decoded.kind !== 'request')
          throw new Error(`the launcher sent what the daemon refuses: ${JSON.stringify(decoded)}`);
        socket.off('data', receive);
        answer(decoded.request, socket);
      };
      socket.on('data', receive);
    });
    server = listening;
    await new Promise<void>((resolve) => listening.listen(join(runtime, 'daemon.sock'), () => resolve()));
  };

  const start = (
    command: readonly [string, ...string[]],
    env: Record<string, string> = {},
    stdio: StdioOptions = 'pipe',
  ): ChildProcess => {
    const [file, ...args] = command;
    return spawn(file, args, { cwd: work, env: { PATH: path, ...env }, stdio });
  };

  return {
    base,
    runtime,
    bin,
    compilers,
    work,
    install,
    launcher,
    path,
    gcc: join(bin, 'gcc'),
    addCompiler,
    daemon,
    start,
    launch: (command: readonly [string, ...string[]], env: Record<string, string> = {}): Promise<Ran> =>
      ended(start(command, env)),
    /** How often a compiler of addCompiler() has run. */
    runs: (): number => (existsSync(log) ? readFileSync(log, 'utf8').trim().split('\n').length : 0),
    forgetRuns: (): void => rmSync(log, { force: true }),
    /** Between tests: no daemon, no notes. */
    clear: (): void => {
      server?.close();
      server = undefined;
      rmSync(log, { force: true });
      for (const name of ['daemon.sock', 'start.failed', 'gate']) rmSync(join(runtime, name), { force: true });
    },
    remove: (): void => rmSync(base, { recursive: true }),
  };
}
