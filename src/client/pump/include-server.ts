// An include server for stock distcc's client: a Unix socket, a question each connection (src/distcc/mirror.ts tells what
// the answer names). A compile that cannot be answered for gets an answer of no files, and its client preprocesses.
import { chmodSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { leaveToServer, mirrorDirectory, mirrorFile, mirrorLink, newMirror, type Mirror } from '../../distcc/mirror.ts';
import { anyHead, numberOf, packet, textOf, textPacket } from '../../distcc/packet.ts';
import { newReader, type Parsing } from '../../distcc/reader.ts';
import { digestKey } from '../../reapi/digest.ts';
import { answerQuestion, type IncludeQuestion, type IncludeWorld, type SentFiles } from './include-question.ts';

const most = { pathBytes: 4096, words: 100_000, wordBytes: 1 << 20 } as const;
// A question comes in one piece, and is read at once.
const questionPatienceMs = 30_000;

function* questionParsing(): Parsing<IncludeQuestion> {
  const cwd = yield* textOf(yield* anyHead('CDIR'), most.pathBytes);
  const argv: string[] = [];
  for (let left = yield* numberOf('ARGC', most.words); left > 0; left -= 1) {
    argv.push(yield* textOf(yield* anyHead('ARGV'), most.wordBytes));
  }
  return { cwd, argv };
}

export type IncludeServerOptions = {
  readonly directory: string;
  readonly world: IncludeWorld;
  readonly log: (line: string) => void;
};

export type IncludeServer = {
  readonly socket: string;
  /** When it was last asked, by performance.now(). */
  readonly lastAskedMs: () => number;
  readonly close: () => Promise<void>;
};

/** One for each set of directories that servers have of their own: in another they may be files to send. */
function mirrorFor(mirrors: Map<string, Mirror>, directory: string, left: readonly string[]): Mirror {
  const key = left.join('\n');
  const known = mirrors.get(key);
  if (known !== undefined) return known;
  const made = newMirror(join(directory, `m${mirrors.size}`));
  mirrors.set(key, made);
  return made;
}

/** In this order: a link that leads to a place has to be there before the place. */
function mirrored(mirror: Mirror, { left, files, links, directories }: SentFiles): string[] {
  return [
    ...left.map((path) => leaveToServer(mirror, path)),
    ...links.map(({ path, target }) => mirrorLink(mirror, path, target)),
    ...files.map(({ path, digest, bytes }) => mirrorFile(mirror, { path, key: digestKey(digest), bytes })),
    ...directories.map((path) => mirrorDirectory(mirror, path)),
  ];
}

export async function startIncludeServer({ directory, world, log }: IncludeServerOptions): Promise<IncludeServer> {
  const mirrors = new Map<string, Mirror>();
  const sockets = new Set<Socket>();
  let lastMs = performance.now();
  const answer = async (question: IncludeQuestion): Promise<readonly string[]> => {
    try {
      const found = await answerQuestion(world, question);
      if (found.kind === 'files') return mirrored(mirrorFor(mirrors, directory, found.left), found);
      log(`not answered: ${question.argv.join(' ')}: ${found.why}`);
    } catch (error) {
      log(`not answered: ${question.argv.join(' ')}: ${(error as Error).message}`);
    }
    return [];
  };
  const serve = (socket: Socket): void => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.on('close', () => sockets.delete(socket));
    socket.setTimeout(questionPatienceMs, () => socket.destroy());
    const reader = newReader(questionParsing());
    socket.on('data', (piece) => {
      try {
        const question = reader.feed(piece);
        if (question === undefined) return;
        lastMs = performance.now();
        void answer(question).then((names) => {
          socket.end(Buffer.concat([packet('ARGC', names.length), ...names.map((name) => textPacket('ARGV', name))]));
        });
      } catch (error) {
        log(`a question was malformed: ${(error as Error).message}`);
        socket.destroy();
      }
    });
  };
  const server: Server = createServer(serve);
  const socket = join(directory, 'socket');
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(socket, resolve);
  });
  chmodSync(socket, 0o600);
  const close = async (): Promise<void> => {
    const closed = new Promise((resolve) => server.close(resolve));
    for (const open of sockets) open.destroy();
    await closed;
  };
  return { socket, lastAskedMs: () => lastMs, close };
}
