// The sandbox's filter of system calls, run here step by step: what the kernel would answer to any call.
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { compile, sourceOf } from './fixture.ts';

export type Call = { readonly number: number; readonly architecture?: number; readonly args?: readonly number[] };
export type Verdict = 'allowed' | 'EPERM' | 'ENOSYS';
export type Filter = (call: Call) => Verdict;

type Step = { readonly code: number; readonly jumpTrue: number; readonly jumpFalse: number; readonly k: number };

const verdicts: Readonly<Record<number, Verdict>> = { 0x7fff0000: 'allowed', 0x50001: 'EPERM', 0x50026: 'ENOSYS' };
export const architectures = { x64: 0xc000003e, arm64: 0xc00000b7, ia32: 0x40000003 } as const;
const here = process.arch === 'arm64' ? architectures.arm64 : architectures.x64;

/** As struct seccomp_data has them: the lower word first. */
function argumentWords(args: readonly number[]): Readonly<Record<number, number>> {
  const words = [0, 1, 2, 3, 4, 5].flatMap((at) => {
    const value = args[at] ?? 0;
    return [
      [16 + 8 * at, value % 2 ** 32],
      [20 + 8 * at, Math.floor(value / 2 ** 32)],
    ] as const;
  });
  return Object.fromEntries(words);
}

function run(steps: readonly Step[], { number, architecture = here, args = [] }: Call): Verdict {
  const data: Readonly<Record<number, number>> = { 0: number, 4: architecture, ...argumentWords(args) };
  let accumulator = 0;
  for (let at = 0; ; at += 1) {
    const { code, jumpTrue, jumpFalse, k } = steps[at] ?? fail('the filter runs over its end');
    const jumpIf = (holds: boolean): void => void (at += holds ? jumpTrue : jumpFalse);
    if (code === 0x20) accumulator = data[k] ?? fail(`offset ${k} is loaded`);
    else if (code === 0x15) jumpIf(accumulator === k);
    else if (code === 0x35) jumpIf(accumulator >= k);
    else if (code === 0x45) jumpIf((accumulator & k) !== 0);
    else if (code === 0x06) return verdicts[k] ?? fail(`verdict ${k.toString(16)}`);
    else return fail(`operation ${code}`);
  }
}

function fail(why: string): never {
  throw new Error(why);
}

export function openFilter(directory: string): Filter {
  const program = join(directory, 'filter');
  compile([sourceOf('test/sandbox/filter.c')], program);
  const lines = execFileSync(program, { encoding: 'utf8' }).trim().split('\n');
  const steps = lines.map((line): Step => {
    const [code = 0, jumpTrue = 0, jumpFalse = 0, k = 0] = line.split(' ').map(Number);
    return { code, jumpTrue, jumpFalse, k };
  });
  return (call) => run(steps, call);
}

/** The numbers of this architecture's calls, as the compiler's headers have them. */
export function callNumbers(): ReadonlyMap<string, number> {
  const options = ['-E', '-dM', '-include', 'sys/syscall.h', '-x', 'c', '/dev/null'];
  const text = execFileSync('gcc', options, { encoding: 'utf8' });
  const found = [...text.matchAll(/^#define __NR_(\w+) (\d+)$/gm)];
  return new Map(found.map(([, name = '', number]) => [name, Number(number)]));
}
