// What a command really looks at in the file system, by strace.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Looked } from './coverage.ts';

export type TracedRun = Looked & { readonly status: number | null; readonly stderr: string };

// 123 openat(AT_FDCWD, "x.h", O_RDONLY) = 3       newfstatat(AT_FDCWD, "x", {…}, 0) = -1 ENOENT (No such file or directory)
const call = /^(?:\[pid +\d+\] |\d+ +)?\w+\((?:AT_FDCWD, )?"((?:[^"\\]|\\.)*)".*\) += (-1 (\w+)|\d+)/;

/** All of the command's processes are taken to work in `cwd`. */
export function lookedAt(command: readonly string[], cwd: string): TracedRun {
  const directory = mkdtempSync(join(tmpdir(), 'shoal-strace-'));
  const log = join(directory, 'log');
  try {
    const run = spawnSync('strace', ['-f', '-qq', '-s', '4096', '-e', 'trace=%file', '-o', log, ...command], {
      cwd,
      encoding: 'utf8',
    });
    const found = new Set<string>();
    const missing = new Set<string>();
    for (const line of readFileSync(log, 'utf8').split('\n')) {
      const [, name, , error] = call.exec(line) ?? [];
      if (name === undefined || name === '' || /O_CREAT|O_WRONLY|^\d+ +unlink|rename/.test(line)) continue;
      const path = name.startsWith('/') ? name : `${cwd}/${name}`;
      if (error === undefined) found.add(path);
      else if (error === 'ENOENT' || error === 'ENOTDIR') missing.add(path);
    }
    return { found, missing, status: run.status, stderr: run.stderr };
  } finally {
    rmSync(directory, { recursive: true });
  }
}
