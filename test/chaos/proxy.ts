// The proxy as a process: proxy.js LISTEN-ADDRESS PORT WORKER-PORT CONTROL-SOCKET. It relays to the worker on its own host,
// and does what the last line on the control socket said. A new fault ends the connections that there are.
import { connect, createServer, type Socket } from 'node:net';
import { createInterface } from 'node:readline';
import { zstdReady } from '../../src/reapi/zstd.ts';
import { lyingServer } from './answer-faults.ts';
import { relayOverLine, relayWithFault } from './byte-faults.ts';
import type { Fault, Struck } from './fault.ts';

const [host = '', port = '', workerPort = '', control = ''] = process.argv.slice(2);
const worker = { host, port: Number(workerPort) };
let fault: Fault = { kind: 'none' };
let struck = 0;
const sockets = new Set<Socket>();

function strike(): boolean {
  const most = 'times' in fault ? fault.times : 0;
  if (struck >= most) return false;
  struck += 1;
  return true;
}

function track(socket: Socket): Socket {
  sockets.add(socket);
  socket.on('error', () => undefined);
  socket.on('close', () => sockets.delete(socket));
  return socket;
}

function accept(client: Socket): void {
  track(client).setNoDelay(true);
  if (fault.kind === 'answers') {
    lyingServer(worker, { action: fault.action, strike }).emit('connection', client);
    return;
  }
  const upstream = track(connect({ ...worker, noDelay: true }));
  const pair = { client, worker: upstream };
  upstream.on('close', () => client.destroy());
  client.on('close', () => upstream.destroy());
  if (fault.kind === 'bytes') relayWithFault(pair, fault, strike);
  else if (fault.kind === 'line') relayOverLine(pair, fault);
  else client.pipe(upstream).pipe(client);
}

await zstdReady();
createServer({ allowHalfOpen: true }, accept).listen(Number(port), host);
createServer((socket) => {
  socket.on('error', () => undefined);
  createInterface({ input: socket }).on('line', (line) => {
    const answer: Struck = { struck };
    fault = JSON.parse(line) as Fault;
    struck = 0;
    for (const one of sockets) one.destroy();
    socket.write(`${JSON.stringify(answer)}\n`);
  });
}).listen(control, () => process.stdout.write('ready\n'));
