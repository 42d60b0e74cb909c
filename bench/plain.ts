// What the compiler itself costs: the tree's compile lines, run plainly, each in a CPU group that holds nothing else.
import { execFileSync } from 'node:child_process';
import { makeCpuGroup } from './cpu.ts';
import type { Tree } from './corpus.ts';

// The shell that enters the group counts for nobody until it becomes the compiler.
const enter = 'echo 0 >"$0" && exec "$@"';

/** CPU of all compiles of `tree`, `jobs` at a time. */
export function plainCpuMs(tree: Tree, jobs: number): number {
  const group = makeCpuGroup('plain');
  try {
    const input = tree.lines.map((line) => `${line.arguments.join(' ')}\n`).join('');
    const args = ['-L1', `-P${jobs}`, '/bin/sh', '-c', enter, group.procsFile];
    execFileSync('xargs', args, { cwd: tree.directory, input, stdio: ['pipe', 'ignore', 'inherit'] });
    return group.usedMs();
  } finally {
    group.remove();
  }
}
