// The table and the goals, as text. Nothing is measured here.
import type { Figures, Round } from './measure.ts';
import type { Side, Which } from './side.ts';
import { spreadOf, spreadText, type Spread } from './statistics.ts';
import type { Extras } from './extras.ts';

export type Results = {
  readonly sides: readonly { readonly side: Side; readonly rounds: readonly Round[] }[];
  readonly extras: Extras | undefined;
};

const builds: readonly Which[] = ['first', 'second'];
const base = 'distcc';
const inputText = { lines: 'the same lines', preprocessed: 'the preprocessed text' } as const;

export function tableText(results: Results): string {
  const head = [
    'side',
    'build',
    'client CPU ms/file',
    `vs ${base}`,
    'worker CPU beyond compiler',
    'wire KB/file (sent + received)',
    'wall s',
  ];
  const rows = results.sides.flatMap(({ side }) => builds.map((which) => rowOf(results, side, which)));
  return aligned([head, ...rows]);
}

export function notesText(results: Results): string {
  const { sides } = results;
  const notes = sides.map(({ side }) => `${side.name}: ${side.note}`);
  for (const { side, rounds } of sides) {
    const compiler = spreadOf(rounds.map(({ beside }) => beside.compilerCpuMsPerFile));
    if (!Number.isFinite(compiler.median)) continue;
    notes.push(
      `the compiler's own CPU, ${inputText[side.input ?? 'lines']}, for ${side.name}: ${spreadText(compiler, 1)} ms a file`,
    );
  }
  if (sides.some(({ rounds }) => rounds.some(({ beside }) => Number.isFinite(beside.compilerCpuMsPerFile)))) {
    notes.push(
      'worker CPU beyond compiler: all that the workers started in a further build as the second, less the same compiles run plainly at the same time, as many at once, in a group of their own',
    );
  }
  notes.push(`an average object, zstd level 3: ${(objectBytes(results) / 1000).toFixed(1)} KB`);
  return notes.join('\n');
}

/** The goals that these results can speak to, each with the figure and a verdict. */
export function goalsText(results: Results): string {
  const first = fewerThanBase(results, 'first');
  const second = fewerThanBase(results, 'second');
  const wireKb = spreadOf(figures(results, 'shoal', 'second').map(wireKbPerFile));
  const objectKb = objectBytes(results) / 1000;
  const beyond = beyondCompiler(results, 'shoal');
  const beyondBase = beyondCompiler(results, base);
  const residentMb = spreadOf(facts(results, 'shoal', 'workerPeakMb'));
  const { oneFileMs, nothingToDoSeconds } = results.extras ?? { oneFileMs: Number.NaN, nothingToDoSeconds: Number.NaN };
  return aligned([
    goal('client CPU, first build: at most 1/15 of distcc', `1/${first.toFixed(1)}`, first >= 15, first),
    goal('client CPU, second build: at most 1/25 of distcc', `1/${second.toFixed(1)}`, second >= 25, second),
    goal('wire, second build: at most 25 KB a file', `${spreadText(wireKb, 1)} KB`, wireKb.median <= 25, wireKb.median),
    goal(
      'wire, second build: at most 2.5 × the zstd objects',
      `${(wireKb.median / objectKb).toFixed(2)} ×`,
      wireKb.median <= 2.5 * objectKb,
      wireKb.median / objectKb,
    ),
    goal(
      'worker CPU beyond the compiler: at most 6 ms a file',
      `${spreadText(beyond, 1)} ms`,
      beyond.median <= 6,
      beyond.median,
    ),
    goal(
      "worker CPU beyond the compiler: less than distccd's",
      `${beyondBase.median.toFixed(1)} ms there`,
      beyond.median < beyondBase.median,
      beyond.median - beyondBase.median,
    ),
    goal('one file, warm: at most 12 ms over the compiler', `${oneFileMs.toFixed(1)} ms`, oneFileMs <= 12, oneFileMs),
    goal(
      'a build with nothing to do: at most 0.3 s more',
      `${nothingToDoSeconds.toFixed(2)} s`,
      nothingToDoSeconds <= 0.3,
      nothingToDoSeconds,
    ),
    goal(
      'worker: at most 150 MB resident',
      `${residentMb.median} MB at its peak`,
      residentMb.median <= 150,
      residentMb.median,
    ),
  ]);
}

export function goal(what: string, figure: string, met: boolean, value: number): readonly string[] {
  return Number.isFinite(value) ? [what, figure, met ? 'met' : 'MISSED'] : [what, '-', 'not measured'];
}

function rowOf(results: Results, side: Side, which: Which): readonly string[] {
  const rounds = figures(results, side.name, which);
  const per = (value: (figure: Figures) => number): Spread => spreadOf(rounds.map(value));
  const client = per((figure) => figure.clientCpuMs / figure.files);
  const reference = spreadOf(figures(results, base, which).map((figure) => figure.clientCpuMs / figure.files));
  const ratio = reference.median / client.median;
  const sent = per((figure) => figure.sentBytes / figure.files / 1000);
  const received = per((figure) => figure.receivedBytes / figure.files / 1000);
  return [
    side.name,
    which,
    spreadText(client, 2),
    Number.isFinite(ratio) ? `1/${ratio.toFixed(2)}` : '-',
    which === 'second' ? beyondText(beyondCompiler(results, side.name)) : '-',
    `${sent.median.toFixed(1)} + ${received.median.toFixed(1)}`,
    spreadText(
      per((figure) => figure.wallMs / 1000),
      1,
    ),
  ];
}

function figures({ sides }: Results, name: string, which: Which): readonly Figures[] {
  return sides.find(({ side }) => side.name === name)?.rounds.map((round) => round[which]) ?? [];
}

function facts({ sides }: Results, name: string, fact: string): readonly number[] {
  return sides.find(({ side }) => side.name === name)?.rounds.map((round) => Number(round.facts[fact])) ?? [];
}

function fewerThanBase(results: Results, which: Which): number {
  const client = (name: string): number =>
    spreadOf(figures(results, name, which).map((figure) => figure.clientCpuMs / figure.files)).median;
  return client(base) / client('shoal');
}

/** Of each round's further build and the plain compiles that ran beside it. */
function beyondCompiler({ sides }: Results, name: string): Spread {
  const rounds = sides.find(({ side }) => side.name === name)?.rounds ?? [];
  return spreadOf(rounds.map(({ beside }) => beside.workerCpuMsPerFile - beside.compilerCpuMsPerFile));
}

function beyondText(beyond: Spread): string {
  return Number.isFinite(beyond.median) ? spreadText(beyond, 1) : '-';
}

function objectBytes({ sides }: Results): number {
  const known = sides.flatMap(({ rounds }) => rounds.map((round) => round.objectBytes)).filter(Number.isFinite);
  return spreadOf(known).median;
}

const wireKbPerFile = (figure: Figures): number => (figure.sentBytes + figure.receivedBytes) / figure.files / 1000;

export function aligned(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  return rows
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}
