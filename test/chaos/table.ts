// What each fault cost, to read.
import type { Summary } from '../../src/observe/tally.ts';

export type Row = {
  readonly name: string;
  /** Beyond a build without a fault. */
  readonly extraMs: number;
  /** How often the fault came to pass; 1 where it was done by hand. */
  readonly struck: number;
  readonly summary: Summary;
};

export function tableOf(title: string, rows: readonly Row[]): string {
  const width = Math.max(...rows.map(({ name }) => name.length));
  const lines = rows.map(({ name, extraMs, struck, summary }) => {
    const seconds = (extraMs / 1000).toFixed(1).padStart(6);
    const reasons = Object.entries(summary.reasons).map(([reason, count]) => `${reason} ${count}`);
    const counts = `${String(summary.remote).padStart(3)} there ${String(summary.local).padStart(3)} here`;
    return `${name.padEnd(width)} ${seconds} s ${String(struck).padStart(3)}× ${counts}  ${reasons.join(', ')}`;
  });
  return [title, ...lines].join('\n');
}
