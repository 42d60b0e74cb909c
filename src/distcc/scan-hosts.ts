// Which of some hosts serve distcc's clients, as lsdistcc finds out: by name, by connecting, and by a compile where one is
// asked for. The network and time are arguments.
import { connect, isIPv4, type Socket } from 'node:net';
import { packet, textPacket, bodyPacket, type Version } from './packet.ts';

export type Scan = {
  readonly port: number;
  /** Before a connect is given up; 0: names alone. */
  readonly connectMs: number;
  /** Before a compile is given up; 0: none. */
  readonly compileMs: number;
  readonly protocol: Version;
  readonly compiler: string | undefined;
  /** All addresses have these bits in common. */
  readonly sameBits: number;
};

export type ScannedHost = {
  readonly name: string;
  readonly address: string;
  readonly isUp: boolean;
  readonly latencyMs: number;
};

export type Looking = {
  readonly lookUp: (name: string) => Promise<string | undefined>;
  readonly log: (line: string) => void;
};

const source = 'int shoal_lsdistcc;\n';
const sourceName = '/tmp/lsdistcc.c';

function compileRequest(compiler: string, protocol: Version): Buffer {
  const argv = [compiler, '-c', sourceName, '-o', 'lsdistcc.o'];
  const command = [packet('ARGC', argv.length), ...argv.map((word) => textPacket('ARGV', word))];
  const bytes = Buffer.from(source);
  if (protocol !== 3)
    return Buffer.concat([packet('DIST', protocol), ...command, ...bodyPacket('DOTI', bytes, protocol)]);
  const file = [packet('NFIL', 1), textPacket('NAME', sourceName), ...bodyPacket('FILE', bytes, protocol)];
  return Buffer.concat([packet('DIST', protocol), textPacket('CDIR', '/tmp'), ...command, ...file]);
}

// `DONE` and `STAT`, twelve characters each.
const verdictBytes = 24;

/** Whether the server's answer begins as that of a compile that succeeded. */
function isSuccess(answer: Buffer, protocol: Version): boolean {
  return answer.toString('latin1', 0, verdictBytes) === `DONE0000000${protocol}STAT00000000`;
}

function connected(address: string, { port, connectMs }: Scan): Promise<Socket | undefined> {
  return new Promise((resolve) => {
    const socket = connect(port, address);
    const end = (result: Socket | undefined): void => {
      clearTimeout(timer);
      if (result === undefined) socket.destroy();
      resolve(result);
    };
    const timer = setTimeout(() => end(undefined), connectMs);
    socket.once('connect', () => end(socket));
    socket.on('error', () => end(undefined));
  });
}

function compiles(socket: Socket, { compiler, compileMs, protocol }: Scan): Promise<boolean> {
  if (compiler === undefined || compileMs === 0) return Promise.resolve(true);
  return new Promise((resolve) => {
    let answer = Buffer.alloc(0);
    const timer = setTimeout(() => resolve(false), compileMs);
    socket.on('close', () => {
      clearTimeout(timer);
      resolve(false);
    });
    socket.on('data', (piece) => {
      answer = Buffer.concat([answer, piece]);
      if (answer.length < verdictBytes) return;
      clearTimeout(timer);
      resolve(isSuccess(answer, protocol));
    });
    socket.write(compileRequest(compiler, protocol));
  });
}

/** Undefined where there is no such name. */
export async function scanHost(name: string, scan: Scan, { lookUp, log }: Looking): Promise<ScannedHost | undefined> {
  log(`Looking up ${name}`);
  const address = await lookUp(name);
  if (address === undefined) {
    log(`${name} not found`);
    return undefined;
  }
  if (scan.connectMs === 0) return { name, address, isUp: true, latencyMs: 0 };
  log(`Connecting to ${name}`);
  const startedMs = performance.now();
  const latency = (): number => Math.round(performance.now() - startedMs);
  const socket = await connected(address, scan);
  if (socket === undefined) {
    log(`Connecting to ${name} failed`);
    return { name, address, isUp: false, latencyMs: latency() };
  }
  const isUp = await compiles(socket, scan);
  if (!isUp) log(`${name} did not compile`);
  socket.destroy();
  return { name, address, isUp, latencyMs: latency() };
}

const bitsOf = (address: string): number => address.split('.').reduce((bits, part) => bits * 256 + Number(part), 0);

/** Whether the first bits of two addresses are the same; of IPv6 nothing is asked. */
export function haveSameBits(a: string, b: string, bits: number): boolean {
  if (bits === 0 || !isIPv4(a) || !isIPv4(b)) return true;
  const rest = 2 ** (32 - bits);
  return Math.floor(bitsOf(a) / rest) === Math.floor(bitsOf(b) / rest);
}

/** Names without an end, or some: so many are looked up before it is known that one does not exist. */
export type Names = {
  readonly nameOf: (index: number) => string | undefined;
  readonly ahead: number;
  readonly gap: number;
};

/** In the order of their names; ends after `gap` and one more that do not exist, where the names have no end. */
export async function* scanHosts(names: Names, scan: Scan, looking: Looking): AsyncGenerator<ScannedHost> {
  const running: Promise<ScannedHost | undefined>[] = [];
  let [next, missing] = [0, 0];
  let first: string | undefined;
  const begin = (): void => {
    while (running.length <= names.ahead && missing <= names.gap) {
      const name = names.nameOf(next);
      if (name === undefined) return;
      next += 1;
      running.push(scanHost(name, scan, looking));
    }
  };
  for (begin(); running.length > 0; begin()) {
    const host = await running.shift();
    if (host === undefined) {
      missing += 1;
      continue;
    }
    first ??= host.address;
    if (haveSameBits(first, host.address, scan.sameBits)) yield host;
  }
}
