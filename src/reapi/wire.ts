// What a channel runs over: a socket, TLS on one, or the standard streams of a program such as ssh. Where it fails before
// a word was exchanged, the error says what to do.
import { spawn } from 'node:child_process';
import { connect as connectSocket, isIP, type Socket } from 'node:net';
import { Duplex, type Readable, type Writable } from 'node:stream';
import { connect as connectTls, type SecureContextOptions, type TLSSocket } from 'node:tls';

export type Target =
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number }
  | { readonly kind: 'unix'; readonly path: string }
  | { readonly kind: 'tls'; readonly host: string; readonly port: number; readonly trust: TlsTrust }
  /** A program that carries bytes to a server and back. */
  | { readonly kind: 'program'; readonly argv: readonly [string, ...string[]] };

export type TlsTrust =
  /** A certificate for the host's name by one of `context.ca`, or of the system's authorities. */
  | { readonly kind: 'host-name'; readonly context: SecureContextOptions }
  /** A certificate of the farm's authority, whose bearer `fault` finds nothing wrong with; host names do not matter. */
  | {
      readonly kind: 'farm';
      /** Who we are there, for messages. */
      readonly name: string;
      readonly context: SecureContextOptions;
      readonly fault: (socket: TLSSocket) => string | undefined;
    };

export type Wire = {
  readonly stream: Duplex;
  readonly scheme: 'http' | 'https';
  readonly authority: string;
  readonly bytes: () => { readonly sent: number; readonly received: number };
  readonly keepAlive: (afterMs: number) => void;
  /** What is wrong with the peer, once that is known; nothing was said to it then. */
  readonly onFault: (tell: (why: string) => void) => void;
  /** What to tell of an end before the peer's first word. */
  readonly explain: (error: NodeJS.ErrnoException | undefined) => string | undefined;
  readonly destroy: () => void;
};

const bracketed = (host: string): string => (host.includes(':') ? `[${host}]` : host);

function wireOf(socket: Socket, rest: Pick<Wire, 'scheme' | 'authority' | 'onFault' | 'explain'>): Wire {
  return {
    stream: socket,
    bytes: () => ({ sent: socket.bytesWritten, received: socket.bytesRead }),
    keepAlive: (afterMs) => socket.setKeepAlive(true, afterMs),
    destroy: () => socket.destroy(),
    ...rest,
  };
}

const never = (): void => undefined;

export function openWire(target: Target): Wire {
  switch (target.kind) {
    case 'tcp': {
      const { host, port } = target;
      const socket = connectSocket({ host, port, noDelay: true });
      return wireOf(socket, { scheme: 'http', authority: bracketed(host), onFault: never, explain: explainPlain });
    }
    case 'unix': {
      const rest = { scheme: 'http', authority: 'localhost', onFault: never, explain: () => undefined } as const;
      return wireOf(connectSocket(target.path), rest);
    }
    case 'tls':
      return openTls(target);
    case 'program':
      return openProgram(target.argv);
  }
}

const hungUp: ReadonlySet<string | undefined> = new Set([undefined, 'ECONNRESET', 'EPIPE']);

function explainPlain(error: NodeJS.ErrnoException | undefined): string | undefined {
  if (!hungUp.has(error?.code)) return undefined;
  return (
    'it hung up on a connection without TLS: if it belongs to a farm, get a code there with `shoal pair`, ' +
    'and give it to `shoal join` here'
  );
}

const foreign: ReadonlySet<string | undefined> = new Set([
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
]);
const speaksNoTls: ReadonlySet<string | undefined> = new Set([
  'ERR_SSL_WRONG_VERSION_NUMBER',
  'ERR_SSL_PACKET_LENGTH_TOO_LONG',
  'ERR_SSL_HTTP_REQUEST',
]);

type TlsTarget = Extract<Target, { readonly kind: 'tls' }>;

function explainHostName({ host, port }: TlsTarget, error: NodeJS.ErrnoException | undefined): string | undefined {
  if (!speaksNoTls.has(error?.code)) return undefined;
  const plain = `${bracketed(host)}:${port}`;
  return `it does not speak TLS, which grpcs:// asks for: write ${plain} for a worker of shoal's, or grpc://${plain}`;
}

function explainFarm(
  { host, port, trust }: TlsTarget,
  error: NodeJS.ErrnoException | undefined,
  isShaken: boolean,
): string | undefined {
  const name = trust.kind === 'farm' ? trust.name : '';
  const code = error?.code;
  if (speaksNoTls.has(code) || (!isShaken && error === undefined)) {
    return (
      'it does not speak TLS, so it has no identity: join it to the farm (`shoal pair --role worker` on an admin, ' +
      `\`shoal join\` there), or write grpc://${bracketed(host)}:${port} if everybody may read and change what goes there`
    );
  }
  if (foreign.has(code)) return 'its certificate is of another farm than ours: join one of the two to the other';
  if (code === 'CERT_HAS_EXPIRED') return 'its certificate has expired: it has to join the farm again';
  if (code === 'CERT_NOT_YET_VALID') return 'its certificate is not valid yet: one of the two clocks is wrong';
  if (code === 'INVALID_PURPOSE')
    return "its certificate is a client's: a worker joins with `shoal pair --role worker`";
  if (code === 'ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION' || code === 'ERR_SSL_UNSUPPORTED_PROTOCOL') {
    return 'it does not speak TLS 1.3';
  }
  if (!isShaken || !hungUp.has(code)) return undefined;
  return (
    `it hung up when it had seen our certificate (${name}): another farm's, expired, or revoked; ` +
    '`shoal members` on an admin of its farm tells'
  );
}

function openTls(target: TlsTarget): Wire {
  const { host, port, trust } = target;
  const isFarm = trust.kind === 'farm';
  const socket = connectTls({
    ...trust.context,
    host,
    port,
    ALPNProtocols: ['h2'],
    ...(isFarm
      ? { minVersion: 'TLSv1.3' as const, checkServerIdentity: () => undefined }
      : { minVersion: 'TLSv1.2' as const, ...(isIP(host) > 0 ? {} : { servername: host }) }),
  });
  socket.setNoDelay(true);
  let isShaken = false;
  let tellFault: (why: string) => void = never;
  // Before HTTP/2 hears that the connection is there.
  socket.once('secureConnect', () => {
    isShaken = true;
    const why = isFarm ? trust.fault(socket) : undefined;
    if (why !== undefined) tellFault(why);
  });
  return wireOf(socket, {
    scheme: 'https',
    authority: bracketed(host),
    onFault: (tell) => (tellFault = tell),
    explain: (error) => (isFarm ? explainFarm(target, error, isShaken) : explainHostName(target, error)),
  });
}

// What a program said last before it ended: ssh has its reasons on stderr.
const mostSaidBytes = 500;

/** A program's standard streams as one. It ends with the program, so that what that said last is known by then. */
function standardStreams({ stdin, stdout }: { readonly stdin: Writable; readonly stdout: Readable }): Duplex {
  // That it reads no more is its end, or about to be.
  stdin.on('error', () => undefined);
  const stream = new Duplex({
    read: () => void stdout.resume(),
    write: (chunk: Buffer, _encoding, done) => void stdin.write(chunk, () => done()),
    final: (done) => void stdin.end(() => done()),
    destroy: (error, done) => {
      stdin.destroy();
      stdout.destroy();
      done(error);
    },
  });
  stdout.on('data', (chunk: Buffer) => {
    if (!stream.push(chunk)) stdout.pause();
  });
  return stream;
}

function openProgram([command, ...args]: readonly [string, ...string[]]): Wire {
  const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'pipe'] });
  let said = '';
  let failure: string | undefined;
  child.once('error', (error) => (failure = `${command} cannot be started: ${error.message}`));
  const { stdin, stdout, stderr } = child as Partial<typeof child>;
  if (stdin === undefined || stdout === undefined || stderr === undefined)
    throw new Error(`${command} cannot be started: this process may open no more files`);
  stderr.setEncoding('utf8').on('data', (text: string) => (said = `${said}${text}`.slice(-mostSaidBytes)));
  const stream = standardStreams({ stdin, stdout });
  child.once('exit', (code, signal) => (failure ??= `${command} ended with ${signal ?? `status ${code}`}`));
  child.once('close', () => stream.destroy());
  return {
    stream,
    scheme: 'http',
    authority: 'localhost',
    bytes: () => ({ sent: (stdin as Socket).bytesWritten, received: (stdout as Socket).bytesRead }),
    keepAlive: never,
    onFault: never,
    explain: () => {
      const last = said.trim().split('\n').slice(-3).join('; ');
      return last === '' ? failure : `${failure ?? command}: ${last}`;
    },
    destroy: () => {
      stream.destroy();
      child.kill('SIGTERM');
    },
  };
}
