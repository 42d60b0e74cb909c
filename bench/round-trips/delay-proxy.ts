// A TCP proxy that hands on every byte so much later than it came, each way, and lets no bandwidth be a limit.
//
//   node delay-proxy.js ADDRESS PORT TARGET-PORT MILLISECONDS
import { connect, createServer, type Socket } from 'node:net';

const [address = '', port = '', targetPort = '', delayText = ''] = process.argv.slice(2);
const delayMs = Number(delayText);
// Timers count whole milliseconds; the rest is waited out, so that the delay is what it says to a tenth of one.
const timerMs = 2;

function handOn(from: Socket, to: Socket): void {
  const waiting: { readonly dueMs: number; readonly bytes: Buffer | undefined }[] = [];
  let timed = false;
  const flush = (): void => {
    timed = false;
    for (let first = waiting[0]; first !== undefined; first = waiting[0]) {
      const leftMs = first.dueMs - performance.now();
      if (leftMs > 0) {
        timed = true;
        if (leftMs > timerMs) setTimeout(flush, leftMs - timerMs);
        else setImmediate(flush);
        return;
      }
      waiting.shift();
      if (first.bytes === undefined) to.end();
      else to.write(first.bytes);
    }
  };
  const add = (bytes: Buffer | undefined): void => {
    waiting.push({ dueMs: performance.now() + delayMs, bytes });
    if (!timed) flush();
  };
  from.setNoDelay(true);
  from.on('data', add);
  from.on('end', () => add(undefined));
  from.on('error', () => to.destroy());
}

const server = createServer({ allowHalfOpen: true }, (near) => {
  const far = connect({ host: address, port: Number(targetPort), allowHalfOpen: true });
  handOn(near, far);
  handOn(far, near);
});
server.listen(Number(port), address, () => process.stdout.write('ready\n'));
process.once('SIGTERM', () => process.exit(0));
