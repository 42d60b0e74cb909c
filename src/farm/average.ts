// Running averages of measured times and ratios: later samples count more, so that a host which was slow this morning is
// not slow for ever.

/** A mean with the number of samples behind it; 0: it is a first guess. */
export type Average = { readonly value: number; readonly samples: number };

export const guess = (value: number): Average => ({ value, samples: 0 });

/** With one more sample of that weight, in 0..1. The first sample replaces the guess. */
export function averaged({ value, samples }: Average, sample: number, weight: number): Average {
  if (samples === 0) return { value: sample, samples: 1 };
  return { value: value + weight * (sample - value), samples: samples + 1 };
}

/**
 * Of positive numbers whose ratios matter: twice and half cancel out. The guess is worth so many samples; all count alike
 * until one counts as much as `weight`.
 */
export function averagedRatio({ value, samples }: Average, sample: number, { weight, guess }: Weights): Average {
  const share = Math.max(weight, 1 / (samples + 1 + guess));
  return { value: value * (sample / value) ** share, samples: samples + 1 };
}

type Weights = { readonly weight: number; readonly guess: number };

/** As `averagedRatio`, of numbers whose sums matter. */
export function averagedMean({ value, samples }: Average, sample: number, { weight, guess }: Weights): Average {
  const share = Math.max(weight, 1 / (samples + 1 + guess));
  return { value: value + share * (sample - value), samples: samples + 1 };
}

/** With what belongs to the sum and is no sample by itself: time that was spent and brought no end. */
export function extendedMean({ value, samples }: Average, part: number, { weight, guess }: Weights): Average {
  const share = Math.max(weight, 1 / Math.max(1, samples + guess));
  return { value: value + share * part, samples };
}
