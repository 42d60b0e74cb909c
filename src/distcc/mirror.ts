// The directory that an include server keeps for distcc's client: below three components (`/tmp/X/m0`), at the path that
// each file has, its content compressed, with `.lzo` after its name. A link in it is sent as a link; one that leads to its
// own path, out of the tree, leaves that directory to the server.
import { mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { compressLzo } from './lzo-compress.ts';

export type Mirror = {
  readonly root: string;
  /** What stands at a path of it. */
  readonly holds: Map<string, string>;
};

export type MirroredFile = { readonly path: string; readonly key: string; readonly bytes: () => Uint8Array };

export function newMirror(root: string): Mirror {
  mkdirSync(root, { mode: 0o700 });
  return { root, holds: new Map() };
}

function place(mirror: Mirror, at: string, key: string, make: (temporary: string) => void): string {
  if (mirror.holds.get(at) === key) return at;
  mkdirSync(dirname(at), { recursive: true });
  const temporary = `${at}~`;
  rmSync(temporary, { force: true });
  make(temporary);
  renameSync(temporary, at);
  mirror.holds.set(at, key);
  return at;
}

/** @throws where a path goes through a file or a link of the mirror. */
export function mirrorFile(mirror: Mirror, { path, key, bytes }: MirroredFile): string {
  const at = `${mirror.root}${path}.lzo`;
  return place(mirror, at, key, (temporary) => writeFileSync(temporary, compressLzo(bytes())));
}

export function mirrorLink(mirror: Mirror, path: string, target: string): string {
  const at = `${mirror.root}${path}`;
  return place(mirror, at, `link ${target}`, (temporary) => symlinkSync(target, temporary));
}

// Deeper than any place in which a server lays files out.
const serverDepth = 8;

export function leaveToServer(mirror: Mirror, path: string): string {
  return mirrorLink(mirror, path, `${'../'.repeat(path.split('/').length - 2 + serverDepth)}${path.slice(1)}`);
}

/** An empty file under the name that stock distcc's include server gives to such. */
export function mirrorDirectory(mirror: Mirror, path: string): string {
  return mirrorFile(mirror, {
    path: `${path}/forcing_technique_271828`,
    key: 'empty',
    bytes: () => new Uint8Array(),
  });
}
