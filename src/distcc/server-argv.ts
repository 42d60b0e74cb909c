// The command line as a server of distcc's protocol is to have it. Pure. For preprocessed source (protocols 1 and 2) what
// only the preprocessor and the linker look at is left out, as stock distcc 3.4 leaves it out; for source and headers
// (protocol 3) all of it goes. What is added is what stock distcc adds: the output's name, and for clang its target.

/** Options whose value may be the next word. */
const withValue = [
  '-D',
  '-I',
  '-U',
  '-L',
  '-l',
  '-MF',
  '-MT',
  '-MQ',
  '-include',
  '-imacros',
  '-iprefix',
  '-iwithprefix',
  '-iwithprefixbefore',
  '-isystem',
  '-idirafter',
] as const;
const valueApart: ReadonlySet<string> = new Set(withValue);
/** Of those, the ones whose value may follow in the same word; stock sends `-isystemDIR`, which is looked at by nobody. */
const valueJoined = ['-D', '-I', '-U', '-L', '-l', '-MF', '-MT', '-MQ', '-Wp,', '-Wl,', '-stdlib'] as const;
const alone: ReadonlySet<string> = new Set(['-undef', '-nostdinc', '-nostdinc++', '-MD', '-MMD', '-MG', '-MP']);

/** The words after the compiler's name, without those that matter only to what was done here. */
export function withoutLocalWords(words: readonly string[]): string[] {
  const kept: string[] = [];
  for (let at = 0; at < words.length; at += 1) {
    const word = words[at] ?? '';
    if (valueApart.has(word)) at += 1;
    else if (word === '-o') kept.push(word, words[(at += 1)] ?? '');
    else if (!alone.has(word) && !valueJoined.some((start) => word.startsWith(start))) kept.push(word);
  }
  return kept;
}

/** With the output named, as stock distcc's always are: the server does not guess. */
function withOutput(words: readonly string[], object: string): string[] {
  return words.some((word) => word.startsWith('-o')) ? [...words] : [...words, '-o', object];
}

export type ServerCommand = {
  /** The compiler's name, for the server's own path. */
  readonly name: string;
  /** The words after the compiler's, as the user wrote them. */
  readonly words: readonly string[];
  readonly object: string;
  /** Of clang, which compiles for any: what it compiles for here, where the command does not say. */
  readonly target?: string | undefined;
};

// By another name it takes its target from that, there as here.
const plainClang = /^clang(?:\+\+)?(?:-[0-9.]+)?$/;

function complete(words: readonly string[], { name, object, target }: ServerCommand): string[] {
  const isOwn = target === undefined || !plainClang.test(name);
  const named = isOwn || words.some((word) => /^(?:-target$|--target)/.test(word));
  return [name, ...withOutput(words, object), ...(named ? [] : ['-target', target])];
}

export function argvForSource(command: ServerCommand): string[] {
  return complete(withoutLocalWords(command.words), command);
}

export function argvForFiles(command: ServerCommand): string[] {
  return complete(command.words, command);
}

/**
 * The names by which a server may know the compiler, the best first. Stock distcc writes a plain `gcc` out as
 * `x86_64-linux-gnu-gcc` where this box has that, so that a server with another processor does not take its own.
 */
export function compilerName(
  driver: { readonly name: string; readonly family: 'gcc' | 'clang'; readonly cplusplus: boolean },
  { target, isThere }: { readonly target: string; readonly isThere: (name: string) => boolean },
): string {
  const { name, family, cplusplus } = driver;
  const plain = { gcc: ['gcc', 'g++'], clang: ['clang', 'clang++'] }[family][cplusplus ? 1 : 0] ?? name;
  const generic = name === 'cc' || name === 'c++' ? plain : name;
  const full = `${target}-${generic}`;
  return family === 'gcc' && /^g(?:cc|\+\+)(?:-[0-9.]+)?$/.test(generic) && isThere(full) ? full : generic;
}
