// Sockets that the keeper opens and the front accepts from: the keeper may bind what the front may not, a port below 1024
// or a path in the user's own directory. It never takes a connection itself.
import { renameSync, rmSync } from 'node:fs';
import { lookup } from 'node:dns/promises';
import { createServer, isIP, type AddressInfo, type Server } from 'node:net';
import type { ListenAddress } from '../claims.ts';

export type HeldListeners = {
  /** Descriptors of this process, of each address, then of the Unix socket. */
  readonly fds: readonly (readonly number[])[];
  /** With the ports that were found free. */
  readonly addresses: readonly ListenAddress[];
  /** To be called when the front has them. */
  readonly letGo: () => void;
};

type Where = { readonly host: string; readonly port: number } | { readonly path: string };

const backlog = 1024;

function listenAt(where: Where): Promise<Server> {
  return new Promise((resolve, reject) => {
    // Whoever connects before the front is there tries again.
    const server = createServer({ pauseOnConnect: true }, (socket) => socket.destroy());
    server.once('error', reject);
    server.listen({ ...where, backlog }, () => resolve(server));
  });
}

const portOf = (server: Server | undefined): number => (server?.address() as AddressInfo | null)?.port ?? 0;

/** A name may stand for several addresses; all have one port. */
async function listenOn(host: string, port: number): Promise<Server[]> {
  const addresses = isIP(host) > 0 ? [host] : (await lookup(host, { all: true })).map(({ address }) => address);
  const servers: Server[] = [];
  for (const address of new Set(addresses)) {
    try {
      servers.push(await listenAt({ host: address, port: servers.length === 0 ? port : portOf(servers[0]) }));
    } catch (error) {
      // A box without IPv6 has the name of its loopback all the same.
      if (servers.length === 0) throw error;
    }
  }
  return servers;
}

async function listenNear({ host, port, orAnyPort }: ListenAddress): Promise<Server[]> {
  try {
    return await listenOn(host, port);
  } catch (error) {
    if (orAnyPort !== true) throw error;
    return listenOn(host, 0);
  }
}

/** Closing a server removes the path that it was bound to, so that is another by then. */
async function listenLocally(path: string): Promise<Server> {
  const temporary = `${path}.${process.pid}`;
  rmSync(temporary, { force: true });
  const server = await listenAt({ path: temporary });
  renameSync(temporary, path);
  return server;
}

/** Node has no word for it; a cluster's primary does the same. */
function descriptorOf(server: Server): number {
  const { _handle: handle } = server as unknown as { readonly _handle: { readonly fd: number } };
  return handle.fd;
}

export type ListenPlaces = {
  readonly listen: readonly ListenAddress[];
  readonly unixSocket?: string | undefined;
};

/** @throws if one cannot be bound; then none is. */
export async function holdListeners({ listen, unixSocket }: ListenPlaces): Promise<HeldListeners> {
  const servers: (readonly Server[])[] = [];
  const letGo = (): void => {
    for (const server of servers.flat()) server.close();
  };
  try {
    for (const address of listen) servers.push(await listenNear(address));
    const addresses = listen.map(({ host }, at) => ({ host, port: portOf(servers[at]?.[0]) }));
    if (unixSocket !== undefined) servers.push([await listenLocally(unixSocket)]);
    return { fds: servers.map((each) => each.map(descriptorOf)), addresses, letGo };
  } catch (error) {
    letGo();
    throw error;
  }
}
