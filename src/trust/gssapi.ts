// GSS-API by a helper, a process of its own (launcher/gss.c): it opens the library, which need not be there, at run time,
// may wait for a KDC, and alone parses a peer's tokens (docs/decisions/gssapi.md).
import { spawn, type ChildProcess } from 'node:child_process';
import { connect, type Socket } from 'node:net';
import { decodeGssFrame, encodeGssFrame, GssError, gssFrameBytes, gssHeadBytes, type GssFrame } from './gssapi-wire.ts';
import { readExactly } from './read-exactly.ts';

export type GssStep =
  | { readonly kind: 'token'; readonly token: Buffer }
  /** Both know each other. `token` is for the peer, if it is not empty; a client's principal, and its server's own. */
  | Extract<GssFrame, { readonly kind: 'done' }>;

export type GssExchange = {
  /** @throws GssError */
  readonly step: (said: Extract<GssFrame, { readonly kind: 'name' | 'token' }>) => Promise<GssStep>;
  readonly close: () => void;
};

export type GssHelper = {
  /** Resolves when it has ended, with the reason. */
  readonly ended: Promise<string>;
  readonly end: () => void;
};

export type GssHelperOptions = {
  readonly program: string;
  /** Where its socket stands: who may enter that may use it. */
  readonly directory: string;
  readonly as: { readonly kind: 'accept'; readonly principal: string } | { readonly kind: 'initiate' };
  readonly env: Readonly<Record<string, string | undefined>>;
};

const startPatienceMs = 10_000;

/** Relative to the directory: a socket's path is bounded to 107 bytes. */
export const gssSocketName = 'gss';

function firstLine(child: ChildProcess): Promise<string> {
  return new Promise((resolve) => {
    let said = '';
    const settle = (line: string): void => {
      clearTimeout(timer);
      resolve(line);
    };
    const timer = setTimeout(() => settle('error it does not start'), startPatienceMs);
    child.stdout?.on('data', (piece) => {
      said += String(piece);
      if (said.includes('\n')) settle(said.slice(0, said.indexOf('\n')));
    });
    child.on('error', (error) => settle(`error ${error.message}`));
    child.on('close', () => settle(said === '' ? 'error it ended at once' : said));
  });
}

/** @throws GssError that says what is missing */
export async function startGssHelper({ program, directory, as, env }: GssHelperOptions): Promise<GssHelper> {
  const argv = [as.kind, gssSocketName, ...(as.kind === 'accept' ? [as.principal] : [])];
  const child = spawn(program, argv, { cwd: directory, env: { ...env }, stdio: ['ignore', 'pipe', 'inherit'] });
  const ended = new Promise<string>((resolve) => {
    child.on('error', (error) => resolve(error.message));
    child.on('exit', (status, signal) => resolve(signal === null ? `with status ${status}` : `by ${signal}`));
  });
  const line = await firstLine(child);
  if (line !== 'ready') {
    child.kill('SIGKILL');
    throw new GssError(line.replace(/^error /, ''));
  }
  return { ended, end: () => void child.kill('SIGTERM') };
}

function connected(path: string): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect(path);
    socket.once('connect', () => {
      socket.on('error', () => undefined);
      resolve(socket);
    });
    socket.once('error', (error) => reject(new GssError(`the helper cannot be asked: ${error.message}`)));
  });
}

/** @throws GssError */
export async function openGssExchange(socketPath: string): Promise<GssExchange> {
  const socket = await connected(socketPath);
  const step: GssExchange['step'] = async (said) => {
    socket.write(encodeGssFrame(said));
    let frame: GssFrame;
    try {
      const head = await readExactly(socket, gssHeadBytes);
      frame = decodeGssFrame(await readExactly(socket, gssFrameBytes(head)));
    } catch (error) {
      if (error instanceof GssError) throw error;
      throw new GssError('the helper has broken the exchange off', { cause: error });
    }
    if (frame.kind === 'error') throw new GssError(frame.why);
    if (frame.kind === 'name') throw new GssError('a frame that makes no sense');
    return frame;
  };
  return { step, close: () => socket.destroy() };
}
