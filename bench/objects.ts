// How small a tree's objects are when compressed one by one: what any farm has to send back at the least.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { compress, zstdReady } from '../src/reapi/zstd.ts';
import type { Tree } from './corpus.ts';

/** Bytes of an average object, zstd level 3. */
export async function compressedObjectBytes(tree: Tree): Promise<number> {
  await zstdReady();
  const sizes = tree.lines.map(({ output }) => compress(readFileSync(join(tree.directory, output))).length);
  return sizes.reduce((sum, size) => sum + size, 0) / sizes.length;
}
