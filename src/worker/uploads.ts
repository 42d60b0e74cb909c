// Uploads under way. A shoal client sends Execute right behind the blobs that it needs, on the same connection, without
// waiting for an answer in between: so who finds a blob missing waits for the uploads that had begun by then, before
// saying so. And uploads share a budget of memory: their bytes are not read from the connection before there is room.

import { GrpcError, grpcCode } from '../reapi/errors.ts';

export type Uploads = {
  /** Runs an upload that holds up to `sizeBytes` in memory, when there is room for it. */
  readonly run: <T>(sizeBytes: number, upload: () => Promise<T>) => Promise<T>;
  /** Undefined if nothing is under way; else a wait until all that is under way now has ended, or patience has. */
  readonly begun: () => (() => Promise<void>) | undefined;
};

const budgetBytes = 32 << 20;
// An upload of another client may be slow; then the missing blob is named without waiting any longer.
const patienceMs = 10_000;

// A client that is sending sends something within this; one that is not gives its share of the budget back.
const idleMs = 60_000;

/** The requests of one call. @throws GrpcError DEADLINE_EXCEEDED if none comes for a while. */
export async function* withoutIdling<T>(requests: AsyncIterable<T>, patienceMs: number = idleMs): AsyncGenerator<T> {
  const iterator = requests[Symbol.asyncIterator]();
  for (;;) {
    const next = await soon(iterator.next(), patienceMs);
    if (next.done === true) return;
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

export function newUploads(): Uploads {
  const running = new Set<Promise<unknown>>();
  const waiting: { readonly need: number; readonly start: () => void }[] = [];
  let freeBytes = budgetBytes;

  const admit = (): void => {
    for (let next = waiting[0]; next !== undefined && next.need <= freeBytes; next = waiting[0]) {
      waiting.shift();
      freeBytes -= next.need;
      next.start();
    }
  };

  const limited = async <T>(sizeBytes: number, upload: () => Promise<T>): Promise<T> => {
    const need = Math.min(sizeBytes, budgetBytes);
    if (need > freeBytes || waiting.length > 0) await new Promise<void>((start) => waiting.push({ need, start }));
    else freeBytes -= need;
    try {
      return await upload();
    } finally {
      freeBytes += need;
      admit();
    }
  };

  const run: Uploads['run'] = async (sizeBytes, upload) => {
    const ended = limited(sizeBytes, upload);
    running.add(ended);
    try {
      return await ended;
    } finally {
      running.delete(ended);
    }
  };

  const begun: Uploads['begun'] = () => {
    if (running.size === 0) return undefined;
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
