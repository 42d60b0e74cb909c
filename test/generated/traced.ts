// What each of many compiles looked at in the file system, by one strace over the program that runs them all. Each
// process has a log of its own; which compile it belongs to is told by the directory that its first ancestor went to.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Looked } from '../includes/coverage.ts';

/** Put before a command; the logs go to `directory`. */
export function tracing(directory: string): readonly string[] {
  return [
    'strace',
    '-ff',
    '--seccomp-bpf',
    '-qq',
    '-s',
    '4096',
    '-e',
    'trace=%file,%process',
    '-o',
    join(directory, 'log'),
  ];
}

type Log = {
  readonly children: readonly string[];
  readonly directory: string | undefined;
  readonly lines: readonly string[];
};

// openat(AT_FDCWD, "x.h", O_RDONLY) = 3       newfstatat(AT_FDCWD, "x", {…}, 0) = -1 ENOENT (No such file or directory)
const fileCall = /^(\w+)\((?:AT_FDCWD, )?"((?:[^"\\]|\\.)*)"(.*)\) += (?:-1 (\w+)|\d+)/;
const newProcess = /^(?:vfork|fork|clone3?)\(.*\) += (\d+)$/;

/** By the directory that a compile ran in, of those given. */
export function readTraces(logs: string, directories: readonly string[]): ReadonlyMap<string, Looked> {
  const byPid = new Map(
    readdirSync(logs).map((name) => [name.slice(name.lastIndexOf('.') + 1), readLog(join(logs, name))] as const),
  );
  const wanted = new Set(directories);
  const looked = new Map<string, { found: Set<string>; missing: Set<string> }>();
  const add = (pid: string, directory: string): void => {
    const log = byPid.get(pid);
    if (log === undefined) return;
    let one = looked.get(directory);
    if (one === undefined) looked.set(directory, (one = { found: new Set(), missing: new Set() }));
    addLines(one, log.lines, directory);
    for (const child of log.children) add(child, directory);
  };
  for (const [pid, { directory }] of byPid) if (directory !== undefined && wanted.has(directory)) add(pid, directory);
  return looked;
}

function readLog(path: string): Log {
  const lines = readFileSync(path, 'utf8').split('\n');
  const children = lines.flatMap((line) => newProcess.exec(line)?.[1] ?? []);
  const directory = lines.map((line) => /^chdir\("(.*)"\) += 0$/.exec(line)?.[1]).find((found) => found !== undefined);
  return { children, directory, lines };
}

function addLines(
  { found, missing }: { readonly found: Set<string>; readonly missing: Set<string> },
  lines: readonly string[],
  directory: string,
): void {
  for (const line of lines) {
    const [, call = '', quoted = '', rest = '', error] = fileCall.exec(line) ?? [];
    if (quoted === '' || /O_CREAT|O_WRONLY/.test(rest) || call === 'unlink' || call.startsWith('rename')) continue;
    const name = unescaped(quoted);
    const path = name.startsWith('/') ? name : `${directory}/${name}`;
    if (error === undefined) found.add(path);
    else if (error === 'ENOENT' || error === 'ENOTDIR') missing.add(path);
  }
}

/** strace writes bytes beyond ASCII in octal. */
function unescaped(text: string): string {
  if (!text.includes('\\')) return text;
  const latin1 = text.replace(/\\(?:([0-7]{1,3})|(.))/g, (_, octal: string | undefined, other: string | undefined) => {
    return octal === undefined ? (other ?? '') : String.fromCharCode(Number.parseInt(octal, 8));
  });
  return Buffer.from(latin1, 'latin1').toString('utf8');
}
