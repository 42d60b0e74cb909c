// A file in pieces. The file is open before the first piece is asked for, so a blob that is evicted meanwhile is still
// read to its end.
import { open } from 'node:fs/promises';
import type { BlobRange } from './blob-store.ts';

// Large enough that a gigabyte takes thousands of reads, small enough that twenty readers hold 5 MB.
const pieceBytes = 256 << 10;

export async function streamFile(path: string, range: BlobRange): Promise<AsyncGenerator<Buffer> | undefined> {
  const handle = await open(path).catch(() => undefined);
  if (handle === undefined) return undefined;
  async function* pieces(file: NonNullable<typeof handle>): AsyncGenerator<Buffer> {
    try {
      let { offset, limit } = range;
      while (limit > 0) {
        const buffer = Buffer.allocUnsafeSlow(Math.min(pieceBytes, limit));
        const { bytesRead } = await file.read(buffer, 0, buffer.length, offset);
        if (bytesRead === 0) return;
        yield buffer.subarray(0, bytesRead);
        offset += bytesRead;
        limit -= bytesRead;
      }
    } finally {
      await file.close();
    }
  }
  return pieces(handle);
}
