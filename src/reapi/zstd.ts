// zstd: Node's own where it has one (22.15 and later), else a wasm build of the reference library. A frame does not say
// reliably what it is, so the caller gives the size that it must have, and checks the digest of what comes out.
import { createRequire } from 'node:module';
import { setFlagsFromString } from 'node:v8';
import zlib from 'node:zlib';

type Zstd = {
  readonly compress: (bytes: Uint8Array) => Buffer;
  readonly decompress: (bytes: Uint8Array, sizeBytes: number) => Buffer;
};

export class ZstdError extends Error {
  readonly code = 'ZSTD';
}

const level = 3;
/** The largest blob that is compressed or decompressed in one piece. */
export const maxZstdBytes = 64 * 1024 * 1024;

type NodeZstd = {
  readonly zstdCompressSync?: (bytes: Uint8Array, options: object) => Buffer;
  readonly zstdDecompressSync?: (bytes: Uint8Array, options: object) => Buffer;
};

function fromNode(): Zstd | undefined {
  const { zstdCompressSync, zstdDecompressSync } = zlib as unknown as NodeZstd;
  if (zstdCompressSync === undefined || zstdDecompressSync === undefined) return undefined;
  const parameter = (zlib.constants as Readonly<Record<string, number>>)['ZSTD_c_compressionLevel'] ?? 100;
  return {
    compress: (bytes) => zstdCompressSync(bytes, { params: { [parameter]: level } }),
    decompress: (bytes, sizeBytes) => zstdDecompressSync(bytes, { maxOutputLength: Math.max(1, sizeBytes) }),
  };
}

type WasmZstd = {
  readonly isLoaded: Promise<void>;
  readonly compress: (bytes: Uint8Array, level: number) => Buffer;
  readonly decompress: (bytes: Uint8Array, sizeBytes: number) => Buffer;
};

// V8 compiles wasm quickly first, and again, well, what runs often: 0.1 s of CPU in other threads, which a build of 40 files
// of 14 KB never gets back. With 1.8 million, its own number, 40 blobs of 60 KB both ways cost 158 ms, 200 of them 263; with this
// one 45 and 191; 5,000 of them 2.4 s either way.
const optimiseWasmLate = '--wasm-tiering-budget=1000000000';

async function load(): Promise<Zstd> {
  const native = fromNode();
  if (native !== undefined) return native;
  setFlagsFromString(optimiseWasmLate);
  const wasm = createRequire(import.meta.url)('@foxglove/wasm-zstd') as WasmZstd;
  await wasm.isLoaded;
  return {
    // The wasm heap is reused: what it returns is copied out.
    compress: (bytes) => Buffer.from(wasm.compress(bytes, level)),
    decompress: (bytes, sizeBytes) => Buffer.from(wasm.decompress(bytes, sizeBytes)),
  };
}

let loaded: Zstd | undefined;
let loading: Promise<void> | undefined;

/** Must have resolved once before compress and decompress are called. */
export function zstdReady(): Promise<void> {
  loading ??= load().then((zstd) => {
    loaded = zstd;
  });
  return loading;
}

function zstd(): Zstd {
  if (loaded === undefined) throw new ZstdError('zstd is used before it is loaded');
  return loaded;
}

export function compress(bytes: Uint8Array): Buffer {
  return zstd().compress(bytes);
}

/** @throws ZstdError unless the bytes are one frame of exactly `sizeBytes` of content. */
export function decompress(bytes: Uint8Array, sizeBytes: number): Buffer {
  if (sizeBytes > maxZstdBytes) throw new ZstdError(`${sizeBytes} bytes are more than is decompressed at once`);
  let content: Buffer;
  try {
    content = sizeBytes === 0 && bytes.length === 0 ? Buffer.alloc(0) : zstd().decompress(bytes, sizeBytes);
  } catch (error) {
    throw new ZstdError('the bytes are no zstd frame of the expected size', { cause: error });
  }
  if (content.length !== sizeBytes) throw new ZstdError(`${content.length} bytes came out instead of ${sizeBytes}`);
  return content;
}
