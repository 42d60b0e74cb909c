// What distcc's client and server say to each other before the first packet where a host is marked `,auth`: a byte `*`
// each way, then tokens of the GSS-API in packets TLEN until both know each other, then from the server `y`, or `n` for
// who is known and not admitted. Seen on the wire between stock programs.
import type { Duplex } from 'node:stream';
import { GssError, mostTokenBytes } from '../trust/gssapi-wire.ts';
import type { GssExchange, GssStep } from '../trust/gssapi.ts';
import { readExactly } from '../trust/read-exactly.ts';
import { DistccError } from './errors.ts';

const handshake = '*';
const admitted = 'y';
const refused = 'n';
// Kerberos needs one of each side; with another round trip for a clock that is wrong it is two.
const mostRounds = 8;
const headBytes = 12;
// A KDC that does not answer is asked again by the library for some 10 s.
const patienceMs = 20_000;

function tokenPacket(token: Buffer): Buffer {
  return Buffer.concat([Buffer.from(`TLEN${token.length.toString(16).padStart(8, '0')}`, 'latin1'), token]);
}

async function readToken(stream: Duplex): Promise<Buffer> {
  const head = (await readExactly(stream, headBytes)).toString('latin1');
  if (!/^TLEN[0-9a-f]{8}$/.test(head)) {
    throw new DistccError('PROTOCOL', `TLEN was to come, not ${JSON.stringify(head)}`);
  }
  const size = parseInt(head.slice(4), 16);
  if (size > mostTokenBytes) throw new DistccError('TOO_LARGE', `TLEN of ${size}; the most is ${mostTokenBytes}`);
  return readExactly(stream, size);
}

export type OpenExchange = () => Promise<GssExchange>;

/** With a bound on its time, and the stream's end, the helper's and a malformed token in one type of error. */
async function bounded<T>(stream: Duplex, open: OpenExchange, work: (opened: OpenExchange) => Promise<T>): Promise<T> {
  let isLate = false;
  let exchange: GssExchange | undefined;
  const timer = setTimeout(() => {
    isLate = true;
    exchange?.close();
    stream.destroy();
  }, patienceMs);
  stream.on('error', () => undefined);
  const once = async (): Promise<GssExchange> => {
    exchange ??= await open();
    if (isLate) exchange.close();
    return exchange;
  };
  try {
    return await work(once);
  } catch (error) {
    if (isLate) throw new DistccError('TIMEOUT', `no authentication within ${patienceMs / 1000} s`);
    if (error instanceof DistccError) throw error;
    const why = `GSS-API: ${(error as Error).message}`;
    throw new DistccError(error instanceof GssError ? 'REFUSED' : 'TRUNCATED', why, { cause: error });
  } finally {
    clearTimeout(timer);
    exchange?.close();
  }
}

/**
 * The server's side. The exchange is opened when there is a token for it: who says nothing has no process. Gives the client's principal; whoever `admits` does not is told so.
 * @throws DistccError
 */
export function authenticateClient(
  stream: Duplex,
  openExchange: OpenExchange,
  admits: (principal: string, own: string) => boolean,
): Promise<string> {
  return bounded(stream, openExchange, async (open) => {
    const first = (await readExactly(stream, 1)).toString('latin1');
    if (first !== handshake) {
      throw new DistccError('REFUSED', 'the client does not prove who it is: in its list this host needs ,auth');
    }
    stream.write(handshake);
    for (let round = 0; round < mostRounds; round += 1) {
      const token = await readToken(stream);
      const step = await (await open()).step({ kind: 'token', token });
      if (step.token.length > 0 || step.kind === 'token') stream.write(tokenPacket(step.token));
      if (step.kind !== 'done') continue;
      const isAdmitted = admits(step.peer, step.own);
      stream.write(isAdmitted ? admitted : refused);
      if (isAdmitted) return step.peer;
      throw new DistccError(
        'REFUSED',
        `${JSON.stringify(step.peer)} may not compile here: it is not admitted by the list`,
      );
    }
    throw new DistccError('PROTOCOL', 'authentication does not end');
  });
}

/**
 * The client's side: proves who this user is to the service, and has that prove itself.
 * @throws DistccError
 */
export function authenticateServer(stream: Duplex, openExchange: OpenExchange, service: string): Promise<void> {
  return bounded(stream, openExchange, async (open) => {
    const exchange = await open();
    // Before anything is sent: without a ticket there is nothing to say.
    let step: GssStep = await exchange.step({ kind: 'name', name: service });
    stream.write(handshake);
    if ((await readExactly(stream, 1)).toString('latin1') !== handshake) {
      throw new DistccError('PROTOCOL', 'the server does not answer as one with --auth does');
    }
    for (let round = 0; round < mostRounds; round += 1) {
      if (step.token.length > 0 || step.kind === 'token') stream.write(tokenPacket(step.token));
      if (step.kind === 'done') break;
      step = await exchange.step({ kind: 'token', token: await readToken(stream) });
    }
    if (step.kind !== 'done') throw new DistccError('PROTOCOL', 'authentication does not end');
    const verdict = (await readExactly(stream, 1)).toString('latin1');
    if (verdict === admitted) return;
    throw new DistccError(
      'REFUSED',
      'the server knows who this is, and does not admit it: see its --whitelist or --blacklist',
    );
  });
}
