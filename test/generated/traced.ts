// What each of many compiles looked at in the file system, by one strace over the program that runs them all. Each
// process has a log of its own; which compile it belongs to is told by the directory that its first ancestor went to.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Looked } from '../includes/coverage.ts';
import { addCalls, type Looking } from '../includes/strace.ts';

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

const newProcess = /^(?:vfork|fork|clone3?)\(.*\) += (\d+)$/;

/** By the directory that a compile ran in, of those given. */
export function readTraces(logs: string, directories: readonly string[]): ReadonlyMap<string, Looked> {
  const byPid = new Map(
    readdirSync(logs).map((name) => [name.slice(name.lastIndexOf('.') + 1), readLog(join(logs, name))] as const),
  );
  const wanted = new Set(directories);
  const looked = new Map<string, Looking>();
  const add = (pid: string, directory: string): void => {
    const log = byPid.get(pid);
    if (log === undefined) return;
    let one = looked.get(directory);
    if (one === undefined) looked.set(directory, (one = { found: new Set(), missing: new Set() }));
    addCalls(one, log.lines, directory);
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
