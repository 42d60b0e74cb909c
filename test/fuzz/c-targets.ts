// The decoders in C, under libFuzzer with the address and undefined-behaviour sanitizers of clang.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { daemonAnswers, sandboxJobs } from './seeds.ts';

const root = fileURLToPath(new URL('../../..', import.meta.url));

type CTarget = { readonly sources: readonly string[]; readonly seeds: readonly Buffer[] };

const table: Readonly<Record<string, CTarget>> = {
  'launcher-answer': { sources: ['test/fuzz/fuzz-answer.c', 'launcher/buffer.c'], seeds: daemonAnswers },
  'sandbox-job': { sources: ['test/fuzz/fuzz-job.c'], seeds: sandboxJobs },
};

export const targetsInC: readonly string[] = Object.keys(table);

export const isTargetInC = (name: string): boolean => Object.hasOwn(table, name);

const sanitizers = '-fsanitize=fuzzer,address,undefined';
const mostMb = 512;

export type CEnd = { readonly failed: boolean; readonly output: string };

/** Runs for that long, or with 0 only over the inputs that are kept. */
export function fuzzC(name: string, seconds: number): CEnd {
  const { sources, seeds } = table[name] ?? { sources: [], seeds: [] };
  const directory = mkdtempSync(join(tmpdir(), 'shoal-fuzz-'));
  try {
    const program = join(directory, 'fuzz');
    const paths = sources.map((source) => join(root, source));
    const options = ['-g', '-O1', '-std=gnu11', sanitizers, '-fno-sanitize-recover=all', `-I${root}/launcher`];
    const built = spawnSync('clang', [...options, '-o', program, ...paths], { encoding: 'utf8' });
    if (built.status !== 0) return { failed: true, output: built.stderr };
    const kept = join(root, 'test/fuzz/corpus', name);
    const work = join(directory, 'work');
    mkdirSync(work);
    for (const [at, seed] of seeds.entries()) writeFileSync(join(work, `seed-${at}`), seed);
    const bounds = [`-rss_limit_mb=${mostMb}`, '-timeout=10', '-max_len=8192', '-print_final_stats=1', '-verbosity=0'];
    const length = seconds === 0 ? ['-runs=0'] : [`-max_total_time=${seconds}`];
    const crashes = `-artifact_prefix=${kept}/`;
    mkdirSync(kept, { recursive: true });
    const ran = spawnSync(program, [...bounds, ...length, crashes, work, kept], { encoding: 'utf8' });
    if (existsSync(kept) && readdirSync(kept).length === 0) rmSync(kept, { recursive: true });
    return { failed: ran.status !== 0, output: ran.stderr };
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}
