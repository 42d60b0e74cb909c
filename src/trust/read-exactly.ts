// So many bytes of a stream, and no more: what follows stays in it for whoever reads on.
import type { Readable } from 'node:stream';

export class ShortStreamError extends Error {
  readonly code = 'SHORT_STREAM';
}

/** Nobody else may read meanwhile. @throws ShortStreamError if it ends before. */
export function readExactly(stream: Readable, size: number): Promise<Buffer> {
  if (size === 0) return Promise.resolve(Buffer.alloc(0));
  return new Promise((resolve, reject) => {
    const settle = (end: Buffer | Error): void => {
      stream.off('readable', look).off('end', over).off('close', over).off('error', over);
      if (end instanceof Error) reject(end);
      else resolve(end);
    };
    const over = (): void => settle(new ShortStreamError('the other side has ended the connection'));
    const look = (): void => {
      const bytes = stream.read(size) as Buffer | null;
      if (bytes === null) return;
      settle(bytes.length === size ? bytes : new ShortStreamError('the other side has ended the connection'));
    };
    stream.on('readable', look).on('end', over).on('close', over).on('error', over);
    if (stream.destroyed || stream.readableEnded) over();
    else look();
  });
}
