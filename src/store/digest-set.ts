// A bounded set of digests in flat memory: 16 bytes each instead of the 120 of a string in a Set. It forgets what was used
// least of late, by halves: what is asked for moves into the young half, and when that is full the old one goes.
//
// An entry is the first 128 bits of the hash, less one. Whoever wants a digest taken for another has to find content to that
// prefix (2^127 tries); of a pair with the same prefix, which takes 2^64, both would be of one's own making.
import { randomInt } from 'node:crypto';
import type { Digest } from '../reapi/digest.ts';

export type DigestSet = {
  readonly has: (digest: Digest) => boolean;
  readonly add: (digest: Digest) => void;
  readonly size: () => number;
  /** 16 bytes each. */
  readonly save: () => Buffer;
  readonly load: (entries: Buffer) => void;
};

const wordsEach = 4;
// Whoever does not know it cannot choose content that crowds one place.
const mixer = randomInt(2 ** 31) * 2 + 1;
export const savedBytesEach = wordsEach * 4;
const leastSlots = 1024;

/** Open addressing, half full at most. An empty slot's last word is 0; a key's is odd. */
type Half = { words: Uint32Array; count: number };

type Key = readonly [number, number, number, number];

function keyOf({ hash }: Digest): Key {
  return [
    Number.parseInt(hash.slice(0, 8), 16),
    Number.parseInt(hash.slice(8, 16), 16),
    Number.parseInt(hash.slice(16, 24), 16),
    (Number.parseInt(hash.slice(24, 32), 16) | 1) >>> 0,
  ];
}

const newHalf = (): Half => ({ words: new Uint32Array(leastSlots * wordsEach), count: 0 });

/** Where the key is, or where it would go: the sign tells. */
function find({ words }: Half, key: Key): { readonly at: number; readonly found: boolean } {
  const mask = words.length / wordsEach - 1;
  for (let slot = (Math.imul(key[0], mixer) >>> 6) & mask; ; slot = (slot + 1) & mask) {
    const at = slot * wordsEach;
    if (words[at + 3] === 0) return { at, found: false };
    if (words[at] === key[0] && words[at + 1] === key[1] && words[at + 2] === key[2] && words[at + 3] === key[3]) {
      return { at, found: true };
    }
  }
}

function insert(half: Half, key: Key): void {
  const { at, found } = find(half, key);
  if (found) return;
  half.words.set(key, at);
  half.count += 1;
  if (half.count * 2 * wordsEach > half.words.length) grow(half);
}

function grow(half: Half): void {
  const larger: Half = { words: new Uint32Array(half.words.length * 2), count: 0 };
  for (const key of keysOf(half)) insert(larger, key);
  half.words = larger.words;
}

function* keysOf({ words }: Half): Generator<Key> {
  for (let at = 0; at < words.length; at += wordsEach) {
    const [a = 0, b = 0, c = 0, d = 0] = words.subarray(at, at + wordsEach);
    if (d !== 0) yield [a, b, c, d];
  }
}

/** Holds the `mostEntries` used last, and up to as many again. */
export function newDigestSet(mostEntries: number): DigestSet {
  let young = newHalf();
  let old = newHalf();

  const put = (key: Key): void => {
    insert(young, key);
    if (young.count < mostEntries) return;
    old = young;
    young = newHalf();
  };

  return {
    has: (digest) => {
      const key = keyOf(digest);
      if (find(young, key).found) return true;
      if (!find(old, key).found) return false;
      put(key);
      return true;
    },
    add: (digest) => put(keyOf(digest)),
    size: () => young.count + old.count,
    save: () => {
      const keys = [...keysOf(old), ...keysOf(young)];
      const entries = Buffer.alloc(keys.length * savedBytesEach);
      for (const [index, key] of keys.entries()) {
        for (const [word, value] of key.entries()) entries.writeUInt32LE(value, index * savedBytesEach + word * 4);
      }
      return entries;
    },
    load: (entries) => {
      for (let at = 0; at + savedBytesEach <= entries.length; at += savedBytesEach) {
        const word = (index: number): number => entries.readUInt32LE(at + index * 4);
        put([word(0), word(1), word(2), (word(3) | 1) >>> 0]);
      }
    },
  };
}
