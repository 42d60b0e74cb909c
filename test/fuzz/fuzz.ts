// The loop: inputs made of those that reached something new, run in batches; if a batch reaches something new, its halves
// are run again, and their halves, until the inputs are found that do.
import { keepInput, keptInputs } from './corpus.ts';
import { startCoverage } from './coverage.ts';
import { drawFrom, mutated } from './mutate.ts';
import type { Target } from './target.ts';

export type FuzzOptions = {
  readonly seconds: number;
  readonly seed: number;
  /** Also the inputs that reached something new become files. */
  readonly keep: boolean;
};

export type FuzzEnd = {
  readonly runs: number;
  readonly blocks: number;
  /** How much larger the process was at its largest than at its start. */
  readonly grownMb: number;
  /** The longest that one input took. */
  readonly longestMs: number;
  /** The input's file, and what it brought about. */
  readonly crash: Error | undefined;
};

const rssMb = (): number => process.memoryUsage().rss / (1 << 20);
// To ask what was reached takes as long as some hundred runs.
const batchRuns = 200;

export async function fuzz(target: Target, { seconds, seed, keep }: FuzzOptions): Promise<FuzzEnd> {
  const draw = drawFrom(seed);
  const pool: Buffer[] = [];
  const coverage = startCoverage();
  const startMb = rssMb();
  const endMs = performance.now() + seconds * 1000;
  let [runs, grownMb, longestMs] = [0, 0, 0];
  const run = async (input: Buffer): Promise<void> => {
    const startedMs = performance.now();
    try {
      await target.run(input);
    } catch (error) {
      throw new Crash(keepInput(target.name, input), error);
    }
    longestMs = Math.max(longestMs, performance.now() - startedMs);
    runs += 1;
  };
  /** Keeps those of the inputs, one of which reached something new, that do so by themselves. */
  const findFresh = async (inputs: readonly Buffer[]): Promise<void> => {
    const middle = Math.ceil(inputs.length / 2);
    for (const part of [inputs.slice(0, middle), inputs.slice(middle)]) {
      const [only] = part;
      for (const input of part) await run(input);
      if (only === undefined || !(part.length === 1 ? coverage.take() : coverage.isFresh())) continue;
      if (part.length > 1) await findFresh(part);
      else {
        pool.push(only);
        if (keep) keepInput(target.name, only);
      }
    }
  };
  const end = (crash: Crash | undefined): FuzzEnd => {
    const blocks = coverage.size();
    coverage.close();
    return { runs, blocks, grownMb: Math.round(grownMb), longestMs: Math.round(longestMs), crash };
  };
  try {
    for (const input of [...target.seeds, ...keptInputs(target.name)]) {
      await run(input);
      pool.push(input);
    }
    coverage.take();
    while (performance.now() < endMs) {
      const batch: Buffer[] = [];
      while (batch.length < batchRuns && performance.now() < endMs) {
        const input = mutated(pool, draw);
        batch.push(input);
        await run(input);
      }
      grownMb = Math.max(grownMb, rssMb() - startMb);
      if (!coverage.isFresh()) continue;
      await findFresh(batch);
      // What only the batch as a whole had reached.
      coverage.take();
    }
    return end(undefined);
  } catch (error) {
    if (error instanceof Crash) return end(error);
    throw error;
  }
}

class Crash extends Error {
  constructor(file: string, error: unknown) {
    super(`${file}: ${(error as Error).stack}`);
  }
}
