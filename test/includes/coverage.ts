// Whether a closure holds what a compiler looked at: every file, link and directory that it found, and nothing at a place
// where it found nothing.
import { existsSync, lstatSync, readFileSync, readlinkSync, realpathSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import type { Closure } from '../../src/includes/types.ts';

export type Looked = { readonly found: ReadonlySet<string>; readonly missing: ReadonlySet<string> };

/** What is wrong with the closure of a compile in `root`; empty if nothing is. */
export function shortcomings(closure: Closure, { found, missing }: Looked, root: string): string[] {
  const files = new Map(closure.files.map((file) => [file.path, file]));
  const links = new Set(closure.symlinks.map((link) => link.path));
  const directories = new Set(closure.directories.map((entry) => entry.path));
  for (const path of [...files.keys(), ...links, ...directories]) {
    for (let at = dirname(path); !directories.has(at) && at !== '/'; at = dirname(at)) directories.add(at);
  }
  const wrong: string[] = [];
  const isInside = (path: string): boolean => path.startsWith(`${root}/`);
  for (const path of found) {
    if (!isInside(path)) continue;
    for (const { kind, at } of passedBy(path)) {
      if (!isInside(at)) continue;
      const has = kind === 'file' ? files.has(at) : kind === 'link' ? links.has(at) : directories.has(at);
      if (!has) wrong.push(`${kind} ${at} is not in the closure (for ${path})`);
    }
  }
  for (const path of missing) {
    const at = physical(path);
    // A link that leads nowhere may be there.
    if (at !== undefined && (files.has(at) || directories.has(at))) wrong.push(`${path} should be absent`);
  }
  for (const file of files.values()) {
    if (!readFileSync(file.path).equals(file.bytes())) wrong.push(`${file.path} has other bytes`);
  }
  return wrong;
}

function physical(path: string): string | undefined {
  try {
    return join(realpathSync.native(path.slice(0, path.lastIndexOf('/'))), basename(path));
  } catch {
    return undefined;
  }
}

type Passed = { readonly kind: 'file' | 'link' | 'directory'; readonly at: string };

/** What the kernel passes on the way along a path that exists, or ends in a link that leads nowhere. */
function* passedBy(path: string): Generator<Passed> {
  let at = '/';
  for (const name of path.split('/')) {
    if (name === '' || name === '.') continue;
    const next = name === '..' ? dirname(at) : join(at, name);
    const stat = lstatSync(next, { throwIfNoEntry: false });
    if (stat === undefined) return;
    if (stat.isSymbolicLink()) {
      yield { kind: 'link', at: next };
      const target = readlinkSync(next);
      yield* passedBy(target.startsWith('/') ? target : `${at}/${target}`);
      if (!existsSync(next)) return;
      at = realpathSync(next);
      continue;
    }
    yield { kind: stat.isDirectory() ? 'directory' : 'file', at: next };
    at = next;
  }
}
