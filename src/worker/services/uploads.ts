// Uploads under way. A shoal client sends Execute right behind the blobs that it needs, on the same connection, without
// waiting for an answer in between: so who finds a blob missing waits for the uploads of its own that had begun by then,
// before saying so. And uploads share a budget of memory: their bytes are not read from the connection before there is
// room. Whoever holds least of it comes first, and one client never gets the last of it, so that many slow uploads of one
// do not keep another waiting.
import { busyError, GrpcError, grpcCode } from '../../reapi/errors.ts';

export type Uploads = {
  /** Runs an upload of this client's that holds up to `sizeBytes` in memory, when there is room for it. */
  readonly run: <T>(client: string, sizeBytes: number, upload: () => Promise<T>) => Promise<T>;
  /** Undefined if nothing of the client's is under way; else a wait until all that is now has ended, or patience has. */
  readonly begun: (client: string) => (() => Promise<void>) | undefined;
};

const budgetBytes = 32 << 20;
// What the largest single call needs. Of the last share only a client takes that holds nothing.
const lastShareBytes = 8 << 20;
// A client's own bound on uploads at once is its slots, and a few more.
const mostWaitingOfOne = 1000;
const retryMs = 1000;
// An upload may be slow; then the missing blob is named without waiting any longer.
const patienceMs = 10_000;

// A client that is sending sends something within this; one that is not gives its share of the budget back.
const idleMs = 60_000;
// And so much of it, once the time has passed in which nothing need come: a byte a minute is no upload.
const leastBytesPerMs = 4;

export type Pace = { readonly idleMs: number; readonly leastBytesPerMs: number };

const usualPace: Pace = { idleMs, leastBytesPerMs };

/** The requests of one call. @throws GrpcError DEADLINE_EXCEEDED if none comes for a while, or too little all the time. */
export async function* withoutIdling<T>(
  requests: AsyncIterable<T>,
  pace: Pace = usualPace,
  bytesOf: (request: T) => number = () => Infinity,
): AsyncGenerator<T> {
  const iterator = requests[Symbol.asyncIterator]();
  // Only what was waited for the client counts, not the time in which it was not asked for more.
  let waitedMs = 0;
  let bytes = 0;
  for (;;) {
    const askedMs = performance.now();
    const next = await soon(iterator.next(), pace.idleMs);
    waitedMs += performance.now() - askedMs;
    if (next.done === true) return;
    bytes += bytesOf(next.value);
    if (bytes < (waitedMs - pace.idleMs) * pace.leastBytesPerMs) {
      throw new GrpcError(grpcCode.DEADLINE_EXCEEDED, `${bytes} bytes in ${Math.round(waitedMs)} ms`);
    }
    yield next.value;
  }
}

async function soon<T>(next: Promise<T>, patienceMs: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const idle = new Promise<never>((_, reject) => {
    const late = (): void => reject(new GrpcError(grpcCode.DEADLINE_EXCEEDED, `nothing came for ${patienceMs} ms`));
    timer = setTimeout(late, patienceMs);
  });
  try {
    return await Promise.race([next, idle]);
  } finally {
    clearTimeout(timer);
  }
}

type Waiting = { readonly client: string; readonly need: number; readonly start: () => void };
type Share = { heldBytes: number; waiting: number; readonly running: Set<Promise<unknown>> };

export function newUploads(): Uploads {
  const shares = new Map<string, Share>();
  const waiting: Waiting[] = [];
  let freeBytes = budgetBytes;

  const shareOf = (client: string): Share => {
    let share = shares.get(client);
    if (share === undefined) {
      share = { heldBytes: 0, waiting: 0, running: new Set() };
      shares.set(client, share);
    }
    return share;
  };

  const hasRoom = (client: string, need: number): boolean =>
    need <= freeBytes && (shareOf(client).heldBytes === 0 || need <= freeBytes - lastShareBytes);

  /** Of those for whom there is room, the client that holds least; of one client's, the first. */
  const next = (): number => {
    let best = -1;
    let least = Infinity;
    for (const [at, { client, need }] of waiting.entries()) {
      const { heldBytes } = shareOf(client);
      if (heldBytes >= least || !hasRoom(client, need)) continue;
      best = at;
      least = heldBytes;
    }
    return best;
  };

  const hold = (client: string, bytes: number): void => {
    freeBytes -= bytes;
    shareOf(client).heldBytes += bytes;
  };

  const admit = (): void => {
    for (let at = next(); at >= 0; at = next()) {
      const [admitted] = waiting.splice(at, 1);
      if (admitted === undefined) return;
      shareOf(admitted.client).waiting -= 1;
      hold(admitted.client, admitted.need);
      admitted.start();
    }
  };

  const limited = async <T>(client: string, sizeBytes: number, upload: () => Promise<T>): Promise<T> => {
    const need = Math.min(sizeBytes, budgetBytes - lastShareBytes);
    const share = shareOf(client);
    if (share.waiting === 0 && hasRoom(client, need)) hold(client, need);
    else {
      if (share.waiting >= mostWaitingOfOne)
        throw busyError(`${share.waiting} uploads of this client are waiting`, retryMs);
      share.waiting += 1;
      await new Promise<void>((start) => waiting.push({ client, need, start }));
    }
    try {
      return await upload();
    } finally {
      hold(client, -need);
      admit();
    }
  };

  const run: Uploads['run'] = async (client, sizeBytes, upload) => {
    const { running } = shareOf(client);
    const ended = limited(client, sizeBytes, upload);
    running.add(ended);
    try {
      return await ended;
    } finally {
      running.delete(ended);
      if (running.size === 0) shares.delete(client);
    }
  };

  const begun: Uploads['begun'] = (client) => {
    const running = shares.get(client)?.running;
    if (running === undefined || running.size === 0) return undefined;
    const all = [...running];
    return async () => {
      let timer: NodeJS.Timeout | undefined;
      const enough = new Promise<void>((resolve) => {
        timer = setTimeout(resolve, patienceMs).unref();
      });
      await Promise.race([Promise.allSettled(all), enough]);
      clearTimeout(timer);
    };
  };

  return { run, begun };
}
