// Where connections come in. Sockets are accepted, and TLS is spoken, here: HTTP/2 and gRPC see only those who may call.
// Whoever is slow, or one too many, goes; what a stranger can cost is a handshake.
import { lookup } from 'node:dns/promises';
import { createServer, isIP, type AddressInfo, type Server, type Socket } from 'node:net';
import {
  createServer as createTlsServer,
  type SecureContextOptions,
  type Server as TlsServer,
  type TLSSocket,
} from 'node:tls';
import { clientOf, type Peer } from '../trust/peer.ts';
import { newCrowd, type Crowd } from './crowd.ts';

export type Listener =
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number }
  | { readonly kind: 'unix'; readonly path: string }
  /** Sockets that listen already, by their descriptors in this process. */
  | { readonly kind: 'inherited'; readonly at: 'network' | 'unix'; readonly fds: readonly number[] };

export type Refused = { readonly address: string; readonly reason: string; readonly name?: string };

export type Admission =
  | { readonly kind: 'peer'; readonly peer: Peer }
  | { readonly kind: 'refused'; readonly reason: string; readonly name?: string };

/** Of a TCP listener that speaks TLS. Another object means another certificate, for the connections that come then. */
export type TlsDoor = {
  readonly context: SecureContextOptions;
  /** Who has just shown a certificate, or none. */
  readonly admit: (socket: TLSSocket) => Admission;
  /** What is spoken beside HTTP/2, by its ALPN name; the socket is then its own. */
  readonly protocols: ReadonlyMap<string, (socket: TLSSocket) => void>;
};

export type DoorKeeper = {
  /** Asked for every connection that comes by a network. */
  readonly tls: () => TlsDoor | 'plain' | 'closed';
  readonly refused: (refused: Refused) => void;
};

export type Doors = {
  /** The port of each TCP listener, in order. */
  readonly ports: readonly number[];
  /** Lets nobody in any more. */
  readonly close: () => void;
};

// A handshake takes two round trips and 2 ms of CPU.
const handshakePatienceMs = 5000;
const mostHandshakes = { most: 512, mostOfOne: 64 };
// A client has one connection a build; behind one address there may be a whole site.
const mostConnections = { most: 2048, mostOfOne: 256 };
const backlog = 1024;

type Entrance = {
  readonly keeper: DoorKeeper;
  readonly enter: (socket: Socket, peer: Peer) => void;
  readonly handshakes: Crowd;
  readonly inside: Crowd;
  readonly sockets: Set<Socket>;
};

/** An IPv4 address as such, an IPv6 one without its zone. */
function addressOf(socket: Socket): string {
  return (socket.remoteAddress ?? 'unknown').replace(/^::ffff:(?=[0-9.]+$)/, '').replace(/%.*$/, '');
}

/** Whoever has one IPv6 address has the 2^64 beside it. */
function siteOf(address: string): string {
  if (isIP(address) !== 6) return address;
  const [head = '', tail] = address.split('::');
  const groups = head.split(':').filter((group) => group !== '');
  const missing = tail === undefined ? 0 : 8 - groups.length - tail.split(':').filter((group) => group !== '').length;
  return [...groups, ...Array.from({ length: missing }, () => '0')].slice(0, 4).join(':');
}

/** Opens every listener. @throws if one cannot be bound; then none is. */
export async function openDoors(
  listeners: readonly Listener[],
  keeper: DoorKeeper,
  enter: Entrance['enter'],
): Promise<Doors> {
  const entrance: Entrance = {
    keeper,
    enter,
    handshakes: newCrowd(mostHandshakes),
    inside: newCrowd(mostConnections),
    sockets: new Set(),
  };
  const secure = secureEntrance(entrance);
  const servers: Server[] = [];
  const ports: number[] = [];
  const close = (): void => {
    for (const server of servers) server.close();
    for (const socket of entrance.sockets) socket.destroy();
  };
  try {
    for (const listener of listeners) {
      if (listener.kind === 'inherited') {
        const isLocal = listener.at === 'unix';
        const accept = (socket: Socket): void =>
          isLocal ? enterLocally(entrance, socket) : enterByNetwork(entrance, socket, secure);
        for (const fd of listener.fds) servers.push(await bound(accept, { fd }));
        if (!isLocal) ports.push((servers.at(-1)?.address() as AddressInfo | null)?.port ?? 0);
      } else if (listener.kind === 'unix')
        servers.push(await bound((socket) => enterLocally(entrance, socket), listener));
      else {
        const opened = await bindAll(listener, (socket) => enterByNetwork(entrance, socket, secure));
        servers.push(...opened);
        ports.push((opened[0]?.address() as AddressInfo | null)?.port ?? 0);
      }
    }
  } catch (error) {
    close();
    throw error;
  }
  return { ports, close };
}

function bound(
  accept: (socket: Socket) => void,
  where: { readonly host: string; readonly port: number } | { readonly path: string } | { readonly fd: number },
): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer({ noDelay: true }, accept);
    server.once('error', reject);
    server.listen({ ...where, backlog }, () => {
      server.off('error', reject);
      // Out of file descriptors, say: who comes next may be luckier.
      server.on('error', () => undefined);
      resolve(server);
    });
  });
}

/** A name may stand for several addresses; all have one port. */
async function bindAll(
  { host, port }: { readonly host: string; readonly port: number },
  accept: (socket: Socket) => void,
): Promise<Server[]> {
  const addresses = isIP(host) > 0 ? [host] : (await lookup(host, { all: true })).map(({ address }) => address);
  const servers: Server[] = [];
  for (const address of new Set(addresses)) {
    const chosen = servers[0] === undefined ? port : (servers[0].address() as AddressInfo).port;
    try {
      servers.push(await bound(accept, { host: address, port: chosen }));
    } catch (error) {
      // A kernel without IPv6: all addresses are those of version 4.
      if (address === '::' && (error as NodeJS.ErrnoException).code === 'EAFNOSUPPORT') {
        return [await bound(accept, { host: '0.0.0.0', port: chosen })];
      }
      // A box without IPv6 has the name of its loopback all the same.
      if (servers.length > 0) continue;
      throw error;
    }
  }
  return servers;
}

function enterLocally(entrance: Entrance, socket: Socket): void {
  follow(entrance, socket);
  entrance.enter(socket, { kind: 'local' });
}

/** Destroyed with the doors as long as it is not inside. */
function follow({ sockets }: Entrance, socket: Socket): void {
  sockets.add(socket);
  socket.on('error', () => undefined);
  socket.once('close', () => sockets.delete(socket));
}

function enterByNetwork(entrance: Entrance, socket: Socket, secure: Secure): void {
  follow(entrance, socket);
  const door = entrance.keeper.tls();
  const address = addressOf(socket);
  if (door === 'plain') {
    admitted(entrance, socket, { kind: 'stranger', address });
    return;
  }
  if (door === 'closed') {
    socket.destroy();
    entrance.keeper.refused({ address, reason: 'closed' });
    return;
  }
  const place = entrance.handshakes.enter(siteOf(address), () => socket.destroy());
  socket.once('close', place.leave);
  secure(socket, door, place.leave);
}

/** Inside, a peer has its share of connections, and its oldest makes room for a new one. */
function admitted({ inside, enter, sockets }: Entrance, socket: Socket, peer: Peer): void {
  const caller = peer.kind === 'stranger' ? siteOf(peer.address) : clientOf(peer);
  const place = inside.enter(caller, () => socket.destroy());
  socket.once('close', place.leave);
  sockets.delete(socket);
  enter(socket, peer);
}

type Secure = (socket: Socket, door: TlsDoor, shaken: () => void) => void;

/** Of two sockets that are open, no two have this alike. */
const endsOf = (socket: Socket): string =>
  `${socket.remoteAddress} ${socket.remotePort} ${socket.localAddress} ${socket.localPort}`;

function secureEntrance(entrance: Entrance): Secure {
  let current: { readonly door: TlsDoor; readonly server: TlsServer } | undefined;
  const shaking = new Map<string, () => void>();
  const shaken = (socket: TLSSocket): void => shaking.get(endsOf(socket))?.();
  return (socket, door, leave) => {
    // A server each: a handshake that began under the old certificate ends under it.
    if (current?.door !== door) current = { door, server: tlsServer(entrance, door, shaken) };
    const ends = endsOf(socket);
    shaking.set(ends, leave);
    socket.once('close', () => shaking.delete(ends));
    current.server.emit('connection', socket);
  };
}

const tlsReasons: Readonly<Record<string, string>> = {
  ERR_SSL_WRONG_VERSION_NUMBER: 'no-tls',
  ERR_SSL_HTTP_REQUEST: 'no-tls',
  ERR_SSL_HTTPS_PROXY_REQUEST: 'no-tls',
  ERR_SSL_UNSUPPORTED_PROTOCOL: 'old-tls',
  ERR_SSL_NO_APPLICATION_PROTOCOL: 'unknown-protocol',
  ERR_TLS_HANDSHAKE_TIMEOUT: 'too-slow',
};

function tlsServer(entrance: Entrance, door: TlsDoor, shaken: (socket: TLSSocket) => void): TlsServer {
  const { refused } = entrance.keeper;
  const server = createTlsServer({
    ...door.context,
    minVersion: 'TLSv1.3',
    requestCert: true,
    // Strangers are told apart by `admit`, which can say why.
    rejectUnauthorized: false,
    ALPNProtocols: ['h2', ...door.protocols.keys()],
    handshakeTimeout: handshakePatienceMs,
  });
  server.on('tlsClientError', (error: NodeJS.ErrnoException, socket) => {
    const address = addressOf(socket);
    socket.destroy();
    // Somebody who looked whether the port is open, or went away.
    if (error.code === 'ECONNRESET') return;
    refused({ address, reason: tlsReasons[error.code ?? ''] ?? 'no-handshake' });
  });
  server.on('secureConnection', (socket) => {
    shaken(socket);
    socket.on('error', () => undefined);
    const other = door.protocols.get(socket.alpnProtocol || 'h2');
    if (other !== undefined) {
      other(socket);
      return;
    }
    const admission = door.admit(socket);
    if (admission.kind === 'peer') {
      admitted(entrance, socket, admission.peer);
      return;
    }
    socket.destroy();
    const { reason, name } = admission;
    refused({ address: addressOf(socket), reason, ...(name === undefined ? {} : { name }) });
  });
  return server;
}
