// What a command line means. Pure: no file is looked at; who calls checks that the paths named exist.
//
// A command travels only if every word of it is understood. What is found out on the way there is kept in a Draft; the
// first word that keeps the job here is noted, and the reading goes on, because "it links" explains more than "an
// option is unknown" does.
import type { ReasonId } from '../observe/reasons.ts';
import { environmentObstacle, searchFromEnvironment } from './environment.ts';
import { languageNamed, languageOfFile, type SourceLanguage } from './languages.ts';
import type { OptionRow, Role } from './option-table.ts';
import { matchOption } from './options.ts';
import { mainOutput, outputsOf, type OutputRequest } from './outputs.ts';
import { isPlainForAssembler, isPlainForClang, isPlainForLlvm, preprocessorWords } from './pass-through.ts';
import type { PreprocessorWord } from './pass-through.ts';
import { expandResponseFiles } from './response-file.ts';
import type { CommandLine, ForcedInclude, MacroOption, TranslationUnit, Verdict } from './translation-unit.ts';

type Source = { readonly path: string; readonly language: SourceLanguage };

type Draft = {
  readonly line: CommandLine;
  obstacle: { readonly reason: ReasonId; readonly detail: string } | undefined;
  mode: 'link' | 'object' | 'assembly' | 'preprocess' | 'syntax' | 'question';
  /** The language of -x, for the sources after it. */
  language: SourceLanguage | undefined;
  preprocessed: boolean;
  readonly sources: Source[];
  readonly macros: MacroOption[];
  /** Macros of -Wp, which both compilers put after those of -D. */
  readonly lateMacros: MacroOption[];
  /** A list for each option. */
  readonly forPreprocessor: string[][];
  readonly forAssembler: string[];
  readonly forced: ForcedInclude[];
  readonly search: { quote: string[]; angle: string[]; system: string[]; after: string[] };
  includePrefix: string | undefined;
  sysroot: string | undefined;
  headerSysroot: string | undefined;
  standardIncludes: boolean;
  readonly probeOptions: string[];
  readonly wanted: OutputRequest;
};

function newDraft(line: CommandLine): Draft {
  return {
    line,
    obstacle: undefined,
    mode: 'link',
    language: undefined,
    preprocessed: false,
    sources: [],
    macros: [],
    lateMacros: [],
    forPreprocessor: [],
    forAssembler: [],
    forced: [],
    search: { quote: [], angle: [], system: [], after: [] },
    includePrefix: undefined,
    sysroot: undefined,
    headerSysroot: undefined,
    standardIncludes: true,
    probeOptions: [],
    wanted: { named: undefined, bitcode: false, dependencies: undefined, passedDependencies: [], kinds: new Set() },
  };
}

/** What the command compiles, or why it has to run here. */
export function understand(line: CommandLine): Verdict {
  const [, ...words] = line.argv;
  const expansion = expandResponseFiles(words, line.readResponseFile);
  if (expansion.kind === 'unreadable') return stay('response-file', `@${expansion.file}`);
  const draft = newDraft(line);
  const environment = environmentObstacle(line.env);
  if (environment !== undefined) note(draft, 'environment', environment);
  readWords(draft, expansion.words);
  readPassedOn(draft);
  return conclude(draft, expansion.files);
}

function stay(reason: ReasonId, detail: string): Verdict {
  return { kind: 'here', reason, detail };
}

function note(draft: Draft, reason: ReasonId, detail: string): void {
  draft.obstacle ??= { reason, detail };
}

function readWords(draft: Draft, words: readonly string[]): void {
  for (let at = 0; at < words.length; at += 1) {
    const word = words[at] ?? '';
    if (word === '-' || !word.startsWith('-')) {
      draft.sources.push({ path: word, language: draft.language ?? languageOfFile(word, draft.line) });
      continue;
    }
    const match = matchOption(word);
    if (match === undefined) {
      note(draft, 'unknown-option', word);
      continue;
    }
    if (match.kind === 'option') {
      readOption(draft, { row: match.row, value: match.value, words: [word] });
      continue;
    }
    at += 1;
    const value = words[at];
    if (value === undefined) note(draft, 'usage-error', word);
    else readOption(draft, { row: match.row, value, words: [word, value] });
  }
}

type Given = { readonly row: OptionRow; readonly value: string; readonly words: readonly string[] };

function readOption(draft: Draft, given: Given): void {
  const [, , role, probe] = given.row;
  const text = given.words.join(' ');
  if (typeof role === 'object') {
    note(draft, role.here, text);
    return;
  }
  if (probe === 'probe') draft.probeOptions.push(...given.words);
  const refusal = apply(draft, role, given.value);
  if (refusal !== undefined) note(draft, refusal, text);
}

/** Takes one option into the draft; answers with a reason if it cannot travel with this value. */
function apply(draft: Draft, role: Role, value: string): ReasonId | undefined {
  const { search, wanted } = draft;
  switch (role) {
    case 'code':
    case 'link':
    case 'dependency-target':
      return undefined;
    case 'code-flag':
      return value.includes('=') ? 'unknown-option' : undefined;
    case 'code-word':
      return wordObstacle(value);
    case 'charset':
      return ownCharset.test(value) ? undefined : 'charset';
    case 'source-charset':
      return /^UTF-8$/i.test(value) ? undefined : 'charset';
    case 'compile':
    case 'assembly':
    case 'preprocess':
    case 'syntax-only':
    case 'question':
      return setMode(draft, role);
    case 'output':
      wanted.named = value;
      return undefined;
    case 'language':
      draft.language = value === 'none' ? undefined : languageNamed(value);
      return undefined;
    case 'quote':
    case 'angle':
    case 'system':
    case 'after':
      if (value === '-') return 'unknown-option';
      search[role].push(value);
      return undefined;
    case 'include-prefix':
      draft.includePrefix = value;
      return undefined;
    case 'with-prefix':
    case 'with-prefix-before':
      return addPrefixed(draft, role, value);
    case 'sysroot':
      draft.sysroot = value;
      return undefined;
    case 'header-sysroot':
      draft.headerSysroot = value;
      return undefined;
    case 'no-standard-includes':
      draft.standardIncludes = false;
      return undefined;
    case 'include':
    case 'imacros':
      draft.forced.push({ kind: role, file: value });
      return undefined;
    case 'define':
    case 'undefine':
      draft.macros.push({ kind: role, text: value });
      return undefined;
    case 'preprocessed':
      draft.preprocessed = true;
      return undefined;
    case 'dependencies':
      wanted.kinds.add('dependencies');
      return undefined;
    case 'dependency-file':
      wanted.dependencies = value;
      return undefined;
    case 'split-dwarf':
      wanted.kinds.add('dwo');
      return wordObstacle(value);
    case 'bitcode':
      wanted.bitcode = true;
      return undefined;
    case 'stack-usage':
    case 'callgraph':
    case 'coverage-notes':
      wanted.kinds.add(role);
      return undefined;
    case 'for-preprocessor':
      draft.forPreprocessor.push(value.split(','));
      return undefined;
    case 'for-preprocessor-word':
      draft.forPreprocessor.push([value]);
      return undefined;
    case 'for-assembler':
      draft.forAssembler.push(...value.split(','));
      return undefined;
    case 'for-assembler-word':
      draft.forAssembler.push(value);
      return undefined;
    case 'for-clang':
      return isPlainForClang(value) ? undefined : 'pass-through';
    case 'for-llvm':
      return isPlainForLlvm(value) ? undefined : 'pass-through';
  }
}

// What gcc converts to by itself. For all others libc loads a module, which is not among a compiler's files.
const ownCharset = /^UTF-(?:8|(?:16|32)[LB]E)$/i;

/** `-march=native` is `-m` with the value `arch=native`; a slash may be a path that the table does not foresee. */
function wordObstacle(value: string): ReasonId | undefined {
  if (/=native\b/.test(value)) return 'native-arch';
  return /=.*\//.test(value) || value.startsWith('/') ? 'unknown-option' : undefined;
}

// Whichever stops earliest wins, wherever it stands: gcc -c -E preprocesses.
const modeOrder = ['link', 'object', 'assembly', 'syntax', 'preprocess', 'question'] as const;
const modeOf = {
  compile: 'object',
  assembly: 'assembly',
  'syntax-only': 'syntax',
  preprocess: 'preprocess',
  question: 'question',
} as const;

function setMode(draft: Draft, role: keyof typeof modeOf): undefined {
  const mode = modeOf[role];
  if (modeOrder.indexOf(mode) > modeOrder.indexOf(draft.mode)) draft.mode = mode;
}

function addPrefixed(draft: Draft, role: 'with-prefix' | 'with-prefix-before', value: string): ReasonId | undefined {
  if (draft.includePrefix === undefined) return 'own-parts';
  const directory = draft.includePrefix + value;
  if (role === 'with-prefix-before') draft.search.angle.push(directory);
  // Where each family searches it; both places are searched whole.
  else if (draft.line.family === 'gcc') draft.search.system.push(directory);
  else draft.search.after.push(directory);
  return undefined;
}

/**
 * What goes to the preprocessor and the assembler. gcc strings the words of all such options together; clang takes
 * `-Wp,-MD,FILE` for `-MD -MF FILE` where nothing else is in the option.
 */
function readPassedOn(draft: Draft): void {
  const { forPreprocessor, forAssembler, line } = draft;
  if (!isPlainForAssembler(forAssembler)) note(draft, 'pass-through', forAssembler.join(','));
  const lists = line.family === 'gcc' ? [forPreprocessor.flat()] : forPreprocessor;
  for (const list of lists) {
    const words = preprocessorWords(list);
    const isClear = line.family === 'gcc' || list.length === 2 || words?.every(({ kind }) => kind !== 'dependencies');
    if (words === undefined || isClear !== true) note(draft, 'pass-through', list.join(','));
    else for (const word of words) takePreprocessorWord(draft, word);
  }
}

function takePreprocessorWord(draft: Draft, word: PreprocessorWord): void {
  if (word.kind === 'dependencies') draft.wanted.passedDependencies.push(word.file);
  else if (word.kind !== 'target') draft.lateMacros.push(word);
}

const configureSource =
  /(?:^|\/)(?:conftest|_configtest|ztest\d+|CMake\w*Compiler(?:Id|ABI)|testCCompiler|testCXXCompiler|sanitycheckc(?:pp)?)\.\w+$/;
const configureDirectory = /(?:^|\/)(?:CMakeScratch|CMakeTmp|meson-private|meson-uninstalled-private)(?:\/|$)/;

/** A question that a configure step asks by compiling something small. */
function isProbe(draft: Draft): boolean {
  if (configureDirectory.test(draft.line.env.get('PWD') ?? '')) return true;
  return draft.sources.some(
    ({ path }) => path === '/dev/null' || configureSource.test(path) || configureDirectory.test(path),
  );
}

/** Why no single source is compiled to an object or to assembly; undefined if one is. */
function whyNoCompile(draft: Draft): Verdict | undefined {
  const { mode, sources } = draft;
  const first = sources[0];
  if (mode === 'question') return stay('probe-conftest', '');
  if (first === undefined) return stay(draft.obstacle?.reason === 'verbose' ? 'probe-conftest' : 'no-input', '');
  if (isProbe(draft)) return stay('probe-conftest', first.path);
  if (mode === 'preprocess') return stay('preprocess-only', first.path);
  if (mode === 'syntax') return stay('syntax-only', first.path);
  if (mode === 'link' && first.language.kind === 'header') return stay('precompiled-header', first.path);
  if (mode === 'link') return stay('link', draft.wanted.named ?? 'a.out');
  if (first.path === '-') return stay('stdin-input', '-');
  return undefined;
}

function conclude(draft: Draft, responseFiles: readonly string[]): Verdict {
  const none = whyNoCompile(draft);
  if (none !== undefined) return none;
  if (draft.obstacle !== undefined) return stay(draft.obstacle.reason, draft.obstacle.detail);
  const [source, second] = draft.sources;
  if (source === undefined) return stay('no-input', '');
  if (second !== undefined) return stay('several-inputs', second.path);
  const { language } = source;
  if (language.kind === 'header') return stay('precompiled-header', source.path);
  if (language.kind !== 'unit') return stay('other-language', source.path);
  const search = searchDirectories(draft, language.language);
  if (search === undefined) return stay('own-parts', 'a search directory that begins with =');
  const mode = draft.mode === 'assembly' ? 'assembly' : 'object';
  const form = { mode, family: draft.line.family, source: source.path } as const;
  const object = mainOutput(draft.wanted, form);
  const outputs = outputsOf(draft.wanted, form);
  const special = outputs.find(({ path }) => isSpecial(path));
  if (special !== undefined) return stay('output-special', special.path);
  const sysroot = draft.headerSysroot ?? draft.sysroot;
  const unit: TranslationUnit = {
    language: language.language,
    preprocessed: language.preprocessed || draft.preprocessed,
    source: source.path,
    object,
    outputs,
    search,
    forced: draft.forced,
    macros: [...draft.macros, ...draft.lateMacros],
    inputs: responseFiles,
    ...(sysroot === undefined ? {} : { sysroot }),
    standardIncludes: draft.standardIncludes,
    probeOptions: draft.probeOptions,
  };
  return { kind: 'travel', unit };
}

/** Outputs that are certainly no files; a name like `.o` is given its own rules by gcc for what lies beside it. */
function isSpecial(path: string): boolean {
  return (
    path === '-' || path === '' || path.endsWith('/') || path.startsWith('/dev/') || /(?:^|\/)\.[^./]*$/.test(path)
  );
}

/** With the environment's added, and `=dir` (or `$SYSROOT/dir`) put under the sysroot as both compilers do. */
function searchDirectories(draft: Draft, language: TranslationUnit['language']): TranslationUnit['search'] | undefined {
  const root = draft.headerSysroot ?? draft.sysroot;
  let known = true;
  const resolve = (directory: string): string => {
    const inside = /^(?:=|\$SYSROOT)(.*)$/s.exec(directory)?.[1];
    if (inside === undefined) return directory;
    known &&= root !== undefined;
    return `${root}${inside}`;
  };
  const environment = searchFromEnvironment(draft.line.env, language);
  const search = {
    quote: draft.search.quote.map(resolve),
    angle: [...draft.search.angle.map(resolve), ...environment.angle],
    system: [...draft.search.system.map(resolve), ...environment.system],
    after: draft.search.after.map(resolve),
  };
  return known ? search : undefined;
}
