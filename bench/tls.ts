// What mutual TLS costs, beside the same builds without it: CPU per file on both sides, and bytes on the wire.
import { makeNetwork } from './hosts.ts';
import { measureRound, type Figures, type Plan, type Round } from './measure.ts';
import type { PartPlan } from './part.ts';
import { aligned } from './report.ts';
import type { Which } from './side.ts';
import { shoal, shoalTls } from './sides/shoal.ts';
import { spreadOf, spreadText } from './statistics.ts';

const sides = [shoal, shoalTls];
const builds: readonly Which[] = ['first', 'second'];
const jobs = 4;

const columns: readonly (readonly [head: string, digits: number, of: (figures: Figures) => number])[] = [
  ['client CPU ms per file', 2, ({ clientCpuMs, files }) => clientCpuMs / files],
  ['workers CPU ms per file', 1, ({ workerCpuMs, files }) => workerCpuMs / files],
  ['KB sent per file', 2, ({ sentBytes, files }) => sentBytes / files / 1000],
  ['KB received', 2, ({ receivedBytes, files }) => receivedBytes / files / 1000],
];

/** Each round's TLS build less its plain one: the machine's drift from round to round is in both. */
function differences(plain: readonly Round[], tls: readonly Round[], which: Which, of: (figures: Figures) => number) {
  return spreadOf(tls.map((round, at) => of(round[which]) - of((plain[at] ?? round)[which])));
}

export async function measureTls({ scratch, cache, rounds, everyNth, tell }: PartPlan): Promise<string> {
  const network = makeNetwork(2);
  const tree = { projects: ['leveldb', 'abseil'], flags: ['-O0'], everyNth } as const;
  const plan: Plan = { network, scratch, cache, tree, jobs, beside: new Set() };
  const measured = sides.map((side): { name: string; side: typeof side; rounds: Round[] } => {
    return { name: side.name, side, rounds: [] };
  });
  try {
    for (let round = 1; round <= rounds; round += 1) {
      for (const { side, rounds: own } of measured) {
        tell(`round ${round} of ${rounds}: ${side.name}`);
        own.push(await measureRound(side, plan));
      }
    }
  } finally {
    network.remove();
  }
  const [plain, tls] = measured.map(({ rounds }) => rounds);
  const rows = builds.flatMap((which) => [
    ...measured.map(({ name, rounds }) => [
      name,
      which,
      ...columns.map(([, digits, of]) => spreadText(spreadOf(rounds.map((round) => of(round[which]))), digits)),
    ]),
    [
      'TLS adds',
      which,
      ...columns.map(([, digits, of]) => spreadText(differences(plain ?? [], tls ?? [], which, of), digits)),
    ],
  ]);
  const files = plain?.[0]?.first.files ?? 0;
  return [
    `mutual TLS: leveldb + abseil, ${files} C++17 files, -O0, make -j${jobs}, two workers of 4 slots; median of ${rounds} (min–max)`,
    aligned([['', 'build', ...columns.map(([head]) => head)], ...rows]),
  ].join('\n\n');
}
