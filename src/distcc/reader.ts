// Reads a message that arrives in pieces. Pure. What the message is made of is told by a generator: it yields how many
// bytes it needs next and goes on when they are there. It can refuse a length before a byte of it has been kept, so what is
// held is never more than what it asked for, and one piece.
import { DistccError } from './errors.ts';

export type Parsing<T> = Generator<number, T, Buffer>;

export type Reader<T> = {
  /** The message, once it is whole. @throws DistccError, after which nothing more may be fed. */
  readonly feed: (piece: Buffer) => T | undefined;
  /** Bytes that wait for others. */
  readonly heldBytes: () => number;
  /** @throws DistccError TRUNCATED: to be called where the bytes end and the message has not come. */
  readonly end: () => never;
};

/** `after`: what may follow the message; where that is `anything`, `heldBytes` says then how much of it came along. */
export function newReader<T>(parsing: Parsing<T>, after: 'nothing' | 'anything' = 'nothing'): Reader<T> {
  let pieces: Buffer[] = [];
  let held = 0;
  let next = parsing.next();

  const take = (size: number): Buffer => {
    const [first] = pieces;
    // Mostly all of it is in one piece: then nothing is copied.
    const all = first !== undefined && first.length >= size ? first : Buffer.concat(pieces);
    const rest = all.subarray(size);
    pieces = all === first ? pieces.slice(1) : [];
    if (rest.length > 0) pieces.unshift(rest);
    held -= size;
    return all.subarray(0, size);
  };

  const feed: Reader<T>['feed'] = (piece) => {
    if (piece.length > 0) pieces.push(piece);
    held += piece.length;
    while (next.done !== true && held >= next.value) next = parsing.next(take(next.value));
    if (next.done !== true) return undefined;
    if (held > 0 && after === 'nothing')
      throw new DistccError('PROTOCOL', `${held} bytes follow the end of the message`);
    return next.value;
  };

  const end = (): never => {
    throw new DistccError('TRUNCATED', `the connection ended ${held} bytes into what was to come`);
  };

  return { feed, heldBytes: () => held, end };
}
