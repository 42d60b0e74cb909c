// One compile's walk over its context's graph. What it passes is checked against the disk on the way; should that change
// the graph, the walk begins again.
import { definitionFromOption, type Definition } from './definitions.ts';
import { headersAsked, headersNamed, type Header, type Lookup } from './expand.ts';
import { forcedLeads, leadsFor, leadToPath, lookOf, rebuild, updateLeads, vouchedBy } from './context.ts';
import type { Context, Lead, Node } from './context.ts';
import { askingWords, optionsWith } from './questions.ts';
import { checkFile, definitionsOf, entryOf, scanOf, usesOf, type FileState, type Records } from './records.ts';
import type { Hazard, HazardKind, Include } from './scan.ts';
import { checkDirectory, type Directory, type Look, type Place } from './tree.ts';
import type { Closure, ClosureRequest, ClosureResult, DirectoryEntry, FileEntry, Here, SymlinkEntry } from './types.ts';
import { FileChangedError } from './types.ts';

type Walk = {
  readonly context: Context;
  readonly request: ClosureRequest;
  readonly look: Look;
  /** Marks what this walk has met. */
  readonly visit: number;
  readonly waiting: Node[];
  readonly nodes: Node[];
  readonly files: FileEntry[];
  readonly symlinks: SymlinkEntry[];
  readonly directories: DirectoryEntry[];
  /** Inputs that are only carried along, not read for what they include. */
  readonly plain: Set<Node>;
  verdict: Here | undefined;
};

// A walk begins again only if a name appeared or went while it ran; more than once or twice is a build gone mad.
const maxWalks = 8;

// gcc on glibc includes it before all else, by the search path: a project's own comes first.
const implicitHeader: Include = { name: 'stdc-predef.h', beside: false };

let lastVisit = 0;

export function closureIn(context: Context, request: ClosureRequest): ClosureResult {
  const look = lookOf(context, request.epoch);
  try {
    for (let walks = 0; walks < maxWalks; walks++) {
      if (context.generation !== context.tree.generation) rebuild(context, look);
      const generation = context.generation;
      const result = walkFrom(context, request, look);
      if (context.tree.generation === generation) return result;
    }
  } catch (error) {
    if (error instanceof FileChangedError) return here('file-changed', error.path);
    throw error;
  }
  return here('file-changed', request.source);
}

function here(reason: Here['reason'], detail: string): Here {
  return { kind: 'here', reason, detail };
}

function walkFrom(context: Context, request: ClosureRequest, look: Look): ClosureResult {
  const walk: Walk = {
    context,
    request,
    look,
    visit: ++lastVisit,
    waiting: [],
    nodes: [],
    files: [],
    symlinks: [],
    directories: [],
    plain: new Set(),
    verdict: macroVerdict(request),
  };
  takeLead(walk, context.base);
  takeDirectory(walk, context.cwd);
  for (const directory of context.searched) takeDirectory(walk, directory);
  for (const path of request.extraInputs) takePlain(walk, leadToPath(context, path, look));
  const toSource = leadToPath(context, request.source, look);
  const source = toSource.nodes.at(-1);
  if (source === undefined) return here('source-missing', request.source);
  // Whatever was looked at in this epoch, the source is looked at for each compile: it is what people edit in between.
  source.record.checkedEpoch = -1;
  takeLead(walk, toSource);
  if (!request.preprocessed) {
    for (const lead of leadsFor(context, context.cwd, implicitHeader, look)) takeLead(walk, lead);
    for (const name of request.forced) for (const lead of forcedLeads(context, name, look)) takeLead(walk, lead);
  }
  finish(walk, source);
  if (walk.verdict !== undefined) return walk.verdict;
  if (source.vouchedBy !== undefined) walk.files.push(entryOf(context.records, source.record));
  return {
    kind: 'closure',
    source: entryOf(context.records, source.record),
    files: walk.files,
    symlinks: walk.symlinks,
    directories: walk.directories,
    generation: context.generation,
  };
}

const nobody: Look['vouchedBy'] = () => undefined;

/** Looks at the disk again: every file of the same version, every directory with the same names for all who asked. */
export function closureHolds(records: Records, closure: Closure, epoch: number): boolean {
  const { tree } = records;
  const look: Look = { epoch, vouchedBy: nobody };
  checkDirectory(tree, tree.root, look);
  for (const { id } of closure.directories) {
    const directory = tree.places[id]?.child;
    if (directory !== undefined) checkDirectory(tree, directory, look);
  }
  if (tree.generation !== closure.generation) return false;
  return closure.files.every((file) => {
    const record = records.byPath.get(file.path);
    if (record === undefined) return false;
    checkFile(records, record, { epoch, vouchedBy: undefined });
    return record.state === 'read' && record.entry === file;
  });
}

function takePlain(walk: Walk, lead: Lead): void {
  for (const node of lead.nodes) walk.plain.add(node);
  takeLead(walk, lead);
}

/** Visits until nothing new turns up; includes made by macros are worked out when all definitions are known. */
function finish(walk: Walk, source: Node): void {
  for (;;) {
    for (let node = walk.waiting.pop(); node !== undefined; node = walk.waiting.pop()) {
      visitNode(walk, node, source);
      if (walk.verdict !== undefined) return;
    }
    if (!walk.request.preprocessed) takeComputed(walk);
    if (walk.waiting.length === 0 || walk.verdict !== undefined) return;
  }
}

function takeDirectory(walk: Walk, directory: Directory): void {
  if (directory.visit === walk.visit) return;
  directory.visit = walk.visit;
  if (vouchedBy(walk.context, directory) !== undefined) return;
  checkDirectory(walk.context.tree, directory, walk.look);
  if (directory.parent !== undefined) walk.directories.push(directory.entry);
}

function takeLink(walk: Walk, place: Place): void {
  if (place.visit === walk.visit) return;
  place.visit = walk.visit;
  if (place.link === undefined) return;
  // A target that is not UTF-8 could neither be followed nor be sent.
  if (place.link.target.includes('\ufffd')) walk.verdict ??= here('path-encoding', place.path);
  walk.symlinks.push(place.link);
}

function takeLead(walk: Walk, lead: Lead): void {
  if (lead.visit === walk.visit) return;
  lead.visit = walk.visit;
  for (const directory of lead.directories) takeDirectory(walk, directory);
  for (const link of lead.links) takeLink(walk, link);
  if (lead.precompiled !== undefined) walk.verdict ??= here('precompiled-header', lead.precompiled);
  for (const node of lead.nodes) {
    if (node.visit === walk.visit) continue;
    node.visit = walk.visit;
    walk.waiting.push(node);
  }
}

function visitNode(walk: Walk, node: Node, source: Node): void {
  const { context, look } = walk;
  const { record } = node;
  if (node.vouchedBy !== undefined && walk.plain.has(node)) return;
  takeDirectory(walk, node.place.directory);
  checkFile(context.records, record, { epoch: look.epoch, vouchedBy: node.vouchedBy });
  if (record.state !== 'read') {
    walk.verdict ??= stateVerdict(record.state, record.place);
    return;
  }
  if (node.vouchedBy === undefined && node.place === record.place) walk.files.push(entryOf(context.records, record));
  if (walk.plain.has(node)) return;
  walk.nodes.push(node);
  if (node.version !== record.version) updateLeads(context, node, look);
  const found = scanOf(context.records, record);
  for (const hazard of found.hazards) walk.verdict ??= hazardVerdict(walk, node, hazard);
  if (walk.request.preprocessed && node === source) return takeFromPreprocessed(walk, node);
  for (const lead of node.leads) takeLead(walk, lead);
}

/** Preprocessed text includes nothing more, but names the files that it came from, and the assembler's. */
function takeFromPreprocessed(walk: Walk, node: Node): void {
  const { context, look } = walk;
  const found = scanOf(context.records, node.record);
  for (const name of found.quoted) takePlain(walk, leadToPath(context, name, look));
  for (const name of found.assembled) {
    for (const lead of leadsFor(context, node.place.directory, { name, beside: true }, look)) takeLead(walk, lead);
    takeLead(walk, leadToPath(context, name, look));
  }
}

function stateVerdict(state: FileState, place: Place): Here {
  if (place.path.includes('\ufffd')) return here('path-encoding', place.path);
  if (state === 'special') return here('special-input', place.path);
  return here(state === 'gone' ? 'file-changed' : 'header-unreadable', place.path);
}

const hazardReasons: Readonly<Record<HazardKind, Here['reason']>> = {
  date: 'timestamp-macro',
  timestamp: 'timestamp-macro',
  incbin: 'incbin',
  embed: 'embed',
  dependency: 'pragma-dependency',
  precompiled: 'precompiled-header',
  alias: 'computed-include',
  encoding: 'path-encoding',
};

const stillWhenPreprocessed: ReadonlySet<HazardKind> = new Set(['incbin', 'dependency', 'precompiled', 'alias']);

function hazardVerdict({ request }: Walk, node: Node, hazard: Hazard): Here | undefined {
  if (hazard.kind === 'date' && request.sourceDateEpoch) return undefined;
  if (request.preprocessed && !stillWhenPreprocessed.has(hazard.kind)) return undefined;
  return here(hazardReasons[hazard.kind], `${node.place.path}:${hazard.line}`);
}

function macroVerdict(request: ClosureRequest): Here | undefined {
  if (request.preprocessed) return undefined;
  for (const { kind, text } of request.macros) {
    const clock = kind === 'define' ? /\b__(DATE|TIME|TIMESTAMP)__\b/.exec(text)?.[1] : undefined;
    if (clock !== undefined && !(request.sourceDateEpoch && clock !== 'TIMESTAMP')) {
      return here('timestamp-macro', `-D ${text}`);
    }
  }
  return undefined;
}

function takeComputed(walk: Walk): void {
  const { context } = walk;
  const asking: Node[] = [];
  let lookup: Lookup | undefined;
  for (const node of walk.nodes) {
    const { computed, asksByMacro } = scanOf(context.records, node.record);
    if (asksByMacro) asking.push(node);
    for (const { text, line } of computed) {
      lookup ??= definitionLookup(walk);
      takeHeaders(walk, node, {
        text,
        where: `:${line}`,
        headers: readingOf(context, text, { lookup, by: 'include' }),
      });
    }
  }
  if (walk.verdict === undefined) takeAsked(walk, asking);
}

type Worked = { readonly text: string; readonly where: string; readonly headers: readonly Header[] | undefined };

function takeHeaders(walk: Walk, node: Node, { text, where, headers }: Worked): void {
  if (headers === undefined) walk.verdict ??= here('computed-include', `${node.place.path}${where}: ${text}`);
  for (const include of (headers ?? []).map(asInclude)) {
    for (const lead of leadsFor(walk.context, node.place.directory, include, walk.look)) takeLead(walk, lead);
  }
}

// Macros that use macros that use macros … that ask; the deepest known are two.
const mostRounds = 8;

/** What is asked for by macros: those that ask, those that use them, and then what each #if gives them. */
function takeAsked(walk: Walk, asking: readonly Node[]): void {
  const { context, request, nodes } = walk;
  const { records } = context;
  let words: ReadonlySet<string> = new Set([
    ...optionsWith(request.macros, askingWords),
    ...asking.flatMap(({ record }) => usesOf(records, record, askingWords).macros),
  ]);
  for (let rounds = 0; words.size > 0; rounds += 1) {
    const uses = nodes.map((node) => ({ node, ...usesOf(records, node.record, words) }));
    const all = new Set([...words, ...optionsWith(request.macros, words), ...uses.flatMap(({ macros }) => macros)]);
    if (all.size === words.size) return takeCalls(walk, uses);
    if (rounds === mostRounds) walk.verdict ??= here('computed-include', `__has_include by ${[...all].at(-1)}`);
    if (walk.verdict !== undefined) return;
    words = all;
  }
}

function takeCalls(walk: Walk, uses: readonly { readonly node: Node; readonly calls: readonly string[] }[]): void {
  const lookup = definitionLookup(walk);
  for (const { node, calls } of uses) {
    for (const text of calls) {
      takeHeaders(walk, node, { text, where: '', headers: readingOf(walk.context, text, { lookup, by: 'question' }) });
    }
  }
}

type Reading = { readonly lookup: Lookup; readonly by: 'include' | 'question' };

/** Working an operand out takes milliseconds; asking whether its macros still have the same definitions does not. */
function readingOf(context: Context, operand: string, { lookup, by }: Reading): readonly Header[] | undefined {
  const key = `${by} ${operand}`;
  const known = context.readings.get(key);
  if (known !== undefined && [...known.used].every(([name, before]) => sameDefinitions(before, lookup(name)))) {
    return known.headers;
  }
  const used = new Map<string, readonly Definition[]>();
  const find = by === 'include' ? headersNamed : headersAsked;
  const headers = find(operand, (name) => {
    const definitions = lookup(name);
    used.set(name, definitions);
    return definitions;
  });
  context.readings.set(key, { used, headers });
  return headers;
}

function sameDefinitions(a: readonly Definition[], b: readonly Definition[]): boolean {
  const before = new Set(a.map(definitionKey));
  return a.length === b.length && b.every((definition) => before.has(definitionKey(definition)));
}

function asInclude({ name }: Header): Include {
  return { name, beside: true };
}

// Predefined in GNU modes; a path that is spelled by macros may contain them.
const one: Definition = { parameters: undefined, isVariadic: false, body: '1' };
const predefined = new Map<string, Definition>([
  ['linux', one],
  ['unix', one],
  ['i386', one],
]);

// These differ from place to place, and are defined nowhere.
const unknowable: Definition = { parameters: undefined, isVariadic: false, body: undefined };
const builtIn = /^__(?:FILE|FILE_NAME|BASE_FILE|LINE|COUNTER|INCLUDE_LEVEL|DATE|TIME|TIMESTAMP)__$|^_Pragma$/;

/** All definitions of a name in the files met so far, on the command line and of the compiler. */
function definitionLookup(walk: Walk): Lookup {
  const options = new Map<string, Definition[]>();
  for (const { kind, text } of walk.request.macros) {
    if (kind === 'undefine') continue;
    const { name, definition } = definitionFromOption(text);
    options.set(name, [...(options.get(name) ?? []), definition]);
  }
  const known = new Map<string, readonly Definition[]>();
  const { records } = walk.context;
  return (name) => {
    let found = known.get(name);
    if (found === undefined) {
      const all = new Set<Definition>(options.get(name));
      for (const { record } of walk.nodes) {
        for (const definition of definitionsOf(records, record, name)) all.add(definition);
      }
      const own = predefined.get(name);
      if (own !== undefined) all.add(own);
      if (builtIn.test(name)) all.add(unknowable);
      found = distinct(all);
      known.set(name, found);
    }
    return found;
  };
}

function distinct(definitions: ReadonlySet<Definition>): Definition[] {
  const byText = new Map<string, Definition>();
  for (const definition of definitions) byText.set(definitionKey(definition), definition);
  return [...byText.values()];
}

function definitionKey({ parameters, isVariadic, body }: Definition): string {
  return `${parameters?.join() ?? '-'}\0${isVariadic}\0${body ?? '\0'}`;
}
