// A file system in memory that keeps a diary: a test says what is there, and asserts what was looked at.
import type { EntryKind, Files, FileStat } from '../../src/includes/files.ts';

type Item = {
  readonly kind: EntryKind;
  readonly content: string;
  readonly ino: bigint;
  readonly mtimeNs: bigint;
  readonly ctimeNs: bigint;
};

export type MemoryFiles = {
  readonly files: Files;
  readonly nowNs: () => bigint;
  /** Parents come by themselves. */
  readonly write: (path: string, content: string) => void;
  readonly link: (path: string, target: string) => void;
  readonly mkdir: (path: string) => void;
  readonly special: (path: string) => void;
  readonly remove: (path: string) => void;
  /** Replaces content without any change that a stat shows. */
  readonly smuggle: (path: string, content: string) => void;
  readonly forbid: (path: string) => void;
  readonly sleep: (ms: number) => void;
  /** What was read, stat'ed, listed since the last call. */
  readonly diary: () => string[];
};

const modes: Readonly<Record<EntryKind, bigint>> = {
  file: 0o100644n,
  directory: 0o040755n,
  symlink: 0o120777n,
  other: 0o010644n,
};

export function memoryFiles(): MemoryFiles {
  const items = new Map<string, Item>();
  const forbidden = new Set<string>();
  let entries: string[] = [];
  let nowNs = 1_800_000_000_000_000_000n;
  let lastIno = 1n;

  const parentOf = (path: string): string => path.slice(0, path.lastIndexOf('/')) || '/';
  const put = (path: string, kind: EntryKind, content: string): void => {
    if (path !== '/' && items.get(parentOf(path))?.kind !== 'directory') put(parentOf(path), 'directory', '');
    const before = items.get(path);
    items.set(path, { kind, content, ino: before?.ino ?? ++lastIno, mtimeNs: nowNs, ctimeNs: nowNs });
    if (before === undefined && path !== '/') touch(parentOf(path));
  };
  const touch = (path: string): void => {
    const item = items.get(path);
    if (item !== undefined) items.set(path, { ...item, mtimeNs: nowNs, ctimeNs: nowNs });
  };
  const resolve = (path: string, depth = 0): string | undefined => {
    let at = '';
    for (const name of path.split('/').filter((part) => part !== '')) {
      const item = items.get(`${at}/${name}`);
      if (item === undefined || depth > 40) return undefined;
      if (item.kind === 'symlink') {
        const target = item.content.startsWith('/') ? item.content : `${at}/${item.content}`;
        const next = resolve(target, depth + 1);
        if (next === undefined) return undefined;
        at = next === '/' ? '' : next;
      } else at = `${at}/${name}`;
    }
    return at === '' ? '/' : at;
  };
  const statOf = (path: string): FileStat | undefined => {
    const item = items.get(resolve(path) ?? '');
    if (item === undefined) return undefined;
    const { ino, mtimeNs, ctimeNs } = item;
    return { dev: 1n, ino, mode: modes[item.kind], nlink: 1n, size: BigInt(item.content.length), mtimeNs, ctimeNs };
  };

  put('/', 'directory', '');
  const files: Files = {
    stat: (path) => {
      entries.push(`stat ${path}`);
      return statOf(path);
    },
    list: (path) => {
      entries.push(`list ${path}`);
      const prefix = path === '/' ? '/' : `${path}/`;
      const below = [...items].filter(
        ([at]) => at !== '/' && at.startsWith(prefix) && !at.slice(prefix.length).includes('/'),
      );
      return new Map(below.map(([at, { kind }]) => [at.slice(prefix.length), kind]));
    },
    kindOf: (path) => items.get(path)?.kind,
    readLink: (path) => items.get(path)?.content,
    read: (path) => {
      entries.push(`read ${path}`);
      const stat = statOf(path);
      const content = items.get(resolve(path) ?? '')?.content;
      if (stat === undefined || content === undefined || forbidden.has(path)) return undefined;
      return { bytes: Buffer.from(content), stat };
    },
  };
  return {
    files,
    nowNs: () => nowNs,
    write: (path, content) => put(path, 'file', content),
    link: (path, target) => put(path, 'symlink', target),
    mkdir: (path) => put(path, 'directory', ''),
    special: (path) => put(path, 'other', ''),
    remove: (path) => {
      items.delete(path);
      touch(parentOf(path));
    },
    smuggle: (path, content) => {
      const item = items.get(path);
      if (item !== undefined) items.set(path, { ...item, content });
    },
    forbid: (path) => forbidden.add(path),
    sleep: (ms) => {
      nowNs += BigInt(ms) * 1_000_000n;
    },
    diary: () => {
      const seen = entries;
      entries = [];
      return seen;
    },
  };
}
