// `shoal hosts --explain ["SPEC"]`: what a list of hosts says, word by word, with a caret under what is wrong with it.
// Without a list: the one in force, and where it was read from.
import { environmentNotes } from '../distcc/environment.ts';
import { distccHostSource } from '../distcc/host-source.ts';
import { explainHosts, type ExplainedHosts, type ExplainedWord } from '../farm/explain-hosts.ts';
import type { Invocation } from './invocation.ts';

type InForce = { readonly from: string; readonly text: string; readonly syntax: ExplainedHosts['syntax'] };

export type Explanation = ExplainedHosts & { readonly from: string | undefined; readonly notes: readonly string[] };

const names = { shoal: "shoal's own list, as in SHOAL_HOSTS", distcc: "distcc's list, as in DISTCC_HOSTS" } as const;

export function isWrong({ words }: ExplainedHosts): boolean {
  return words.some(({ mistakes }) => mistakes.length > 0);
}

function wordLines(word: ExplainedWord, width: number): string[] {
  const lines = [`  ${word.text.padEnd(width)}  ${word.meaning}`.trimEnd()];
  for (const { offset, length, what, remedy } of word.mistakes) {
    const caret = `${' '.repeat(offset - word.offset)}${'^'.repeat(length)}`;
    lines.push(`  ${caret.padEnd(width)}  ${what}; ${remedy}`);
  }
  return lines;
}

export function explanationText({ syntax, words, from, notes }: Explanation): string {
  const head = from === undefined ? `read as ${names[syntax]}` : `${from}: ${names[syntax]}`;
  const width = Math.max(0, ...words.map(({ text }) => text.length));
  const lines = words.length === 0 ? ['  no hosts'] : words.flatMap((word) => wordLines(word, width));
  return `${[head, '', ...lines, ...notes.map((note) => `\n${note}`)].join('\n')}\n`;
}

/**
 * The list that a build would use, as src/client/session/settings.ts has it; that of a compile called as distcc where it has
 * none.
 */
function inForce(env: Invocation['env']): InForce | readonly string[] {
  const own = env['SHOAL_HOSTS'];
  if (own !== undefined) return { from: 'SHOAL_HOSTS', text: own, syntax: 'shoal' };
  const source = distccHostSource(env);
  return source.kind === 'found' ? { ...source, syntax: 'distcc' } : source.looked;
}

const noNames = 'no list names hosts: builds use the worker of this box, and the farm that it belongs to';

function explain(spec: string | undefined, env: Invocation['env']): Explanation {
  if (spec !== undefined) return { ...explainHosts(spec), from: undefined, notes: [] };
  const force = inForce(env);
  if ('text' in force) {
    const ofFile = force.from.startsWith('/')
      ? [`${noNames}; ${force.from} is read by compiles that are called as distcc`]
      : [];
    return { ...explainHosts(force.text, force.syntax), from: force.from, notes: ofFile };
  }
  const looked = `compiles that are called as distcc have looked at ${force.join(', ')}`;
  return { syntax: 'shoal', words: [], from: 'SHOAL_HOSTS is not set', notes: [`${noNames}; ${looked}`] };
}

export function explainCommandOfHosts(spec: string | undefined, { args, env }: Invocation): void {
  const said = explain(spec, env);
  const explanation = { ...said, notes: [...said.notes, ...environmentNotes(env)] };
  process.stdout.write(args.includes('--json') ? `${JSON.stringify(explanation)}\n` : explanationText(explanation));
  if (isWrong(explanation)) process.exitCode = 1;
}
