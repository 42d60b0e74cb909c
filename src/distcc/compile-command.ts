// What a client's command line says to a server: which word is the source, which names the output. Pure. The rules are
// those of distcc, which both of its sides apply: what a client would not send is not done for one that does.
import { posix } from 'node:path';
import { DistccError } from './errors.ts';

export type CompileCommand = {
  readonly argv: readonly string[];
  /** Of the source's word. */
  readonly inputAt: number;
  readonly input: string;
  /** As the client names it, or as the compiler does where it is not named. */
  readonly output: string;
  readonly stopsAt: 'object' | 'assembly';
};

/** A source's last letters, and those of what the preprocessor makes of it. */
const extensions: Readonly<Record<string, string>> = {
  '.i': '.i',
  '.c': '.i',
  '.ii': '.ii',
  '.cc': '.ii',
  '.cp': '.ii',
  '.cpp': '.ii',
  '.CPP': '.ii',
  '.cxx': '.ii',
  '.c++': '.ii',
  '.C': '.ii',
  '.mi': '.mi',
  '.m': '.mi',
  '.mii': '.mii',
  '.mm': '.mii',
  '.M': '.mii',
  '.s': '.s',
  '.S': '.s',
};

// Options whose value is the next word, which may look like a source.
const takesNext: ReadonlySet<string> = new Set(['-MF', '-MT', '-MQ']);
const harmless: ReadonlySet<string> = new Set(['-MD', '-MMD', '-MG', '-MP']);

/** Words that make a command none for a server, and what is said of them. */
const refusals: readonly (readonly [RegExp, string])[] = [
  [/^-E$/, 'it only preprocesses'],
  [/^-M(?![FTQ])/, 'it only lists dependencies'],
  [/^-x/, 'a language that is named by -x is for the client to compile'],
  [/^-(?:fprofile-arcs|ftest-coverage|-coverage)$/, 'it writes more than one file'],
  [/^-dr/, 'it writes more than one file'],
  [/^-fplugin=/, 'plugins are not loaded for others'],
];

function refused(why: string, argv: readonly string[]): DistccError {
  return new DistccError('REFUSED', `${why}: ${JSON.stringify(argv.slice(0, 40).join(' ').slice(0, 400))}`);
}

export function preprocessedExtension(input: string): string {
  return extensions[posix.extname(input)] ?? '.i';
}

/** @throws DistccError REFUSED for a command that a client keeps for itself. */
export function readCommand(argv: readonly string[]): CompileCommand {
  if (!/^[^-]/.test(argv[0] ?? '')) throw refused('it names no compiler', argv);
  let inputAt: number | undefined;
  let output: string | undefined;
  let stopsAt: CompileCommand['stopsAt'] | undefined;
  const name = (value: string | undefined): void => {
    if (value === undefined || value === '' || value === '-') throw refused('it names no output', argv);
    if (output !== undefined) throw refused('it names two outputs', argv);
    output = value;
  };
  for (let at = 1; at < argv.length; at += 1) {
    const word = argv[at] ?? '';
    const refusal = harmless.has(word) ? undefined : refusals.find(([form]) => form.test(word));
    if (refusal !== undefined) throw refused(refusal[1], argv);
    if (takesNext.has(word)) at += 1;
    else if (word === '-o') name(argv[(at += 1)]);
    else if (word.startsWith('-o')) name(word.slice(2));
    else if (word === '-c') stopsAt ??= 'object';
    else if (word === '-S') stopsAt = 'assembly';
    else if (!word.startsWith('-') && Object.hasOwn(extensions, posix.extname(word))) {
      if (inputAt !== undefined) throw refused('it has two sources', argv);
      inputAt = at;
    } else if (!word.startsWith('-') && word.endsWith('.o')) name(word);
  }
  if (stopsAt === undefined) throw refused('it does not only compile', argv);
  const input = inputAt === undefined ? undefined : argv[inputAt];
  if (inputAt === undefined || input === undefined) throw refused('it has no source', argv);
  const { name: stem } = posix.parse(input);
  return { argv, inputAt, input, output: output ?? `${stem}${stopsAt === 'object' ? '.o' : '.s'}`, stopsAt };
}

/** The command with source and output elsewhere. */
export function withPlaces({ argv, inputAt }: CompileCommand, input: string, output: string): string[] {
  const placed: string[] = [];
  for (let at = 0; at < argv.length; at += 1) {
    const word = argv[at] ?? '';
    if (at === inputAt) placed.push(input);
    else if (takesNext.has(word)) placed.push(word, argv[(at += 1)] ?? '');
    else if (at > 0 && word === '-o') at += 1;
    else if (at === 0 || !(word.startsWith('-o') || (!word.startsWith('-') && word.endsWith('.o')))) placed.push(word);
  }
  return [...placed, '-o', output];
}

/** The command with its dependencies written to `path`, in the client's way if it asked for them, else as for -MMD. */
export function withDependencies(argv: readonly string[], path: string): string[] {
  const kept: string[] = [];
  for (let at = 0; at < argv.length; at += 1) {
    const word = argv[at] ?? '';
    if (word === '-MF') at += 1;
    else if (!word.startsWith('-MF')) kept.push(word);
    if (word === '-MT' || word === '-MQ') kept.push(argv[(at += 1)] ?? '');
  }
  const asked = argv.includes('-MD') || argv.includes('-MMD');
  return [...kept, ...(asked ? [] : ['-MMD']), '-MF', path];
}
