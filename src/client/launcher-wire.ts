// What the launcher and the client daemon say to each other over the Unix socket. Pure: bytes in, values out.
//
// Request, one frame:  "SHL1", u32 length of the rest, then records of u8 tag, u32 n, n bytes (all little-endian).
// Answer: frames of u8 tag, u32 n, n bytes; the frame X (wait status) ends it.
// Control (the command line's own questions): "SHC1", u32 length, JSON; answered by u32 length, JSON, repeated.
// A frame that does not parse is refused as a whole: the launcher then runs the compiler itself.

export const maxRequestBytes = 16 * 1024 * 1024;
export const preambleBytes = 8;

export type FileIdentity = { readonly dev: bigint; readonly ino: bigint };

export type Terminal = {
  /** 1, 2, 4: descriptor 0, 1, 2 is a terminal; 8, 16, 32: it is closed. */
  readonly bits: number;
  readonly columns: number;
  readonly rows: number;
};

const stderrBit = 4;

export function isOnTerminal({ bits }: Terminal): boolean {
  return (bits & stderrBit) !== 0;
}

export type LauncherRequest = {
  /** The compiler as found on PATH, absolute, symbolic links not followed. */
  readonly compiler: string;
  readonly argv: readonly string[];
  readonly env: readonly string[];
  readonly cwd: string;
  readonly umask: number;
  readonly limits: readonly { readonly resource: number; readonly soft: bigint; readonly hard: bigint }[];
  readonly terminal: Terminal;
  readonly root: FileIdentity;
  readonly cwdIdentity: FileIdentity;
  /** Of its mount namespace; zeros where it cannot be told. */
  readonly mounts: FileIdentity;
  readonly sources: readonly { readonly index: number; readonly identity: FileIdentity }[];
  readonly pid: number;
  /** It was called as `distcc`. */
  readonly asDistcc: boolean;
  /** One of its texts that is not UTF-8, as far as it can be read; REAPI's strings are, so such a job stays at home. */
  readonly notUtf8: string | undefined;
};

export type DecodedRequest =
  | { readonly kind: 'request'; readonly request: LauncherRequest }
  | { readonly kind: 'malformed'; readonly why: string };

export type Preamble = { readonly kind: 'job' | 'control'; readonly bodyBytes: number };

/** Reads the first eight bytes of a connection, or undefined if they open nothing that we know. */
export function decodePreamble(bytes: Buffer): Preamble | undefined {
  const magic = bytes.toString('latin1', 0, 4);
  const bodyBytes = bytes.readUInt32LE(4);
  if (bodyBytes > maxRequestBytes) return undefined;
  if (magic === 'SHL1') return { kind: 'job', bodyBytes };
  if (magic === 'SHC1') return { kind: 'control', bodyBytes };
  return undefined;
}

type Draft = { -readonly [K in keyof LauncherRequest]?: LauncherRequest[K] } & {
  argv: string[];
  env: string[];
  limits: { resource: number; soft: bigint; hard: bigint }[];
  sources: { index: number; identity: FileIdentity }[];
  asDistcc: boolean;
  notUtf8: string | undefined;
};

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** What is not UTF-8 is read so far as that goes: the job still belongs to a build, and has a source to be named by. */
function textOf(draft: Draft, value: Buffer): string {
  try {
    return utf8.decode(value);
  } catch {
    const readable = value.toString('utf8');
    draft.notUtf8 ??= readable;
    return readable;
  }
}

// Length each fixed-size record must have, by tag.
const fixedBytes: Readonly<Record<string, number>> = { u: 4, l: 20, t: 5, r: 16, c: 16, m: 16, s: 20, p: 4, d: 0 };

function identityAt(body: Buffer, at: number): FileIdentity {
  return { dev: body.readBigUInt64LE(at), ino: body.readBigUInt64LE(at + 8) };
}

function takeFixed(draft: Draft, tag: string, value: Buffer): void {
  switch (tag) {
    case 'u':
      draft.umask = value.readUInt32LE(0);
      break;
    case 'l':
      draft.limits.push({
        resource: value.readUInt32LE(0),
        soft: value.readBigUInt64LE(4),
        hard: value.readBigUInt64LE(12),
      });
      break;
    case 't':
      draft.terminal = { bits: value.readUInt8(0), columns: value.readUInt16LE(1), rows: value.readUInt16LE(3) };
      break;
    case 'r':
      draft.root = identityAt(value, 0);
      break;
    case 'c':
      draft.cwdIdentity = identityAt(value, 0);
      break;
    case 'm':
      draft.mounts = identityAt(value, 0);
      break;
    case 's':
      draft.sources.push({ index: value.readUInt32LE(0), identity: identityAt(value, 4) });
      break;
    case 'd':
      draft.asDistcc = true;
      break;
    default:
      draft.pid = value.readUInt32LE(0);
  }
}

function takeText(draft: Draft, tag: string, text: string): boolean {
  switch (tag) {
    case 'x':
      draft.compiler = text;
      return true;
    case 'a':
      draft.argv.push(text);
      return true;
    case 'e':
      draft.env.push(text);
      return true;
    case 'w':
      draft.cwd = text;
      return true;
    default:
      return false;
  }
}

const malformed = (why: string): DecodedRequest => ({ kind: 'malformed', why });

/** Decodes the body of a job's request (what follows the preamble). */
export function decodeRequest(body: Buffer): DecodedRequest {
  const draft: Draft = { argv: [], env: [], limits: [], sources: [], asDistcc: false, notUtf8: undefined };
  for (let at = 0; at < body.length;) {
    if (body.length - at < 5) return malformed('a record is cut short');
    const tag = String.fromCharCode(body.readUInt8(at));
    const size = body.readUInt32LE(at + 1);
    at += 5;
    if (size > body.length - at) return malformed(`record ${tag} is longer than its frame`);
    const value = body.subarray(at, at + size);
    at += size;
    const fixed = fixedBytes[tag];
    if (fixed !== undefined) {
      if (size !== fixed) return malformed(`record ${tag} has ${size} bytes instead of ${fixed}`);
      takeFixed(draft, tag, value);
      continue;
    }
    const text = textOf(draft, value);
    if (text.includes('\0')) return malformed(`record ${tag} holds a NUL`);
    if (!takeText(draft, tag, text)) return malformed(`record ${JSON.stringify(tag)} is unknown`);
  }
  return finish(draft);
}

function finish(draft: Draft): DecodedRequest {
  const { compiler, cwd, umask, terminal, root, cwdIdentity, mounts, pid } = draft;
  if (compiler === undefined || !compiler.startsWith('/')) return malformed('no absolute compiler path');
  if (cwd === undefined || !cwd.startsWith('/')) return malformed('no absolute working directory');
  if (draft.argv.length === 0) return malformed('no argv');
  if (umask === undefined || terminal === undefined || root === undefined) return malformed('a record is missing');
  if (cwdIdentity === undefined || mounts === undefined || pid === undefined) return malformed('a record is missing');
  return { kind: 'request', request: { ...draft, compiler, cwd, umask, terminal, root, cwdIdentity, mounts, pid } };
}

const howCodes = { replace: 0, 'in-place': 1, remove: 2 } as const;

/**
 * `replace` makes a new inode, as an assembler does; `in-place` truncates, as cc1 does with what it opens by fopen;
 * `remove` takes an old file away, as a compiler that fails does with some, and has no content.
 */
export type OutputFile = {
  readonly path: string;
  readonly how: keyof typeof howCodes;
  readonly content: Buffer;
};

export type Completed = {
  readonly outputs: readonly OutputFile[];
  readonly stdout: Buffer;
  readonly stderr: Buffer;
  /** As from waitpid: exit code << 8, or the signal. */
  readonly waitStatus: number;
};

function frameHead(tag: string, size: number): Buffer {
  const head = Buffer.allocUnsafe(5);
  head.writeUInt8(tag.charCodeAt(0), 0);
  head.writeUInt32LE(size, 1);
  return head;
}

function outputFrames(output: OutputFile): Buffer[] {
  const path = Buffer.from(output.path);
  const begin = Buffer.allocUnsafe(13);
  begin.writeUInt8(howCodes[output.how], 0);
  begin.writeUInt32LE(0o666, 1);
  begin.writeBigUInt64LE(BigInt(output.content.length), 5);
  const frames = [frameHead('O', begin.length + path.length), begin, path];
  if (output.content.length > 0) frames.push(frameHead('D', output.content.length), output.content);
  return frames;
}

/** The whole answer of a job that was done for the launcher, in pieces: objects are large, and not copied. */
export function completedFrames(done: Completed): readonly Buffer[] {
  const frames = done.outputs.flatMap(outputFrames);
  if (done.stdout.length > 0) frames.push(frameHead('1', done.stdout.length), done.stdout);
  if (done.stderr.length > 0) frames.push(frameHead('2', done.stderr.length), done.stderr);
  const status = Buffer.allocUnsafe(4);
  status.writeUInt32LE(done.waitStatus, 0);
  frames.push(frameHead('X', 4), status);
  return frames;
}

/**
 * "Run it yourself, now", with the reason's id for whoever traces the socket. The launcher understands one,
 * `not-a-compiler`: what a wrapper calls shall still find the launcher on PATH.
 */
export function encodeRunHere(reason: string): Buffer {
  return Buffer.concat([frameHead('R', Buffer.byteLength(reason)), Buffer.from(reason)]);
}

/** What the launcher says on stderr before it runs the compiler: ahead of one of these two. */
export function encodeSpoken(text: Buffer): Buffer {
  return Buffer.concat([frameHead('2', text.length), text]);
}

/**
 * "Run it yourself when a slot is free here": u32 KB of memory that it is expected to need, 0 if unknown, and the reason.
 * The launcher sends one byte when it begins.
 */
export function encodeRunInSlot(reason: string, needKb: number): Buffer {
  const need = Buffer.allocUnsafe(4);
  need.writeUInt32LE(needKb, 0);
  return Buffer.concat([frameHead('W', 4 + Buffer.byteLength(reason)), need, Buffer.from(reason)]);
}

/**
 * "Preprocess what you were to compile, and go on waiting." The launcher answers with frames P (text), Q (stderr) and, at
 * the end, Z: u32 wait status, all bits set if it could not begin.
 */
export const preprocessFrame: Buffer = frameHead('E', 0);

/** What the launcher's preprocessing gave. */
export type Preprocessed = {
  /** As from waitpid. */
  readonly waitStatus: number;
  readonly text: Buffer;
  readonly stderr: Buffer;
};

const neverRan = 0xffffffff;

/** The answer to `preprocessFrame`, of `mostBytes` at most, or why there is none. */
export function* parsePreprocessed(
  mostBytes: number,
): Generator<number, Preprocessed | { readonly why: string }, Buffer> {
  const parts: Readonly<Record<string, Buffer[]>> = { P: [], Q: [] };
  for (let left = mostBytes; ;) {
    const head = yield 5;
    const [tag, size] = [String.fromCharCode(head.readUInt8(0)), head.readUInt32LE(1)];
    if (tag === 'Z' && size === 4) {
      const waitStatus = (yield 4).readUInt32LE(0);
      const [text, stderr] = [Buffer.concat(parts['P'] ?? []), Buffer.concat(parts['Q'] ?? [])];
      return waitStatus === neverRan ? { why: 'its launcher cannot preprocess it' } : { waitStatus, text, stderr };
    }
    left -= size;
    const list = parts[tag];
    if (list === undefined) return { why: `a frame ${JSON.stringify(tag)} of its launcher is unknown` };
    if (left < 0) return { why: `preprocessed, it has more than ${mostBytes} bytes` };
    list.push(yield size);
  }
}

/** Says that the daemon is alive: a launcher that hears nothing for ten seconds compiles by itself. */
export const heartbeat: Buffer = frameHead('H', 0);

export function encodeControl(message: unknown): Buffer {
  const body = Buffer.from(JSON.stringify(message));
  const head = Buffer.allocUnsafe(4);
  head.writeUInt32LE(body.length, 0);
  return Buffer.concat([head, body]);
}

/** A control request as the command line sends it: preamble and JSON. */
export function encodeControlRequest(message: unknown): Buffer {
  return Buffer.concat([Buffer.from('SHC1'), encodeControl(message)]);
}
