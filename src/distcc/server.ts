// The server of distcc's protocol: sockets, who may connect, and how many at once. What compiles is an argument.
import { createServer, type Server, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { newBudget } from './budget.ts';
import { newConnection, usualLimits, type Connection, type ConnectionLimits } from './connection.ts';
import { DistccError } from './errors.ts';
import type { Request } from './request.ts';
import type { Response } from './response.ts';

export type Listening =
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number }
  /** A socket that listens already. */
  | { readonly kind: 'inherited'; readonly at: 'network' | 'unix'; readonly fd: number };

export type ServerEvent =
  | { readonly kind: 'accepted'; readonly client: string }
  | { readonly kind: 'authenticated'; readonly client: string; readonly principal: string }
  /** Its address is not allowed, or it has too many connections. */
  | { readonly kind: 'turned-away'; readonly client: string; readonly why: 'address' | 'connections' }
  | {
      readonly kind: 'answered';
      readonly client: string;
      readonly request: Request;
      readonly response: Response;
      readonly ms: number;
    }
  | {
      readonly kind: 'unanswered';
      readonly client: string;
      readonly request: Request | undefined;
      readonly error: DistccError;
      readonly ms: number;
    };

export type CompileFor = (
  request: Request,
  from: { readonly client: string; readonly principal: string | undefined; readonly signal: AbortSignal },
) => Promise<Response>;

export type ServerOptions = {
  readonly listeners: readonly Listening[];
  readonly allows: (address: string) => boolean;
  /** Of clients over a network: their principal. @throws DistccError for who is not admitted. */
  readonly authenticate?: ((stream: Duplex) => Promise<string>) | undefined;
  readonly compile: CompileFor;
  readonly on: (event: ServerEvent) => void;
  readonly limits?: ConnectionLimits;
};

export type DistccServer = {
  /** The port of each of `listeners` that is bound here, in order. */
  readonly ports: readonly number[];
  /** A connection that was made elsewhere. Resolves when it is over. */
  readonly serve: (stream: Duplex, client: string) => Promise<void>;
  readonly connections: () => number;
  /** Takes no more connections, ends those whose request is not whole, and resolves when the others are over. */
  readonly drain: () => Promise<void>;
  readonly stop: () => Promise<void>;
};

// A descriptor and some kilobytes each; of one client, what `make -j200` opens.
const most = { connections: 1000, ofOneClient: 250 } as const;
// Of requests together; the largest may take it to 128 MB more.
const budgetBytes = 512 << 20;

function port(server: Server): number {
  const address = server.address();
  return typeof address === 'object' && address !== null ? address.port : 0;
}

function listen(server: Server, where: Listening): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    // Where IPv6 has another owner of the port, or none, IPv4 alone is meant by 0.0.0.0.
    server.listen(where.kind === 'tcp' ? { host: where.host, port: where.port } : { fd: where.fd }, () => resolve());
  });
}

/** @throws the error of the first listener that cannot be opened; then none is. */
export async function serveDistcc(options: ServerOptions): Promise<DistccServer> {
  const { allows, on } = options;
  const budget = newBudget(budgetBytes);
  const live = new Map<Connection, { readonly client: string; readonly over: Promise<void> }>();
  const servers: Server[] = [];

  const serveAs = (stream: Duplex, client: string, authenticate: ServerOptions['authenticate']): Promise<void> => {
    const connection = newConnection(stream, budget, options.limits ?? usualLimits);
    const over = tell({ connection, stream, client, authenticate }, options).finally(() => live.delete(connection));
    live.set(connection, { client, over });
    return over;
  };

  const accept = (socket: Socket, unix: boolean): void => {
    // IPv4 over a socket of IPv6 is IPv4.
    const address = (socket.remoteAddress ?? '').replace(/^::ffff:(?=\d+\.)/i, '');
    const client = unix ? 'local' : `address ${address}`;
    const turnAway = (why: 'address' | 'connections'): void => {
      on({ kind: 'turned-away', client, why });
      socket.destroy();
    };
    if (!unix && !allows(address)) return turnAway('address');
    const ofThis = [...live.values()].filter((each) => each.client === client).length;
    if (ofThis >= most.ofOneClient || live.size >= most.connections) return turnAway('connections');
    on({ kind: 'accepted', client });
    socket.setNoDelay(true);
    serveAs(socket, client, unix ? undefined : options.authenticate).catch(() => undefined);
  };

  const close = (): void => {
    for (const server of servers) server.close();
  };

  for (const where of options.listeners) {
    // The client's end of sending is not the end of the connection.
    const server = createServer({ allowHalfOpen: true }, (socket) =>
      accept(socket, where.kind !== 'tcp' && where.at === 'unix'),
    );
    try {
      await listen(server, where);
    } catch (error) {
      close();
      throw error;
    }
    // Out of descriptors: the next connection may have one.
    server.on('error', () => undefined);
    servers.push(server);
  }

  const ended = async (each: (connection: Connection) => void): Promise<void> => {
    close();
    for (const connection of live.keys()) each(connection);
    await Promise.all([...live.values()].map(({ over }) => over));
  };

  return {
    ports: servers.filter((_, at) => options.listeners[at]?.kind === 'tcp').map(port),
    serve: (stream, client) => serveAs(stream, client, undefined),
    connections: () => live.size,
    drain: () => ended((connection) => connection.hurry()),
    stop: () => ended((connection) => connection.end()),
  };
}

type Accepted = {
  readonly connection: Connection;
  readonly stream: Duplex;
  readonly client: string;
  readonly authenticate: ServerOptions['authenticate'];
};
type Telling = Pick<ServerOptions, 'compile' | 'on'>;

/** Serves it and says how it ended. Never rejects. */
async function tell({ connection, stream, client, authenticate }: Accepted, { compile, on }: Telling): Promise<void> {
  const began = performance.now();
  let request: Request | undefined;
  const ms = (): number => Math.round(performance.now() - began);
  try {
    const principal = await authenticate?.(stream);
    if (principal !== undefined) {
      on({ kind: 'authenticated', client, principal });
      stream.resume();
    }
    const response = await connection.serve((whole, signal) => {
      request = whole;
      return compile(whole, { client, principal, signal });
    });
    if (request !== undefined) on({ kind: 'answered', client, request, response, ms: ms() });
  } catch (error) {
    connection.end();
    const why =
      error instanceof DistccError ? error : new DistccError('FAILED', (error as Error).message, { cause: error });
    on({ kind: 'unanswered', client, request, error: why, ms: ms() });
  }
}
