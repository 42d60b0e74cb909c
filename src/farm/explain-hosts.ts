// What a list of hosts says, word by word: of shoal's own (SHOAL_HOSTS) and of distcc's (DISTCC_HOSTS). Pure.
import {
  distccPort,
  parseDistccWord,
  readDistccWords,
  type DistccWord,
  type WordMistake,
} from '../distcc/host-words.ts';
import type { DistccHost } from '../distcc/host-list.ts';
import { parseHosts, type HostSpec } from './host-spec.ts';

export type ExplainedWord = {
  readonly text: string;
  readonly offset: number;
  readonly meaning: string;
  readonly mistakes: readonly WordMistake[];
};

export type ExplainedHosts = {
  readonly syntax: 'shoal' | 'distcc';
  readonly words: readonly ExplainedWord[];
};

const ownScheme = /^((distcc|grpcs?|ssh):\/\/|unix:)/;
// What only distcc’s lists have: options, users, words of their own, its port.
const distccMark = /^--|^\+|^localhost(\/|$)|[,@]|:3632(\D|$)/;

/** A list that says nothing of itself is shoal's own; a word that only distcc's lists can have makes it one of those. */
export function syntaxOf(text: string): ExplainedHosts['syntax'] {
  const words = wordsOf(text).map(([word]) => word);
  if (words.some((word) => ownScheme.test(word))) return 'shoal';
  return text.includes('#') || words.some((word) => distccMark.test(word)) ? 'distcc' : 'shoal';
}

const wordsOf = (text: string): (readonly [string, number])[] =>
  [...text.matchAll(/\S+/g)].map((found) => [found[0], found.index]);

export function explainHosts(text: string, syntax: ExplainedHosts['syntax'] = syntaxOf(text)): ExplainedHosts {
  if (syntax === 'distcc') return { syntax, words: readDistccWords(text).map(explainDistcc) };
  return { syntax, words: wordsOf(text).map(([word, offset]) => explainOwn(word, offset)) };
}

function explainDistcc({ text, offset, meaning, mistakes }: DistccWord): ExplainedWord {
  return { text, offset, meaning: distccMeaning(meaning), mistakes };
}

function distccMeaning(meaning: DistccWord['meaning']): string {
  switch (meaning.kind) {
    case 'host':
      return hostMeaning(meaning.host);
    case 'localhost':
      return `compiles on this box, without a network: ${meaning.limit} at once`;
    case 'local-slots':
      return `what cannot go elsewhere, such as links: ${meaning.slots} at once on this box`;
    case 'local-cpp-slots':
      return `preprocessors on this box: ${meaning.slots} at once`;
    case 'randomize':
      return 'no host comes first';
    case 'zeroconf':
      return 'the distccds that announce themselves on this network';
    case 'wrong':
      return '';
  }
}

const ways = {
  1: 'preprocessed here',
  2: 'preprocessed here, compressed',
  3: 'preprocessed there, compressed',
} as const;

function hostMeaning({ transport, limit, protocol, auth, down }: DistccHost): string {
  const { host } = transport;
  const where =
    transport.kind === 'tcp'
      ? `distccd on ${host}, port ${transport.port}${transport.port === distccPort ? '' : ' (not the usual one)'}`
      : `${transport.command ?? 'distccd'} on ${host} by ssh${transport.user === undefined ? '' : ` as ${transport.user}`}`;
  const proof = auth === undefined ? [] : [`GSS-API with ${auth.principal ?? host}`];
  const parts = [where, `${limit} jobs at once`, ways[protocol], ...proof];
  return `${parts.join('; ')}${down ? '; listed as down: not used' : ''}`;
}

// What can stand behind `distcc://`.
const ownWords: ReadonlySet<DistccWord['meaning']['kind']> = new Set(['host', 'zeroconf', 'randomize']);

function explainOwn(word: string, offset: number): ExplainedWord {
  if (word.startsWith('distcc://')) {
    const head = 'distcc://'.length;
    const parsed = parseDistccWord(word.slice(head), offset + head);
    if (parsed.mistakes.length === 0 && !ownWords.has(parsed.meaning.kind)) {
      return { text: word, offset, meaning: '', mistakes: [noNetworkHost(parsed)] };
    }
    const { text: _, ...explained } = explainDistcc(parsed);
    return { ...explained, text: word, offset };
  }
  const parsed = parseHosts(word);
  const spec = parsed.kind === 'hosts' ? parsed.hosts[0] : undefined;
  if (spec !== undefined) return { text: word, offset, meaning: ownMeaning(spec), mistakes: [] };
  const why = parsed.kind === 'invalid' ? parsed.why : '';
  return { text: word, offset, meaning: '', mistakes: [ownMistake(word, offset, why)] };
}

function noNetworkHost({ text, offset, meaning }: DistccWord): WordMistake {
  const at = { weight: 'error', offset, length: text.length } as const;
  return meaning.kind === 'localhost'
    ? { ...at, what: '`localhost` is not a network host', remedy: '127.0.0.1 is' }
    : { ...at, what: `"${text}" names no host`, remedy: 'put the list into DISTCC_HOSTS' };
}

/** In words of its own where it looks like one of distcc's. */
function ownMistake(word: string, offset: number, why: string): WordMistake {
  const inDistcc = parseDistccWord(word);
  const isDistcc = distccMark.test(word) && inDistcc.meaning.kind !== 'wrong' && !ownScheme.test(word);
  if (!isDistcc) {
    const { from, to } = whereWrong(word);
    return { weight: 'error', offset: offset + from, length: to - from, what: why, remedy: formsOf };
  }
  const at = Math.max(0, word.search(/[,@]/));
  const remedy = ownWords.has(inDistcc.meaning.kind)
    ? `write distcc://${word}, or put the list into DISTCC_HOSTS`
    : 'put the list into DISTCC_HOSTS';
  const what = `"${word.slice(at)}" belongs to distcc’s lists`;
  return { weight: 'error', offset: offset + at, length: word.length - at, what, remedy };
}

const formsOf =
  'a host is written name, name:port/slots, grpc://…, grpcs://…, ssh://user@name, unix:/path or distcc://…';

/** The part of a word that, taken away, leaves a right one: its slots, or its port; else all of it. */
function whereWrong(word: string): { readonly from: number; readonly to: number } {
  const scheme = ownScheme.exec(word)?.[0].length ?? 0;
  for (const mark of ['/', ':']) {
    const from = word.indexOf(mark, scheme);
    if (from < scheme || from < 0) continue;
    if (parseHosts(word.slice(0, from)).kind === 'hosts' && from > scheme) return { from, to: word.length };
  }
  return { from: 0, to: word.length };
}

function ownMeaning({ address, slots }: HostSpec): string {
  const jobs = slots === undefined ? 'as many jobs as it has slots' : `${slots} jobs at once`;
  switch (address.kind) {
    case 'worker':
      return `shoal worker on ${address.host}, port ${address.port}, by mutual TLS where this box belongs to a farm; ${jobs}`;
    case 'tcp':
      return `Remote Execution on ${address.host}, port ${address.port}, without TLS; ${jobs}`;
    case 'tls':
      return `Remote Execution on ${address.host}, port ${address.port}, by TLS; ${jobs}`;
    case 'ssh':
      return `the shoal worker that ${address.user ?? 'this user'} has on ${address.host}, by ssh; ${jobs}`;
    case 'unix':
      return `shoal worker at the Unix socket ${address.path}`;
    case 'distcc':
      return hostMeaning(address.host);
  }
}
