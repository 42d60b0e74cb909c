// The way to a server of distcc's protocol. Each job has a connection of its own; between jobs there is nothing but what is
// known of the host.
import { spawn, type ChildProcessWithoutNullStreams } from 'node:child_process';
import { connect } from 'node:net';
import { Duplex } from 'node:stream';
import { connectFailure } from '../connect-failure.ts';
import type { DistccHost } from '../distcc/host-list.ts';
import { DistccError } from '../distcc/errors.ts';
import type { PacketCache } from '../distcc/sent-files.ts';
import { distccSshCommand } from './ssh.ts';

type Environment = Readonly<Record<string, string | undefined>>;

/** A connection for one job, ready for its first packet. @throws DistccError */
export type OpenDistcc = (host: DistccHost, signal: AbortSignal) => Promise<Duplex>;

/** The way to such hosts, and what is sent on it again and again. */
export type DistccWay = { readonly open: OpenDistcc; readonly packets: PacketCache };

/**
 * What is said before the first packet at hosts marked `auth`: resolves once both know each other.
 * @throws DistccError if the other side is not who it should be.
 */
export type Authenticate = (
  stream: Duplex,
  peer: { readonly host: string; readonly principal: string | undefined },
) => Promise<void>;

const connectTimeoutMs = 5000;

/** @throws DistccError: a host that never needs more than milliseconds, and is found out by this if it is off. */
function openTcp({ host, port }: { readonly host: string; readonly port: number }, signal: AbortSignal) {
  return new Promise<Duplex>((resolve, reject) => {
    const socket = connect({ host, port, noDelay: true });
    const settle = (why?: string): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', aborted);
      socket.off('error', failed).off('connect', settle);
      // From here on it is whoever uses it that hears of errors; a destroyed socket may still have one.
      if (why === undefined) return resolve(socket);
      socket.on('error', () => undefined).destroy();
      reject(new DistccError('UNREACHABLE', why));
    };
    const timer = setTimeout(() => settle(`no connection within ${connectTimeoutMs / 1000} s`), connectTimeoutMs);
    const failed = (error: Error): void => settle(connectFailure(error));
    const aborted = (): void => settle('nobody waits for it any more');
    signal.addEventListener('abort', aborted, { once: true });
    socket.once('error', failed).once('connect', () => settle());
    if (signal.aborted) aborted();
  });
}

/** @throws DistccError where it cannot be started. */
function openProgram([file, ...args]: readonly [string, ...string[]], env: Environment): Promise<Duplex> {
  return new Promise((resolve, reject) => {
    // Without a descriptor for them it has no streams, and says so later.
    const child = spawn(file, args, { stdio: ['pipe', 'pipe', 'pipe'], env: { ...env } });
    child.on('error', (error) => reject(new DistccError('UNREACHABLE', `${file}: ${error.message}`)));
    child.once('spawn', () => resolve(streamsOf(child, file)));
  });
}

// distccd's own: it did not do what it was asked to (src/distcc/exit-codes.ts).
const isOfDistcc = (status: number | null): boolean => status !== null && status >= 100 && status <= 120;

/** A program's standard streams, as one. What it says on stderr is kept for the error that its end would be. */
function streamsOf(child: ChildProcessWithoutNullStreams, file: string): Duplex {
  let said = '';
  child.stderr.on('data', (piece: Buffer) => (said = (said + piece.toString('utf8')).slice(-500)));
  const stream = new Duplex({
    read: () => child.stdout.resume(),
    // That it reads no more says less than its end.
    write: (bytes: Buffer, _encoding, done) => void child.stdin.write(bytes, () => done()),
    final: (done) => void child.stdin.end(() => done()),
    destroy: (error, done) => {
      child.kill();
      done(error);
    },
  });
  child.stdin.on('error', () => undefined);
  child.stdout.on('data', (piece: Buffer) => {
    if (!stream.push(piece)) child.stdout.pause();
  });
  // Which of the two is seen first is chance.
  const exited = new Promise<readonly [number | null, NodeJS.Signals | null]>((resolve) =>
    child.once('exit', (...end) => resolve(end)),
  );
  child.stdout.once('end', () => {
    void exited.then(([status, signal]) => {
      if (status === 0 || isOfDistcc(status)) return stream.push(null);
      const why = said.trim() === '' ? (signal ?? `status ${status}`) : said.trim();
      return stream.destroy(new DistccError('UNREACHABLE', `${file}: ${why}`));
    });
  });
  return stream;
}

/** `packets`: shared by ways that differ in the environment alone. */
export function distccWay(env: Environment, authenticate: Authenticate, packets: PacketCache): DistccWay {
  return { open: openWith(env, authenticate), packets };
}

function openWith(env: Environment, authenticate: Authenticate): OpenDistcc {
  return async (host, signal) => {
    const { transport, auth } = host;
    const stream = await (transport.kind === 'tcp'
      ? openTcp(transport, signal)
      : openProgram(distccSshCommand(transport, env), env));
    if (auth === undefined) return stream;
    try {
      await authenticate(stream, { host: transport.host, principal: auth.principal });
      return stream;
    } catch (error) {
      stream.on('error', () => undefined).destroy();
      throw error;
    }
  };
}
