// Numbers by a seed: evenly spread ones, sizes and paces, and how long compiles take.
import type { Choices } from '../generated/choices.ts';

/** A number from 0 up to 1. */
export type Draw = () => number;

const fine = 2 ** 30;

export const drawFrom =
  (choices: Choices): Draw =>
  () =>
    choices.upTo(fine) / (fine + 1);

/** Of which the logarithm is evenly spread. */
export function between(draw: Draw, low: number, high: number): number {
  return low * (high / low) ** draw();
}

/** Most compiles take half of to twice the median, a few ten times as long. */
export function compileTime(draw: Draw, medianMs: number): number {
  return Math.min(20 * medianMs, medianMs * Math.exp(0.8 * normal(draw)));
}

/** Of the normal distribution. */
export const normal = (draw: Draw): number => Math.sqrt(-2 * Math.log(1 - draw())) * Math.cos(2 * Math.PI * draw());
