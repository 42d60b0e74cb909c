// The page of counters over HTTP, whatever is asked for, to who may connect.
import { createServer } from 'node:http';

export type StatsServer = { readonly port: number; readonly close: () => void };

export type StatsListener = { readonly host: string; readonly port: number } | { readonly fd: number };

export type StatsServerOptions = {
  readonly at: StatsListener;
  readonly allows: (address: string) => boolean;
  readonly page: () => string;
};

// Somebody's browser, a monitor or two.
const maxConnections = 16;
const patienceMs = 10_000;

export function serveStats({ at, allows, page }: StatsServerOptions): Promise<StatsServer> {
  const server = createServer({ requestTimeout: patienceMs, headersTimeout: patienceMs }, (_, response) => {
    response.writeHead(200, { 'content-type': 'text/plain; charset=utf-8', connection: 'close' });
    response.end(page());
  });
  server.maxConnections = maxConnections;
  server.on('connection', (socket) => {
    if (!allows(socket.remoteAddress ?? '')) socket.destroy();
  });
  const close = (): void => {
    server.close();
    server.closeAllConnections();
  };
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(at, () => {
      const address = server.address();
      resolve({ port: typeof address === 'object' && address !== null ? address.port : 0, close });
    });
  });
}
