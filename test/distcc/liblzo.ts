// liblzo2 behind two functions, in a process of its own (liblzo.c).
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export type Liblzo = {
  readonly compress: (bytes: Uint8Array) => Promise<Buffer>;
  /** Undefined if it refuses them. */
  readonly decompress: (bytes: Uint8Array, maxBytes: number) => Promise<Buffer | undefined>;
};

// The compiled test is two directories below dist.
const source = fileURLToPath(new URL('../../../test/distcc/liblzo.c', import.meta.url));

export async function withLiblzo(body: (liblzo: Liblzo) => Promise<void>): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'shoal-liblzo-'));
  const program = join(directory, 'liblzo');
  execFileSync('gcc', ['-O1', '-o', program, source, '-llzo2']);
  const child = spawn(program, { stdio: ['pipe', 'pipe', 'inherit'] });
  let got = Buffer.alloc(0);
  child.stdout.on('data', (chunk: Buffer) => (got = Buffer.concat([got, chunk])));
  const read = async (size: number): Promise<Buffer> => {
    while (got.length < size) await once(child.stdout, 'data');
    const bytes = got.subarray(0, size);
    got = got.subarray(size);
    return bytes;
  };
  const ask = async (what: 'c' | 'd', bytes: Uint8Array, bound: number): Promise<Buffer | undefined> => {
    const head = Buffer.alloc(9, what);
    head.writeUInt32LE(bytes.length, 1);
    head.writeUInt32LE(bound, 5);
    child.stdin.write(Buffer.concat([head, bytes]));
    const answer = await read(8);
    const made = await read(answer.readUInt32LE(4));
    return answer.readInt32LE(0) === 0 ? made : undefined;
  };
  try {
    await body({
      compress: async (bytes) => (await ask('c', bytes, bytes.length * 2 + 64)) ?? Buffer.alloc(0),
      decompress: (bytes, maxBytes) => ask('d', bytes, maxBytes),
    });
  } finally {
    child.stdin.end();
    rmSync(directory, { recursive: true, force: true });
  }
}
