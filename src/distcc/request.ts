// A request: what a client sends. Pure.
//
//   1, 2   DIST v   ARGC n   n times ARGV   DOTI
//   3      DIST 3   CDIR   ARGC n   n times ARGV   NFIL n   n times (NAME, then FILE or LINK)
import { DistccError } from './errors.ts';
import {
  anyHead,
  body,
  bodyOf,
  bodyPacket,
  numberOf,
  packet,
  textOf,
  textPacket,
  type Allowance,
  type Version,
} from './packet.ts';
import type { Parsing } from './reader.ts';

export type SentFile =
  | { readonly kind: 'file'; readonly path: string; readonly content: Buffer }
  | { readonly kind: 'link'; readonly path: string; readonly target: string };

export type SourceRequest = {
  readonly version: 1 | 2;
  readonly argv: readonly string[];
  /** Preprocessed. */
  readonly source: Buffer;
};

export type FilesRequest = {
  readonly version: 3;
  readonly argv: readonly string[];
  readonly cwd: string;
  readonly files: readonly SentFile[];
};

export type Request = SourceRequest | FilesRequest;

// execve takes 2 MB in all and 128 KB of one word (Linux); builds have some hundreds of words.
const most = { words: 8192, wordBytes: 131_071, allWordBytes: 2 << 20, files: 20_000, pathBytes: 4000 } as const;

function isVersion(number: number): number is Version {
  return number === 1 || number === 2 || number === 3;
}

function* words(): Parsing<string[]> {
  const count = yield* numberOf('ARGC', most.words);
  if (count === 0) throw new DistccError('PROTOCOL', 'the command is empty');
  const argv: string[] = [];
  let left: number = most.allWordBytes;
  for (let at = 0; at < count; at += 1) {
    const head = yield* anyHead('ARGV');
    left -= head.number;
    if (left < 0) throw new DistccError('TOO_LARGE', `a command of more than ${most.allWordBytes} bytes`);
    argv.push(yield* textOf(head, most.wordBytes));
  }
  return argv;
}

function* sentFile(allowance: Allowance): Parsing<SentFile> {
  const path = yield* textOf(yield* anyHead('NAME'), most.pathBytes);
  const { token, number } = yield* anyHead('FILE', 'LINK');
  if (token === 'FILE') return { kind: 'file', path, content: yield* bodyOf({ token, number }, 3, allowance) };
  return { kind: 'link', path, target: yield* textOf({ token, number }, most.pathBytes) };
}

/**
 * `allowance` bounds the request's bodies together, after decompression.
 * @throws DistccError from the generator, as soon as it cannot become a request any more.
 */
export function* parseRequest(allowance: Allowance): Parsing<Request> {
  const { number: version } = yield* anyHead('DIST');
  if (!isVersion(version)) throw new DistccError('PROTOCOL', `protocol ${version} is none of 1, 2, 3`);
  if (version !== 3) {
    const argv = yield* words();
    return { version, argv, source: yield* body('DOTI', version, allowance) };
  }
  const cwd = yield* textOf(yield* anyHead('CDIR'), most.pathBytes);
  const argv = yield* words();
  const count = yield* numberOf('NFIL', most.files);
  const files: SentFile[] = [];
  while (files.length < count) files.push(yield* sentFile(allowance));
  return { version, argv, cwd, files };
}

export function encodeRequest(request: Request): readonly Uint8Array[] {
  const { version, argv } = request;
  const command = [packet('ARGC', argv.length), ...argv.map((word) => textPacket('ARGV', word))];
  const start = packet('DIST', version);
  if (version !== 3) return [start, ...command, ...bodyPacket('DOTI', request.source, version)];
  const files = request.files.flatMap((file) => [
    textPacket('NAME', file.path),
    ...(file.kind === 'link' ? [textPacket('LINK', file.target)] : bodyPacket('FILE', file.content, version)),
  ]);
  return [start, textPacket('CDIR', request.cwd), ...command, packet('NFIL', request.files.length), ...files];
}
