// The way to a server of distcc's protocol. Each job has a connection of its own; between jobs there is nothing but what is
// known of the host.
import { spawn } from 'node:child_process';
import { connect } from 'node:net';
import { Duplex } from 'node:stream';
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
    const failed = (error: Error): void => settle(error.message);
    const aborted = (): void => settle('nobody waits for it any more');
    signal.addEventListener('abort', aborted, { once: true });
    socket.once('error', failed).once('connect', () => settle());
    if (signal.aborted) aborted();
  });
}

/** A program's standard streams; what it says on stderr is kept for the error that its end would be. */
function openProgram([file, ...args]: readonly [string, ...string[]], env: Environment): Duplex {
  const child = spawn(file, args, { stdio: ['pipe', 'pipe', 'pipe'], env: { ...env } });
  let said = '';
  child.stderr.on('data', (piece: Buffer) => (said = (said + piece.toString('utf8')).slice(-500)));
  const stream = new Duplex({
    read: () => child.stdout.resume(),
    write: (bytes: Buffer, _encoding, done) => void child.stdin.write(bytes, done),
    final: (done) => void child.stdin.end(done),
    destroy: (error, done) => {
      child.kill();
      done(error);
    },
  });
  const failed = (why: string): void => void stream.destroy(new DistccError('UNREACHABLE', `${file}: ${why}`));
  child.stdin.on('error', () => undefined);
  child.stdout.on('data', (piece: Buffer) => {
    if (!stream.push(piece)) child.stdout.pause();
  });
  child.stdout.on('end', () => stream.push(null));
  child.on('error', (error) => failed(error.message));
  child.on('exit', (status) => {
    if (status !== 0 && status !== null) failed(said.trim() === '' ? `status ${status}` : said.trim());
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
    const stream =
      transport.kind === 'tcp' ? await openTcp(transport, signal) : openProgram(distccSshCommand(transport, env), env);
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
