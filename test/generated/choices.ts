// What a generated program is made by: fast-check's generator, asked step by step, so that what was chosen before can
// decide what is asked next. A seed gives the same program each time.
import fc from 'fast-check';

export type Choices = {
  readonly from: <T>(values: readonly T[]) => T;
  /** 0 to `most`. */
  readonly upTo: (most: number) => number;
  readonly chance: (percent: number) => boolean;
  /** Each value has its weight. */
  readonly weighted: <T>(values: readonly (readonly [number, T])[]) => T;
};

const evenly = (most: number): fc.Arbitrary<number> => fc.noBias(fc.nat({ max: most }));

export function choicesOf(seed: number): Choices {
  const [ask] = fc.sample(fc.gen(), { seed, numRuns: 1 });
  if (ask === undefined) throw new Error('fast-check gave no generator');
  // Without a bias to the ends of the range: the weights are meant.
  const upTo = (most: number): number => ask(evenly, most);
  return {
    from: <T>(values: readonly T[]) => {
      if (values.length === 0) throw new Error('nothing to choose from');
      return values[upTo(values.length - 1)] as T;
    },
    upTo,
    chance: (percent) => upTo(99) < percent,
    weighted: (values) => {
      const total = values.reduce((sum, [weight]) => sum + weight, 0);
      let left = upTo(total - 1);
      for (const [weight, value] of values) {
        if (left < weight) return value;
        left -= weight;
      }
      throw new Error('no value to choose from');
    },
  };
}
