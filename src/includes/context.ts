// A context is one set of search directories under one toolchain. In it an include name leads to the same files for
// every compile, so names and files are joined once to a graph, and a closure is a walk over it.
//
// The graph takes every candidate that exists, in whatever directory of the search path: the order of the path, and which
// candidate shadows which, is the compiler's business at both ends, and cannot be got wrong here.
import type { Definition } from './definitions.ts';
import type { Header } from './expand.ts';
import type { Include, ScanResult } from './scan.ts';
import { recordAt, scanOf, type FileRecord, type Records } from './records.ts';
import { follow, hasPrecompiled, newTrail } from './tree.ts';
import type { Arrival, Directory, Look, Place, Route, Trail, Tree } from './tree.ts';
import type { ClosureRequest } from './types.ts';

/** A file as it is named in some directory; behind a symbolic link, the content is another place's. */
export type Node = {
  readonly place: Place;
  readonly record: FileRecord;
  /** The toolchain's key for a file of the toolchain: it is no input, and checked once only. */
  readonly vouchedBy: string | undefined;
  /** Of the content that `leads` was made from. */
  version: number;
  leads: readonly Lead[];
  visit: number;
};

/** Where one include name leads: to each of these files, by way of these directories and links. */
export type Lead = {
  readonly nodes: readonly Node[];
  readonly directories: readonly Directory[];
  readonly links: readonly Place[];
  /** A precompiled form stands where the header is looked for. */
  readonly precompiled: string | undefined;
  visit: number;
};

export type Context = {
  readonly request: ClosureRequest;
  readonly tree: Tree;
  readonly records: Records;
  readonly toolchainKey: string;
  /** The tree's generation that all below was worked out in. */
  generation: number;
  cwd: Directory;
  /** What leads to the search directories, and they themselves. */
  base: Lead;
  searched: readonly Directory[];
  readonly nodes: Map<Place, Node>;
  readonly byName: Map<string, Lead>;
  readonly beside: Map<Directory, Map<string, Lead>>;
  readonly inside: Map<Directory, string | undefined>;
  /** What operands of #include that macros make came out as, with the definitions that were met on the way. */
  readonly readings: Map<string, Reading>;
};

export type Reading = {
  readonly used: ReadonlyMap<string, readonly Definition[]>;
  readonly headers: readonly Header[] | undefined;
};

export function contextKey(request: ClosureRequest): string {
  const { cwd, quoteDirs, searchDirs, toolchain } = request;
  return [toolchain.key, cwd, ...quoteDirs, ...searchDirs].join('\0');
}

const nowhere: Lead = { nodes: [], directories: [], links: [], precompiled: undefined, visit: 0 };

export function newContext(tree: Tree, records: Records, request: ClosureRequest): Context {
  return {
    request,
    tree,
    records,
    toolchainKey: request.toolchain.key,
    generation: -1,
    cwd: tree.root,
    base: nowhere,
    searched: [],
    nodes: new Map(),
    byName: new Map(),
    beside: new Map(),
    inside: new Map(),
    readings: new Map(),
  };
}

export function lookOf(context: Context, epoch: number): Look {
  return { epoch, vouchedBy: (directory) => vouchedBy(context, directory) };
}

export function vouchedBy(context: Context, directory: Directory): string | undefined {
  const known = context.inside.get(directory);
  if (known !== undefined || context.inside.has(directory)) return known;
  const answer = context.request.toolchain.isInside(directory.path) ? context.toolchainKey : undefined;
  context.inside.set(directory, answer);
  return answer;
}

/** Finds the search directories anew and forgets the graph; what is known of files and directories stays. */
export function rebuild(context: Context, look: Look): void {
  const { tree, request } = context;
  context.generation = tree.generation;
  context.nodes.clear();
  context.byName.clear();
  context.beside.clear();
  const route: Route = { look, trail: newTrail(), isSearch: false };
  const cwd = follow(tree, tree.root, request.cwd, route);
  context.cwd = cwd?.kind === 'directory' ? cwd.directory : tree.root;
  const searched = new Set<Directory>();
  const inTheWay: Node[] = [];
  for (const path of [...request.quoteDirs, ...request.searchDirs]) {
    const arrival = follow(tree, context.cwd, path, route);
    if (arrival?.kind === 'directory') searched.add(arrival.directory);
    // gcc says so where a file stands in the place of a directory.
    else inTheWay.push(...nodesFor(context, arrival));
  }
  context.searched = [...searched];
  context.base = leadFrom(context, route.trail, inTheWay);
}

function leadFrom(context: Context, trail: Trail, nodes: readonly Node[], precompiled?: string): Lead {
  const directories = [...trail.directories].filter((directory) => vouchedBy(context, directory) === undefined);
  const { isInside } = context.request.toolchain;
  const links = [...trail.links].filter((place) => !isInside(place.path));
  const isNowhere = nodes.length + directories.length + links.length === 0 && precompiled === undefined;
  return isNowhere ? nowhere : { nodes, directories, links, precompiled, visit: 0 };
}

function nodeAt(context: Context, spelled: Place, final: Place): Node {
  const known = context.nodes.get(spelled);
  if (known !== undefined) return known;
  const node: Node = {
    place: spelled,
    record: recordAt(context.records, final),
    vouchedBy: context.request.toolchain.isInside(final.path) ? context.toolchainKey : undefined,
    version: -1,
    leads: [],
    visit: 0,
  };
  context.nodes.set(spelled, node);
  return node;
}

/** A link and what it leads to are both taken: clang may know the file by either name, and look beside it there. */
function nodesFor(context: Context, arrival: Arrival | undefined): Node[] {
  if (arrival?.kind !== 'place') return [];
  const { spelled, final } = arrival;
  const nodes = [nodeAt(context, spelled, final)];
  if (spelled !== final) nodes.push(nodeAt(context, final, final));
  return nodes;
}

type Search = { readonly look: Look; readonly suffixes: readonly string[] };

/** All files that a name leads to from the directories given. */
function search(context: Context, directories: readonly Directory[], name: string, { look, suffixes }: Search): Lead {
  const { tree } = context;
  const trail = newTrail();
  const nodes = new Set<Node>();
  let precompiled: string | undefined;
  const last = name.lastIndexOf('/');
  for (const from of directories) {
    const route: Route = { look, trail, isSearch: true };
    const parent = last < 0 ? from : directoryAt(tree, from, name.slice(0, last + 1), route);
    if (parent === undefined) continue;
    for (const node of nodesFor(context, follow(tree, parent, name.slice(last + 1), route))) nodes.add(node);
    for (const suffix of suffixes) {
      const form = name.slice(last + 1) + suffix;
      if (hasPrecompiled(tree, parent, form, look)) precompiled = `${parent.path}/${form}`;
    }
  }
  // The starting points are checked with the context, or with the file that stands in them.
  for (const from of directories) if (from !== tree.root) trail.directories.delete(from);
  return leadFrom(context, trail, [...nodes], precompiled);
}

function directoryAt(tree: Tree, from: Directory, path: string, route: Route): Directory | undefined {
  const arrival = follow(tree, from, path, { ...route, isSearch: false });
  return arrival?.kind === 'directory' ? arrival.directory : undefined;
}

const headerForms = ['.gch'];
// clang takes these for -include only.
const forcedForms = ['.gch', '.pch'];

function leadByName(context: Context, name: string, look: Look): Lead {
  let lead = context.byName.get(name);
  if (lead === undefined) {
    const from = name.startsWith('/') ? [context.tree.root] : context.searched;
    lead = search(context, from, name, { look, suffixes: headerForms });
    context.byName.set(name, lead);
  }
  return lead;
}

function leadBeside(context: Context, directory: Directory, name: string, look: Look): Lead {
  let leads = context.beside.get(directory);
  if (leads === undefined) {
    leads = new Map();
    context.beside.set(directory, leads);
  }
  let lead = leads.get(name);
  if (lead === undefined) {
    lead = search(context, [directory], name, { look, suffixes: headerForms });
    leads.set(name, lead);
  }
  return lead;
}

/** Where an include in a file of `directory` leads. */
export function leadsFor(context: Context, directory: Directory, include: Include, look: Look): Lead[] {
  const leads = [leadByName(context, include.name, look)];
  if (include.beside && !include.name.startsWith('/')) leads.push(leadBeside(context, directory, include.name, look));
  return leads.filter((lead) => lead !== nowhere);
}

/** `-include`: from the working directory, then by the search path. */
export function forcedLeads(context: Context, name: string, look: Look): Lead[] {
  const from = name.startsWith('/') ? [context.tree.root] : [context.cwd, ...context.searched];
  return [search(context, from, name, { look, suffixes: forcedForms })];
}

/** A file named by its path alone: the source, or an input that an option names. */
export function leadToPath(context: Context, path: string, look: Look): Lead {
  const trail = newTrail();
  const arrival = follow(context.tree, context.cwd, path, { look, trail, isSearch: false });
  return leadFrom(context, trail, nodesFor(context, arrival));
}

function hasNoLeads({ includes, assembled, quoted }: ScanResult): boolean {
  return includes.length + assembled.length + quoted.length === 0;
}

/** Brings the leads of a file up to the content that its record describes. */
export function updateLeads(context: Context, node: Node, look: Look): void {
  const found = scanOf(context.records, node.record);
  node.version = node.record.version;
  if (hasNoLeads(found)) {
    node.leads = [];
    return;
  }
  const leads = new Set<Lead>();
  const { directory } = node.place;
  for (const include of found.includes) for (const lead of leadsFor(context, directory, include, look)) leads.add(lead);
  for (const name of found.assembled) {
    // gas looks from the working directory and in the directories of -I.
    for (const lead of leadsFor(context, directory, { name, beside: true }, look)) leads.add(lead);
    leads.add(leadBeside(context, context.cwd, name, look));
  }
  for (const name of found.quoted) leads.add(leadToPath(context, name, look));
  leads.delete(nowhere);
  node.leads = [...leads];
}
