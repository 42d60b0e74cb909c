// Seeds that once went wrong, in a file of their own: a run that fails adds its seed there, and it stays.
import { appendFileSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const file = join(import.meta.dirname, '../../../test/simulator/kept-seeds.txt');

export function keptSeeds(): number[] {
  const lines = readFileSync(file, 'utf8').split('\n');
  return lines.filter((line) => /^[0-9]/.test(line)).map((line) => Number.parseInt(line, 10));
}

export function keepSeed(seed: number, why: string): void {
  if (!keptSeeds().includes(seed)) appendFileSync(file, `${seed}  ${why.split('\n')[0]}\n`);
}
