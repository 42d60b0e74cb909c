// The bench: every side on the same tree, round after round, and one table of figures and ratios; and parts that are
// measured by themselves.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { measureExtras } from './extras.ts';
import { makeNetwork } from './hosts.ts';
import { machineText } from './machine.ts';
import { parts } from './parts.ts';
import { measureRound, type Plan, type Round } from './measure.ts';
import { goalsText, notesText, tableText, type Results } from './report.ts';
import { scratchDirectory } from './scratch.ts';
import type { Side } from './side.ts';
import { distcc, distccLzo } from './sides/distcc.ts';
import { icecream } from './sides/icecream.ts';
import { ccache, local, nothing } from './sides/local.ts';
import { shoal } from './sides/shoal.ts';

const sides: readonly Side[] = [nothing, local, ccache, icecream, distccLzo, distcc, shoal];

const besideByDefault = 'distcc,shoal';

const usage = `npm run bench -- [--rounds N] [--only SIDE,…] [--every N] [--jobs N] [--beside SIDE,…] [--name NAME]

  --rounds N   each side so many times, in turn; the medians are printed (default 3)
  --only …     only these sides, and "extras" (one file, nothing to do, launcher):
               ${[...sides.map(({ name }) => name), 'extras'].join(', ')}
               or parts that are measured by themselves, where they are named: ${Object.keys(parts).join(', ')}
  --beside …   sides that build a third time, beside the same compiles run plainly, for what their workers cost beyond
               the compiler (default ${besideByDefault}: the goals are about these)
  --every N    only every Nth file of the corpus, for a quick look
  --jobs N     make -jN (default 4)
  --name NAME  keep the output as bench/results/DATE-NAME.txt
`;

type Options = {
  readonly rounds: number;
  readonly chosen: (name: string) => boolean;
  readonly parts: readonly string[];
  readonly beside: ReadonlySet<string>;
  readonly everyNth: number;
  readonly jobs: number;
  readonly name: string | undefined;
};

function optionsFrom(args: readonly string[]): Options | undefined {
  const text = { type: 'string' } as const;
  const options = {
    rounds: text,
    only: text,
    every: text,
    jobs: text,
    beside: text,
    name: text,
    help: { type: 'boolean' },
  } as const;
  const { values } = parseArgs({ args: [...args], options });
  if (values.help === true) return undefined;
  const only = values.only?.split(',');
  return {
    rounds: Number(values.rounds ?? 3),
    chosen: (name) => only === undefined || only.includes(name),
    parts: only?.filter((name) => Object.hasOwn(parts, name)) ?? [],
    beside: new Set((values.beside ?? besideByDefault).split(',')),
    everyNth: Number(values.every ?? 1),
    jobs: Number(values.jobs ?? 4),
    name: values.name,
  };
}

const cache = resolve('.cache/corpus');

async function measureSides({ rounds, chosen, beside, everyNth, jobs }: Options, scratch: string): Promise<Results> {
  const tree = { projects: ['leveldb', 'abseil'], flags: ['-O0'], everyNth } as const;
  const network = makeNetwork(2);
  const plan: Plan = { network, scratch, cache, tree, jobs, beside };
  const running = sides
    .filter(({ name }) => chosen(name))
    .map((side): { side: Side; rounds: Round[] } => ({ side, rounds: [] }));
  for (let round = 1; round <= rounds; round += 1) {
    for (const each of running) {
      tell(`round ${round} of ${rounds}: ${each.side.name}`);
      each.rounds.push(await measureRound(each.side, plan));
    }
  }
  if (chosen('extras')) tell('one file, nothing to do, launcher');
  const extras = chosen('extras') ? await measureExtras(plan) : undefined;
  return { sides: running, extras };
}

function tell(text: string): void {
  process.stderr.write(`bench: ${text}\n`);
}

function sidesText(options: Options, results: Results): string {
  const files = results.sides[0]?.rounds[0]?.first.files ?? 0;
  const what = `leveldb + abseil, ${files} C++17 files, -O0, make -j${options.jobs}, two workers of 4 slots, fallback off; median of ${options.rounds} (min–max)`;
  const paragraphs = [what, tableText(results), notesText(results)];
  if (results.extras !== undefined) paragraphs.push(results.extras.text);
  return [...paragraphs, goalsText(results)].join('\n\n');
}

async function measureAll(options: Options): Promise<readonly string[]> {
  const scratch = scratchDirectory();
  mkdirSync(cache, { recursive: true });
  const paragraphs: string[] = [];
  if (options.chosen('extras') || sides.some(({ name }) => options.chosen(name))) {
    paragraphs.push(sidesText(options, await measureSides(options, scratch)));
  }
  for (const name of options.parts) {
    const own = join(scratch, name);
    mkdirSync(own);
    const measured = await parts[name]?.({
      scratch: own,
      cache,
      rounds: options.rounds,
      everyNth: options.everyNth,
      tell,
    });
    if (measured !== undefined) paragraphs.push(measured);
  }
  return paragraphs;
}

const args = process.argv.slice(2);
const options = optionsFrom(args);
if (options === undefined) process.stdout.write(usage);
else {
  const head = [`$ npm run bench -- ${args.join(' ')}`, machineText()];
  const text = `${[...head, ...(await measureAll(options))].join('\n\n')}\n`;
  process.stdout.write(text);
  if (options.name !== undefined) {
    mkdirSync('bench/results', { recursive: true });
    writeFileSync(`bench/results/${new Date().toISOString().slice(0, 10)}-${options.name}.txt`, text);
  }
}
