// A TCP relay that knows HTTP/2's frames well enough to strike at one byte of one call's message.
import type { Socket } from 'node:net';
import type { Fault, Spot } from './fault.ts';

const prefaceBytes = 24;
const headBytes = 9;
const dataFrame = 0;

/** Where in the chunk the wanted byte is, once it comes by. Pure but for what it remembers of the frames so far. */
export function newByteWatch({ direction, call, byte }: Spot): (chunk: Buffer) => number | undefined {
  const streamId = 2 * call - 1;
  const head = Buffer.alloc(headBytes);
  let headHeld = 0;
  let skip = direction === 'up' ? prefaceBytes : 0;
  let distance: number | undefined;
  let isOver = false;

  /** Reads a frame's head; notes how far behind it the wanted byte is. */
  const readHead = (): void => {
    const length = head.readUIntBE(0, 3);
    skip = length;
    headHeld = 0;
    const isWanted = head[3] === dataFrame && head.readUInt32BE(5) === streamId && length > 0;
    if (isWanted) distance = byte === 'first' ? 0 : byte === 'last' ? length - 1 : length >> 1;
  };
  return (chunk) => {
    for (let at = 0; at < chunk.length && !isOver;) {
      const here = Math.min(skip, chunk.length - at);
      if (distance !== undefined && distance < here) {
        isOver = true;
        return at + distance;
      }
      if (distance !== undefined) distance -= here;
      at += here;
      skip -= here;
      if (skip > 0) break;
      const taken = chunk.copy(head, headHeld, at, at + headBytes - headHeld);
      headHeld += taken;
      at += taken;
      if (headHeld === headBytes) readHead();
    }
    return undefined;
  };
}

type Pair = { readonly client: Socket; readonly worker: Socket };

const trickleBytes = 10;
const trickleMs = 100;

function drip(to: Socket): (bytes: Buffer) => void {
  let held: Buffer = Buffer.alloc(0);
  const timer = setInterval(() => {
    if (held.length === 0) return;
    to.write(held.subarray(0, trickleBytes));
    held = held.subarray(trickleBytes);
  }, trickleMs);
  to.on('close', () => clearInterval(timer));
  return (bytes) => {
    held = Buffer.concat([held, bytes]);
  };
}

/** Relays, and strikes as the fault says; `strike` counts, and says whether it still may. */
export function relayWithFault(
  { client, worker }: Pair,
  { at, action }: Extract<Fault, { readonly kind: 'bytes' }>,
  strike: () => boolean,
): void {
  let isSwallowing = false;
  const find = newByteWatch(at);
  const [from, to] = at.direction === 'up' ? [client, worker] : [worker, client];
  let onward = (bytes: Buffer): void => void to.write(bytes);
  to.on('data', (chunk: Buffer) => (isSwallowing ? undefined : from.write(chunk)));
  from.on('data', (chunk: Buffer) => {
    if (isSwallowing) return;
    const spot = find(chunk);
    if (spot === undefined || !strike()) {
      onward(chunk);
      return;
    }
    const rest = chunk.subarray(spot);
    onward(chunk.subarray(0, spot));
    switch (action) {
      case 'close':
        client.end();
        worker.end();
        return;
      case 'reset':
        client.resetAndDestroy();
        worker.resetAndDestroy();
        return;
      case 'swallow':
        isSwallowing = true;
        return;
      case 'repeat':
        onward(Buffer.concat([rest, rest]));
        return;
      case 'alter':
        onward(Buffer.concat([Buffer.from([(rest[0] ?? 0) ^ 0x55]), rest.subarray(1)]));
        return;
      case 'trickle':
        onward = drip(to);
        onward(rest);
    }
  });
}

/** A line with a delay and a rate, both ways; what waits for it is not read from the sender. */
export function relayOverLine(
  { client, worker }: Pair,
  { delayMs, bytesPerSecond }: Extract<Fault, { readonly kind: 'line' }>,
): void {
  for (const [from, to] of [
    [client, worker],
    [worker, client],
  ] as const) {
    let freeAtMs = 0;
    const underWay: { readonly chunk: Buffer; readonly dueMs: number }[] = [];
    const arrive = (): void => {
      const nowMs = performance.now();
      while (underWay[0] !== undefined && underWay[0].dueMs <= nowMs) to.write(underWay.shift()?.chunk ?? '');
      if (underWay[0] !== undefined) setTimeout(arrive, underWay[0].dueMs - nowMs);
    };
    from.on('data', (chunk: Buffer) => {
      const nowMs = performance.now();
      freeAtMs = Math.max(nowMs, freeAtMs) + (chunk.length / bytesPerSecond) * 1000;
      underWay.push({ chunk, dueMs: freeAtMs + delayMs });
      if (underWay.length === 1) setTimeout(arrive, freeAtMs + delayMs - nowMs);
      from.pause();
      setTimeout(() => from.resume(), freeAtMs - nowMs);
    });
  }
}
