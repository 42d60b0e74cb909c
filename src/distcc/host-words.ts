// distcc's own way to write hosts (DISTCC_HOSTS and hosts files), word by word. Pure.
//
//   HOST[:PORT][/LIMIT][,OPTION…]   HOST[/LIMIT][:PORT][,OPTION…]   [IPV6]…        by TCP
//   [USER]@HOST[/LIMIT][:COMMAND][,OPTION…]                                       by ssh
//   localhost[/LIMIT]   --localslots=N   --localslots_cpp=N   --randomize   +zeroconf
//
// An error is what distcc refuses too, or what it takes and could never use (a host named `--foo`, port 99999). Where it
// goes on with less than was written, or with something else, the word keeps distcc's meaning and there is a warning.
import type { DistccHost, DistccHostList } from './host-list.ts';

export type WordMistake = {
  readonly weight: 'error' | 'warning';
  /** Where in the whole text, in UTF-16 units, and how far. */
  readonly offset: number;
  readonly length: number;
  readonly what: string;
  readonly remedy: string;
};

export type WordMeaning =
  | { readonly kind: 'host'; readonly host: DistccHost }
  | { readonly kind: 'localhost'; readonly limit: number }
  | { readonly kind: 'local-slots'; readonly slots: number }
  | { readonly kind: 'local-cpp-slots'; readonly slots: number }
  | { readonly kind: 'randomize' }
  | { readonly kind: 'zeroconf' }
  | { readonly kind: 'wrong' };

export type DistccWord = {
  readonly text: string;
  readonly offset: number;
  readonly meaning: WordMeaning;
  readonly mistakes: readonly WordMistake[];
};

export type ParsedDistccHosts =
  | { readonly kind: 'hosts'; readonly list: DistccHostList; readonly warnings: readonly WordMistake[] }
  | { readonly kind: 'invalid'; readonly word: string; readonly mistake: WordMistake };

export const distccPort = 3632;
const usualLimit = 4;
const usualLocalLimit = 2;
const usualLocalSlots = 4;
const usualLocalCppSlots = 8;
const mostSlots = 100_000;

class Reading {
  readonly #word: string;
  readonly #offset: number;
  readonly mistakes: WordMistake[] = [];
  at = 0;

  constructor(word: string, offset: number) {
    this.#word = word;
    this.#offset = offset;
  }

  get rest(): string {
    return this.#word.slice(this.at);
  }

  /** What `pattern` (sticky) matches here is taken. */
  take(pattern: RegExp): string {
    pattern.lastIndex = this.at;
    const found = pattern.exec(this.#word)?.[0] ?? '';
    this.at += found.length;
    return found;
  }

  note(weight: WordMistake['weight'], from: number, to: number, what: string, remedy: string): void {
    const length = Math.max(1, to - from);
    this.mistakes.push({ weight, offset: this.#offset + from, length, what, remedy });
  }

  error(from: number, to: number, what: string, remedy: string): undefined {
    this.note('error', from, to, what, remedy);
    return undefined;
  }

  before(from: number): string {
    return this.#word.slice(from, this.at);
  }
}

const globalWords: readonly (readonly [string, 'local-slots' | 'local-cpp-slots'])[] = [
  ['--localslots_cpp', 'local-cpp-slots'],
  ['--localslots', 'local-slots'],
];

/** `=n` or `/n`, of which the mark is taken already. */
function readNumber(reading: Reading, what: string): number | undefined {
  const from = reading.at;
  const digits = reading.take(/[0-9]*/y);
  const count = Number(digits);
  if (count >= 1 && count <= mostSlots && digits !== '') return count;
  const wrong = digits === '' ? reading.take(/[^,:/]*/y) : digits;
  return reading.error(
    from - 1,
    reading.at,
    wrong === '' ? `the number of ${what} is missing` : `"${wrong}" is no number of ${what}`,
    `write a number from 1 to ${mostSlots}`,
  );
}

function readGlobal(reading: Reading): WordMeaning {
  for (const [name, kind] of globalWords) {
    if (!reading.rest.startsWith(name)) continue;
    reading.at += name.length;
    if (reading.take(/=/y) === '') {
      const end = reading.at + reading.rest.length;
      reading.error(0, end, `${name} needs a number`, `write ${name}=N`);
      return { kind: 'wrong' };
    }
    const slots = readNumber(reading, 'slots');
    if (slots === undefined) return { kind: 'wrong' };
    noteUnread(reading);
    return { kind, slots };
  }
  if (reading.take(/--randomize/y) !== '') {
    noteUnread(reading);
    return { kind: 'randomize' };
  }
  const end = reading.rest.length;
  reading.error(
    0,
    end,
    `"${reading.rest}" is no option of a host list`,
    'there are --localslots=N, --localslots_cpp=N and --randomize; a host’s name does not begin with "-"',
  );
  return { kind: 'wrong' };
}

function noteUnread(reading: Reading): void {
  if (reading.rest === '') return;
  const end = reading.at + reading.rest.length;
  const limit = /^\/[0-9]+$/.test(reading.rest) ? 'write the limit before the options: host/4,lzo' : 'leave it out';
  reading.note('warning', reading.at, end, `"${reading.rest}" is not read`, limit);
}

type Options = Pick<DistccHost, 'protocol' | 'auth' | 'down'>;

const optionNames = ['lzo', 'cpp', 'auth', 'down'] as const;

function readOptions(reading: Reading): Options | undefined {
  const seen = new Map<string, number>();
  let principal: string | undefined;
  while (reading.rest.startsWith(',')) {
    const from = reading.at;
    const name = optionNames.find((option) => reading.rest.startsWith(`,${option}`));
    if (name === undefined) {
      reading.take(/,[^,/]*/y);
      const text = reading.before(from);
      const what = text === ',' ? 'an option is missing after ","' : `"${text}" is no option`;
      return reading.error(from, reading.at, what, 'the options are ,lzo ,cpp ,auth ,auth=NAME and ,down');
    }
    reading.at += name.length + 1;
    if (!seen.has(name)) seen.set(name, from);
    if (name !== 'auth' || reading.take(/=/y) === '') continue;
    principal = reading.take(/[^,]*/y);
    if (principal === '') {
      return reading.error(from, reading.at, `"${reading.before(from)}" has no name`, 'write ,auth or ,auth=NAME');
    }
  }
  const cpp = seen.get('cpp');
  if (cpp !== undefined && !seen.has('lzo')) {
    return reading.error(
      cpp,
      cpp + 4,
      '`,cpp` needs `,lzo`',
      'write ,lzo,cpp: what is preprocessed there goes compressed',
    );
  }
  return {
    protocol: cpp !== undefined ? 3 : seen.has('lzo') ? 2 : 1,
    auth: seen.has('auth') ? { principal } : undefined,
    down: seen.has('down'),
  };
}

const namePattern = /^[A-Za-z0-9_][A-Za-z0-9_.-]*$/;

/** A name, an address, or an IPv6 address in brackets, without them. */
function readName(reading: Reading, whole: string): string | undefined {
  const from = reading.at;
  if (reading.rest.startsWith('[')) {
    const bracketed = reading.take(/\[[^\]]*\]/y);
    if (bracketed === '') {
      return reading.error(from, whole.length, 'the closing "]" of an IPv6 address is missing', 'write [fe80::1]:3632');
    }
    const inside = bracketed.slice(1, -1);
    if (/^[0-9a-fA-F:.]+(%[A-Za-z0-9_.-]+)?$/.test(inside)) return inside;
    return reading.error(from, reading.at, `"${bracketed}" holds no IPv6 address`, 'write it as [fe80::1]');
  }
  const name = reading.take(/[^/:,]*/y);
  if (namePattern.test(name)) return name;
  if (/^[0-9a-fA-F]*:[0-9a-fA-F:.]*$/.test(whole)) {
    return reading.error(from, whole.length, 'an IPv6 address stands in brackets', `write [${whole}]`);
  }
  if (name === '') return reading.error(from, from + 1, 'the host’s name is missing', 'write HOST before it');
  return reading.error(from, reading.at, `"${name}" is no host’s name`, 'use letters, digits, "-", "_" and "."');
}

const schemes = /^(distcc|grpcs?|ssh|unix):/;

/** `IPv6` without brackets begins as a name and a port would. */
function readPort(reading: Reading, whole: string): number | undefined {
  const from = reading.at;
  const digits = reading.take(/[0-9]*(?=[/,]|$)/y);
  const port = Number(digits);
  if (digits !== '' && port >= 1 && port <= 65_535) return port;
  if (digits === '') reading.take(/[^/,]*/y);
  if (/^[0-9a-fA-F]*(:[0-9a-fA-F]*){2,}$/.test(whole)) {
    return reading.error(0, whole.length, 'an IPv6 address stands in brackets', `write [${whole}]`);
  }
  const text = reading.before(from);
  const what = text === '' ? 'the port is missing after ":"' : `"${text}" is no port`;
  return reading.error(from - 1, reading.at, what, `write a number from 1 to 65535, or nothing for ${distccPort}`);
}

function readTcp(reading: Reading, whole: string): WordMeaning {
  const name = readName(reading, whole);
  if (name === undefined) return { kind: 'wrong' };
  const shown = reading.before(0);
  let limit: number | undefined;
  let port: number | undefined;
  // The old order is the limit first; a limit on both sides is taken from the last.
  for (const mark of ['/', ':', '/']) {
    if (!reading.rest.startsWith(mark) || (mark === '/' && limit !== undefined && port === undefined)) continue;
    reading.at += 1;
    if (mark === ':') port = readPort(reading, whole);
    else limit = readNumber(reading, 'jobs');
    if ((mark === ':' ? port : limit) === undefined) return { kind: 'wrong' };
  }
  const options = readOptions(reading);
  if (options === undefined) return { kind: 'wrong' };
  noteUnread(reading);
  noteLoopback(reading, shown, whole);
  const host: DistccHost = {
    name: port === undefined ? shown : `${shown}:${port}`,
    transport: { kind: 'tcp', host: name, port: port ?? distccPort },
    limit: limit ?? usualLimit,
    ...options,
  };
  return { kind: 'host', host };
}

function noteLoopback(reading: Reading, name: string, whole: string): void {
  if (name !== 'localhost') return;
  const what = '`localhost` is not a network host: 127.0.0.1 is';
  const remedy = 'without port and options it means compiles on this box: write 127.0.0.1 for a server here';
  reading.note('warning', 0, whole.length, what, remedy);
}

function readSsh(reading: Reading, whole: string): WordMeaning {
  const user = reading.take(/[^@]*/y);
  reading.at += 1;
  if (user !== '' && !namePattern.test(user)) {
    const remedy =
      'what stands before "@" is the user whose ssh it is; quote nothing, and give a name of letters and digits';
    reading.error(0, user.length, `"${user}" is no user’s name`, remedy);
    return { kind: 'wrong' };
  }
  const name = readName(reading, whole);
  if (name === undefined) return { kind: 'wrong' };
  const shown = reading.before(0);
  let limit: number | undefined;
  if (reading.take(/\//y) !== '') {
    limit = readNumber(reading, 'jobs');
    if (limit === undefined) return { kind: 'wrong' };
  }
  const command = readCommand(reading);
  const options = readOptions(reading);
  if (options === undefined) return { kind: 'wrong' };
  noteUnread(reading);
  const host: DistccHost = {
    name: command === undefined ? shown : `${shown}:${command}`,
    transport: { kind: 'ssh', user: user === '' ? undefined : user, host: name, command },
    limit: limit ?? usualLimit,
    ...options,
  };
  return { kind: 'host', host };
}

function readCommand(reading: Reading): string | undefined {
  const from = reading.at;
  if (reading.take(/:/y) === '') return undefined;
  const command = reading.take(/[^,]*/y);
  const limit = /\/([0-9]+)$/.exec(command);
  if (limit !== null) {
    const what = `"${limit[0]}" is part of the command`;
    reading.note(
      'warning',
      reading.at - limit[0].length,
      reading.at,
      what,
      `write the limit first: HOST/${limit[1]}:COMMAND`,
    );
  }
  if (command === '') reading.note('warning', from, reading.at, 'no command follows ":"', 'leave it out for distccd');
  return command === '' ? undefined : command;
}

function meaningOf(reading: Reading, word: string): WordMeaning {
  if (word.startsWith('--')) return readGlobal(reading);
  if (word === '+zeroconf') return { kind: 'zeroconf' };
  const scheme = schemes.exec(word)?.[0];
  if (scheme !== undefined && /^(\w+:\/\/|unix:)/.test(word)) {
    const remedy = scheme === 'distcc:' ? `write ${word.slice(9)}` : 'in SHOAL_HOSTS it can stand';
    reading.error(0, word.length, `"${scheme}" is a word of shoal’s own, not of distcc’s lists`, remedy);
    return { kind: 'wrong' };
  }
  if (word.startsWith('+')) {
    reading.error(0, word.length, `"${word}" is nothing that distcc knows`, 'write +zeroconf, or a host’s name');
    return { kind: 'wrong' };
  }
  if (/^localhost(\/|$)/.test(word)) {
    reading.at = 'localhost'.length;
    const limit = reading.take(/\//y) === '' ? usualLocalLimit : readNumber(reading, 'jobs');
    if (limit === undefined) return { kind: 'wrong' };
    noteUnread(reading);
    return { kind: 'localhost', limit };
  }
  return word.includes('@') ? readSsh(reading, word) : readTcp(reading, word);
}

/** One word; `offset` is where it stands in its text. */
export function parseDistccWord(text: string, offset = 0): DistccWord {
  const reading = new Reading(text, offset);
  const meaning = meaningOf(reading, text);
  return { text, offset, meaning, mistakes: reading.mistakes };
}

/** All words of a list; from `#` to the end of a line is a comment. */
export function readDistccWords(text: string): readonly DistccWord[] {
  const words: DistccWord[] = [];
  for (const found of text.matchAll(/#[^\n]*|[^\s#]+/g)) {
    if (!found[0].startsWith('#')) words.push(parseDistccWord(found[0], found.index));
  }
  return words;
}

/** What a list means as a whole, once all its words are right. */
export function distccHostList(words: readonly DistccWord[]): DistccHostList {
  const meanings = words.map(({ meaning }) => meaning);
  const hosts = meanings.flatMap((meaning) => (meaning.kind === 'host' ? [meaning.host] : []));
  const here = meanings.flatMap((meaning) => (meaning.kind === 'localhost' ? [meaning.limit] : []));
  const last = (kind: 'local-slots' | 'local-cpp-slots', usual: number): number =>
    meanings.reduce((slots, meaning) => (meaning.kind === kind ? meaning.slots : slots), usual);
  return {
    hosts,
    localhost: here.length === 0 ? undefined : here.reduce((sum, limit) => sum + limit, 0),
    localSlots: last('local-slots', usualLocalSlots),
    localCppSlots: last('local-cpp-slots', usualLocalCppSlots),
    randomize: meanings.some(({ kind }) => kind === 'randomize'),
    zeroconf: meanings.some(({ kind }) => kind === 'zeroconf'),
  };
}

/** A whole list; the first error makes it invalid, as distcc has it. */
export function parseDistccHosts(text: string): ParsedDistccHosts {
  const words = readDistccWords(text);
  for (const { text: word, mistakes } of words) {
    const mistake = mistakes.find(({ weight }) => weight === 'error');
    if (mistake !== undefined) return { kind: 'invalid', word, mistake };
  }
  return { kind: 'hosts', list: distccHostList(words), warnings: words.flatMap(({ mistakes }) => mistakes) };
}

/** A host as one word, from which `parseDistccWord` makes the same. */
export function distccWordOf({ transport, limit, protocol, auth, down }: DistccHost): string {
  const bracketed = (host: string): string => (host.includes(':') ? `[${host}]` : host);
  // With the usual port, too, `localhost:3632` is a network host; without one it would be this box itself.
  const isPortTold = transport.kind === 'tcp' && (transport.port !== distccPort || transport.host === 'localhost');
  const where =
    transport.kind === 'tcp'
      ? `${bracketed(transport.host)}${isPortTold ? `:${transport.port}` : ''}/${limit}`
      : `${transport.user ?? ''}@${bracketed(transport.host)}/${limit}`;
  const command = transport.kind === 'ssh' && transport.command !== undefined ? `:${transport.command}` : '';
  const options = [
    ...['', ',lzo', ',lzo,cpp'].slice(protocol - 1, protocol),
    auth === undefined ? '' : auth.principal === undefined ? ',auth' : `,auth=${auth.principal}`,
    down ? ',down' : '',
  ];
  return `${where}${command}${options.join('')}`;
}
