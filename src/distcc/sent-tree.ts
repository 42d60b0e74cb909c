// The files of a request in protocol 3 as a tree that can be laid out below a root of its own. Pure. Their names become
// paths on the server: each is checked here, before anything else sees it.
import { posix } from 'node:path';
import { DistccError } from './errors.ts';
import type { SentFile } from './request.ts';

export type SentTree = {
  /** By path, without leading slash. */
  readonly files: ReadonlyMap<string, Buffer>;
  readonly links: ReadonlyMap<string, string>;
  /** Places that the client leaves to the server: links that lead out of the tree, to the same path again. */
  readonly left: ReadonlySet<string>;
};

// NAME_MAX, and what the sandbox takes of PATH_MAX.
const most = { nameBytes: 255, pathBytes: 4000 } as const;
// Every root has these of its own.
const ownNames: ReadonlySet<string> = new Set(['dev', 'proc']);

function refused(path: string, why: string): DistccError {
  return new DistccError('PROTOCOL', `${JSON.stringify(path.slice(0, 200))} ${why}`);
}

/** An absolute path of the client's, without leading slash. @throws DistccError if it is none that can be laid out. */
export function pathBelowRoot(path: string): string {
  if (!path.startsWith('/')) throw refused(path, 'is no absolute path');
  if (Buffer.byteLength(path) > most.pathBytes) throw refused(path, 'is too long');
  const names = path.split('/').filter((name) => name !== '' && name !== '.');
  if (names.includes('..')) throw refused(path, 'has .. in it');
  if (names.some((name) => Buffer.byteLength(name) > most.nameBytes))
    throw refused(path, 'has a name that is too long');
  if (ownNames.has(names[0] ?? '')) throw refused(path, 'is a place of the sandbox');
  return names.join('/');
}

/** Where a link leads, where the root is `/`: what would go above it stays there. */
function leadsTo(path: string, target: string): string {
  return posix.resolve(`/${posix.dirname(path)}`, target).slice(1);
}

function* parentsOf(path: string): Generator<string> {
  for (let slash = path.lastIndexOf('/'); slash > 0; slash = path.lastIndexOf('/', slash - 1))
    yield path.slice(0, slash);
}

/** @throws DistccError for names that are no paths, or in each other's way. */
export function sentTree(sent: readonly SentFile[]): SentTree {
  const files = new Map<string, Buffer>();
  const links = new Map<string, string>();
  const left = new Set<string>();
  for (const each of sent) {
    const path = pathBelowRoot(each.path);
    if (path === '') throw refused(each.path, 'is the root');
    if (files.has(path) || links.has(path) || left.has(path)) throw refused(each.path, 'is there twice');
    if (each.kind === 'file') files.set(path, each.content);
    else if (each.target === '') throw refused(each.path, 'leads nowhere');
    else if (leadsTo(path, each.target) === path) left.add(path);
    else links.set(path, each.target);
  }
  for (const path of [...files.keys(), ...links.keys(), ...left]) {
    for (const parent of parentsOf(path)) {
      if (files.has(parent) || links.has(parent))
        throw refused(path, `is below ${JSON.stringify(parent)}, no directory`);
    }
  }
  return { files, links, left };
}
