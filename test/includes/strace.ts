// What a command really looks at in the file system, by strace.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Looked } from './coverage.ts';

export type TracedRun = Looked & { readonly status: number | null; readonly stderr: string };

// 123 openat(AT_FDCWD, "x.h", O_RDONLY) = 3       newfstatat(AT_FDCWD, "x", {…}, 0) = -1 ENOENT (No such file or directory)
const fileCall = /^(?:\d+ +)?(\w+)\((?:AT_FDCWD, )?"((?:[^"\\]|\\.)*)"(.*)\) += (?:-1 (\w+)|\d+)/;

export type Looking = { readonly found: Set<string>; readonly missing: Set<string> };

/** Adds what the lines of a log, of processes that work in `cwd`, say of files that were looked for and not written. */
export function addCalls({ found, missing }: Looking, lines: readonly string[], cwd: string): void {
  for (const line of lines) {
    const [, call = '', quoted = '', rest = '', error] = fileCall.exec(line) ?? [];
    if (quoted === '' || /O_CREAT|O_WRONLY/.test(rest) || call === 'unlink' || call.startsWith('rename')) continue;
    const name = unescaped(quoted);
    const path = name.startsWith('/') ? name : `${cwd}/${name}`;
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

/** All of the command's processes are taken to work in `cwd`. */
export function lookedAt(command: readonly string[], cwd: string): TracedRun {
  const directory = mkdtempSync(join(tmpdir(), 'shoal-strace-'));
  const log = join(directory, 'log');
  try {
    const run = spawnSync('strace', ['-f', '-qq', '-s', '4096', '-e', 'trace=%file', '-o', log, ...command], {
      cwd,
      encoding: 'utf8',
    });
    const looked = { found: new Set<string>(), missing: new Set<string>() };
    addCalls(looked, readFileSync(log, 'utf8').split('\n'), cwd);
    return { ...looked, status: run.status, stderr: run.stderr };
  } finally {
    rmSync(directory, { recursive: true });
  }
}
