// `distccd --inetd`: one client, at standard input and output, which a super-server or ssh brought. To start a worker for
// one compile would cost more than the compile: the connection is handed to the distccd of this user, and if there is none,
// one is started that ends when it has had no work for a minute.
import { spawn } from 'node:child_process';
import { createConnection, Socket } from 'node:net';
import { join } from 'node:path';
import { accessList, loopbackNetworks } from '../trust/access-list.ts';
import { openRuntimeDir, type RuntimeDir } from '../trust/runtime-dir.ts';

/** The first word of the distccd that is started so. */
export const serveInetdFlag = '--serve-inetd';

// A first start copies the toolchains' files.
const startPatienceMs = 60_000;
const retryMs = 50;

export function localSocketPath({ path }: Pick<RuntimeDir, 'path'>): string {
  return join(path, 'distccd.sock');
}

export type InetdOptions = {
  readonly allow: readonly string[];
  readonly mainScript: string;
  readonly args: readonly string[];
};

/** Sets process.exitCode. */
export async function serveInetd({ allow, mainScript, args }: InetdOptions): Promise<void> {
  const address = peerAddress();
  if (address !== undefined && !accessList(allow.length > 0 ? allow : loopbackNetworks).allows(address)) {
    process.stderr.write(`distccd: connection from client '${address}' denied by access list: --allow lets it in\n`);
    process.exitCode = 1;
    return;
  }
  const path = localSocketPath(openRuntimeDir());
  const socket = (await connected(path)) ?? (await startAndConnect(path, mainScript, args));
  if (socket === undefined) {
    process.stderr.write(
      'distccd: no server could be started: run distccd --daemon --no-detach --log-stderr to see why\n',
    );
    process.exitCode = 1;
    return;
  }
  await relay(socket);
}

/** Of a client that a super-server accepted; undefined for a pipe. */
function peerAddress(): string | undefined {
  return process.stdin instanceof Socket ? (process.stdin as Socket).remoteAddress : undefined;
}

function connected(path: string): Promise<Socket | undefined> {
  return new Promise((resolve) => {
    const socket = createConnection(path);
    socket.once('connect', () => resolve(socket));
    socket.once('error', () => resolve(undefined));
  });
}

async function startAndConnect(path: string, mainScript: string, args: readonly string[]): Promise<Socket | undefined> {
  const rest = args.filter((word) => word !== '--inetd');
  const argv = [mainScript, 'distccd', serveInetdFlag, '--no-detach', ...rest];
  const child = spawn(process.execPath, argv, { detached: true, stdio: 'ignore', cwd: '/' });
  child.unref();
  let isOver = false;
  child.on('error', () => (isOver = true));
  // Of several that start at once one gets the state directory; the others end, and connect to that one.
  child.on('close', () => (isOver = true));
  const end = performance.now() + startPatienceMs;
  for (let afterEnd = 0; performance.now() < end && afterEnd < startPatienceMs / retryMs / 4;) {
    const socket = await connected(path);
    if (socket !== undefined) return socket;
    if (isOver) afterEnd += 1;
    await new Promise((resolve) => setTimeout(resolve, retryMs));
  }
  return undefined;
}

function relay(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    process.stdout.on('error', () => socket.destroy());
    process.stdin.on('error', () => socket.destroy());
    socket.on('error', () => undefined);
    process.stdin.pipe(socket);
    socket.pipe(process.stdout, { end: false });
    socket.on('close', () => {
      process.stdin.destroy();
      resolve();
    });
  });
}
