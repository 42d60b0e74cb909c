// Which files a build's layer held at its end, kept for the next build in the same directory. That one then begins with
// the whole layer: its input roots do not change while the build goes on, so no Directory is sent twice, the worker lays
// out one tree, and equal compiles are equal actions. The list is a guess about paths only; what is at them is read and
// checked like any input, and what is gone is left out.
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { writeKept } from '../../kept-file.ts';
import type { Layer } from '../plan/input-tree.ts';

const mostPaths = 50_000;

function pathFor(cacheDir: string, cwd: string): string {
  return join(cacheDir, 'layers', createHash('sha256').update(cwd).digest('hex').slice(0, 32));
}

function isPathList(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((path) => typeof path === 'string' && path.startsWith('/'));
}

/** The paths of the last build in `cwd`, or none. */
export function loadLayerPaths(cacheDir: string, cwd: string): readonly string[] {
  try {
    const paths: unknown = JSON.parse(readFileSync(pathFor(cacheDir, cwd), 'utf8'));
    return isPathList(paths) && paths.length <= mostPaths ? paths : [];
  } catch {
    return [];
  }
}

export function saveLayerPaths(cacheDir: string, cwd: string, layer: Layer): void {
  if (layer.present.size === 0 || layer.present.size > mostPaths) return;
  writeKept(pathFor(cacheDir, cwd), () => JSON.stringify([...layer.present.keys()]));
}
