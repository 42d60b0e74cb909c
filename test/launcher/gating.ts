// The local gate's tests: a stage whose compiler counts itself, and the slots of this box, taken and given back.
import { execFileSync, type ChildProcess } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { waitUntil } from '../../bench/wait.ts';
import { ended, setStage, type Ran } from './stage.ts';

const source = fileURLToPath(new URL('../../../test/launcher/counting.c', import.meta.url));
const patienceMs = 20_000;

/** A launched compile, and how it ends. */
export type Compile = { readonly child: ChildProcess; readonly end: Promise<Ran> };

function countCpus(): number {
  const list = /^Cpus_allowed_list:\s*(\S+)$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1] ?? '0';
  const ranges = list.split(',').map((range) => {
    const [first = 0, last = first] = range.split('-').map(Number);
    return last - first + 1;
  });
  return ranges.reduce((sum, count) => sum + count, 0);
}

/** The CPUs that this process may use. */
export const cpus: number = countCpus();

/** A stage with the counting compiler as gcc, and no daemon. As many compiles as `slots` run at once. */
export function setGate(macros: readonly string[] = [], slots = cpus) {
  const stage = setStage(macros);
  const { work, compilers, gcc } = stage;
  rmSync(join(compilers, 'gcc'));
  execFileSync('gcc', ['-O1', '-Wall', '-Werror', '-o', join(compilers, 'gcc'), source]);

  const startCommand = (command: readonly [string, ...string[]], env: Record<string, string> = {}): Compile => {
    const child = stage.start(command, env);
    return { child, end: ended(child) };
  };
  const start = (args: readonly string[], env: Record<string, string> = {}): Compile =>
    startCommand([gcc, ...args], env);
  /** A compile that ends when `finish` is called, or the test does. */
  const held = (): Compile & { readonly finish: () => Promise<Ran> } => {
    const until = join(mkdtempSync(join(stage.base, 'held-')), 'go');
    const compile = start(['-c', 'x.c'], { UNTIL: until });
    const finish = (): Promise<Ran> => {
      writeFileSync(until, '');
      return compile.end;
    };
    return { ...compile, finish };
  };
  /** The compiler that the launcher has become is running: it has said so. */
  const runs = ({ child }: Compile): boolean => existsSync(join(work, `run.${child.pid}`));
  const begun = (compile: Compile): Promise<void> => waitUntil('the compile', patienceMs, () => runs(compile));
  /** Compiles that hold every slot. */
  const fill = async (): Promise<ReturnType<typeof held>[]> => {
    const holders = Array.from({ length: slots }, held);
    await Promise.all(holders.map(begun));
    return holders;
  };
  return {
    ...stage,
    startCommand,
    start,
    held,
    isRunning: runs,
    begun,
    fill,
    /** True if the compile has still not begun after what is enough for one that need not wait. */
    waits: async (compile: Compile): Promise<boolean> => {
      await new Promise((resolve) => setTimeout(resolve, 300));
      return !runs(compile) && compile.child.exitCode === null && compile.child.signalCode === null;
    },
    /** The most compilers that have been running at a time. */
    most: (): number => Math.max(...readFileSync(join(work, 'counts'), 'utf8').trim().split('\n').map(Number)),
    /** Between tests: no notes, an empty gate, no daemon. */
    clear: (): void => {
      stage.clear();
      for (const name of readdirSync(work)) rmSync(join(work, name), { recursive: true });
    },
    /** A gcc in a directory of its own that is a script. */
    wrapper: (name: string, body: string): string => {
      const directory = join(stage.base, name);
      mkdirSync(directory);
      writeFileSync(join(directory, 'gcc'), `#!/bin/sh\n${body}\n`, { mode: 0o755 });
      return directory;
    },
  };
}
