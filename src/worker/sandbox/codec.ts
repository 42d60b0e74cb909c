// What the worker and the sandbox's init say to each other over its pipes. Pure: bytes in, values out.
//
// Job, one frame:  u32 length, then records of u8 tag, u32 n, n bytes (little-endian). Texts end with their NUL.
// A length of 0, in place of a job, aborts the one that runs; its answer is then a failure, or was under way already.
//   B path NUL, the lower directory that alone has it, NUL: shown without an overlay
//   K u8 kind (0 exact, 1 within)   M where the input root is mounted   L lower directory, topmost first   H path of the box, to be shown there too
//   A u8 executable, u8 has mtime, i64 mtime ns, path NUL, content   S path NUL, target NUL   D directory   W deletion
//   a argument   e variable   c working directory   p program   o output   t u8 bits, u16 columns, u16 rows   l six u64 limits
// Answer: frames of u8 tag, u32 n, n bytes:
//   Y the slot is ready   F step and error: the sandbox failed, nothing follows   1, 2 stdout, stderr   T trouble
//   O u8 kind (0 file, 1 executable, 2 symbolic link, 3 directory: its entries follow), path NUL, content or target   X i32 wait status, u64 user µs, system µs, peak KB, wall µs: the last of a job
// Paths are relative to the input root, but M and H to `/`; the working directory and the program are absolute.

export type SandboxRoot =
  /** The job's `/` is an overlay of its difference over these, topmost first, relative to the state directory. */
  | {
      readonly kind: 'exact';
      readonly lowerDirs: readonly string[];
      /** Directories below `hostPaths` that show the box's own over what the layers have there. The root has them. */
      readonly hostDirs?: readonly string[];
    }
  /** For plain actions: the input root appears at `mountAt`, beside the box's own directories, read-only. */
  | {
      readonly kind: 'within';
      readonly lowerDirs: readonly string[];
      readonly mountAt: string;
      /** Some of `hostPaths`; what the box lacks is left out. */
      readonly hostDirs: readonly string[];
    };

export type Addition = {
  readonly path: string;
  readonly content: Uint8Array;
  readonly executable: boolean;
  readonly mtimeNs?: bigint;
};

/** A directory of the input root that the lower directory `lowerDir` alone has. */
export type WholeDirectory = { readonly path: string; readonly lowerDir: string };

export type Limits = {
  readonly wallMs: number;
  readonly cpuSeconds: number;
  /** Of private writable memory, per process; 0: none. */
  readonly memoryBytes: number;
  readonly processes: number;
  /** Of stdout and stderr together, and again of all outputs together. */
  readonly outputBytes: number;
  /** Of everything the job writes. It is memory. */
  readonly diskBytes: number;
};

export type SandboxJob = {
  readonly root: SandboxRoot;
  readonly additions: readonly Addition[];
  readonly symlinks: readonly { readonly path: string; readonly target: string }[];
  readonly directories: readonly string[];
  readonly deletions: readonly string[];
  /** Directories that one lower directory alone has, and in which the job changes nothing: shown as they are, read-only. */
  readonly whole?: readonly WholeDirectory[];
  readonly argv: readonly string[];
  readonly program?: string;
  /** `NAME=value` */
  readonly env: readonly string[];
  readonly cwd: string;
  readonly outputs: readonly string[];
  readonly terminal?: { readonly bits: number; readonly columns: number; readonly rows: number };
  readonly limits: Limits;
};

export type SandboxOutput =
  | { readonly path: string; readonly kind: 'file'; readonly content: Buffer; readonly executable: boolean }
  | { readonly path: string; readonly kind: 'symlink'; readonly target: string }
  /** What is in it follows in outputs of its own. */
  | { readonly path: string; readonly kind: 'directory' };

export type Usage = {
  readonly userUs: number;
  readonly systemUs: number;
  readonly maxRssKb: number;
  readonly wallUs: number;
};

/** What the sandbox saw that makes a failure not the user's. */
export type Trouble = 'deadline' | 'output-limit' | 'disk-full' | 'signal' | 'memory';

export type Frame =
  | { readonly tag: 'ready' }
  | { readonly tag: 'failed'; readonly why: string }
  | { readonly tag: 'stdout' | 'stderr'; readonly bytes: Buffer }
  | { readonly tag: 'trouble'; readonly what: Trouble }
  | { readonly tag: 'output'; readonly output: SandboxOutput }
  | { readonly tag: 'end'; readonly waitStatus: number; readonly usage: Usage };

export class SandboxProtocolError extends Error {
  readonly code = 'SANDBOX_PROTOCOL';
}

// The largest frame is an output; its content is bounded by the job's limit, which is below this.
const maxFrameBytes = 2 ** 31;
const troubles: ReadonlySet<string> = new Set(['deadline', 'output-limit', 'disk-full', 'signal']);

function head(tag: string, sizeBytes: number): Buffer {
  const bytes = Buffer.allocUnsafe(5);
  bytes.writeUInt8(tag.charCodeAt(0), 0);
  bytes.writeUInt32LE(sizeBytes, 1);
  return bytes;
}

/** Text with its NUL. @throws SandboxProtocolError if it holds one of its own. */
function text(value: string): Buffer {
  if (value.includes('\0')) throw new SandboxProtocolError('a text of the job holds a NUL');
  return Buffer.from(`${value}\0`);
}

function textRecords(tag: string, values: readonly string[]): Buffer[] {
  return values.flatMap((value) => {
    const bytes = text(value);
    return [head(tag, bytes.length), bytes];
  });
}

function additionRecord(addition: Addition): Buffer[] {
  const fixed = Buffer.allocUnsafe(10);
  fixed.writeUInt8(addition.executable ? 1 : 0, 0);
  fixed.writeUInt8(addition.mtimeNs === undefined ? 0 : 1, 1);
  fixed.writeBigInt64LE(addition.mtimeNs ?? 0n, 2);
  const path = text(addition.path);
  const content = Buffer.from(addition.content.buffer, addition.content.byteOffset, addition.content.byteLength);
  return [head('A', fixed.length + path.length + content.length), fixed, path, content];
}

function pairRecord(tag: 'S' | 'B', path: string, other: string): Buffer[] {
  const bytes = Buffer.concat([text(path), text(other)]);
  return [head(tag, bytes.length), bytes];
}

function limitsRecord(limits: Limits): Buffer[] {
  const bytes = Buffer.alloc(48);
  const { wallMs, cpuSeconds, memoryBytes, processes, outputBytes, diskBytes } = limits;
  [wallMs, cpuSeconds, memoryBytes, processes, outputBytes, diskBytes].forEach((value, index) => {
    bytes.writeBigUInt64LE(BigInt(value), 8 * index);
  });
  return [head('l', bytes.length), bytes];
}

function terminalRecord({ bits, columns, rows }: NonNullable<SandboxJob['terminal']>): Buffer[] {
  const bytes = Buffer.alloc(5);
  bytes.writeUInt8(bits, 0);
  bytes.writeUInt16LE(columns, 1);
  bytes.writeUInt16LE(rows, 3);
  return [head('t', bytes.length), bytes];
}

const fromRoot = (path: string): string => path.replace(/^\/+/, '');

function rootRecords(root: SandboxRoot): Buffer[] {
  const kind = Buffer.from([root.kind === 'exact' ? 0 : 1]);
  const records = [head('K', 1), kind, ...textRecords('L', root.lowerDirs)];
  if (root.kind === 'within') records.push(...textRecords('M', [fromRoot(root.mountAt)]));
  return [...records, ...textRecords('H', (root.hostDirs ?? []).map(fromRoot))];
}

/** The job's whole frame, in one buffer. */
export function encodeJob(job: SandboxJob): Buffer {
  const parts = [
    ...rootRecords(job.root),
    ...textRecords('D', job.directories),
    ...job.additions.flatMap(additionRecord),
    ...job.symlinks.flatMap(({ path, target }) => pairRecord('S', path, target)),
    ...textRecords('W', job.deletions),
    ...(job.whole ?? []).flatMap(({ path, lowerDir }) => pairRecord('B', path, lowerDir)),
    ...textRecords('a', job.argv),
    ...textRecords('e', job.env),
    ...textRecords('c', [job.cwd]),
    ...textRecords('p', job.program === undefined ? [] : [job.program]),
    ...textRecords('o', job.outputs),
    ...(job.terminal === undefined ? [] : terminalRecord(job.terminal)),
    ...limitsRecord(job.limits),
  ];
  const length = Buffer.allocUnsafe(4);
  length.writeUInt32LE(
    parts.reduce((sum, part) => sum + part.length, 0),
    0,
  );
  return Buffer.concat([length, ...parts]);
}

/** Ends the job that runs. */
export const abortFrame: Buffer = Buffer.alloc(4);

function decodeOutput(body: Buffer): SandboxOutput {
  const end = body.indexOf(0, 1);
  if (end < 0) throw new SandboxProtocolError('an output has no path');
  const path = body.toString('utf8', 1, end);
  const content = body.subarray(end + 1);
  switch (body[0]) {
    case 0:
    case 1:
      return { path, kind: 'file', content, executable: body[0] === 1 };
    case 2:
      return { path, kind: 'symlink', target: content.toString('utf8') };
    case 3:
      return { path, kind: 'directory' };
    default:
      throw new SandboxProtocolError(`an output of kind ${body[0] ?? 'none'}`);
  }
}

function decodeEnd(body: Buffer): Frame {
  if (body.length !== 36) throw new SandboxProtocolError(`an end of ${body.length} bytes`);
  const number = (at: number): number => Number(body.readBigUInt64LE(at));
  const usage = { userUs: number(4), systemUs: number(12), maxRssKb: number(20), wallUs: number(28) };
  return { tag: 'end', waitStatus: body.readInt32LE(0), usage };
}

function decodeFrame(tag: string, body: Buffer): Frame {
  switch (tag) {
    case 'Y':
      return { tag: 'ready' };
    case 'F':
      return { tag: 'failed', why: body.toString('utf8') };
    case '1':
      return { tag: 'stdout', bytes: body };
    case '2':
      return { tag: 'stderr', bytes: body };
    case 'T': {
      const what = body.toString('utf8');
      if (!troubles.has(what)) throw new SandboxProtocolError(`trouble of kind ${what}`);
      return { tag: 'trouble', what: what as Trouble };
    }
    case 'O':
      return { tag: 'output', output: decodeOutput(body) };
    case 'X':
      return decodeEnd(body);
    default:
      throw new SandboxProtocolError(`a frame of kind ${JSON.stringify(tag)}`);
  }
}

/** Takes chunks as they come and gives whole frames. @throws SandboxProtocolError */
export function newFrameReader(): (chunk: Buffer) => Frame[] {
  let chunks: Buffer[] = [];
  let heldBytes = 0;
  let neededBytes = 5;
  return (chunk) => {
    chunks.push(chunk);
    heldBytes += chunk.length;
    if (heldBytes < neededBytes) return [];
    let rest = chunks.length === 1 ? chunk : Buffer.concat(chunks);
    const frames: Frame[] = [];
    neededBytes = 5;
    while (rest.length >= 5) {
      const sizeBytes = rest.readUInt32LE(1);
      if (sizeBytes > maxFrameBytes) throw new SandboxProtocolError(`a frame of ${sizeBytes} bytes`);
      neededBytes = 5 + sizeBytes;
      if (rest.length < neededBytes) break;
      frames.push(decodeFrame(String.fromCharCode(rest[0] ?? 0), rest.subarray(5, neededBytes)));
      rest = rest.subarray(neededBytes);
      neededBytes = 5;
    }
    chunks = rest.length === 0 ? [] : [rest];
    heldBytes = rest.length;
    return frames;
  };
}
