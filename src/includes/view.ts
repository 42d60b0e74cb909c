// The include view: for each compile a superset of the files it can read, found without a preprocessor. See tree.ts for
// directories, records.ts for files, context.ts for what leads where, closure.ts for one compile.
import { closureHolds, closureIn } from './closure.ts';
import { contextKey, newContext, type Context } from './context.ts';
import { realNowNs, type Files } from './files.ts';
import { newRecords } from './records.ts';
import { loadRecords, saveRecords } from './saved.ts';
import { checkDirectory, newTree, type Look, type Tree } from './tree.ts';
import type { ClosureRequest, IncludeView, TreeEntry } from './types.ts';

// A graph of 2,000 files takes about half a megabyte; builds with a set of search directories per target have hundreds.
const maxContexts = 64;

export function createIncludeView(files: Files, nowNs: () => bigint = realNowNs): IncludeView {
  const tree = newTree(files, nowNs);
  const records = newRecords(tree);
  const contexts = new Map<string, Context>();
  let contextsMade = 0;

  const contextFor = (request: ClosureRequest): Context => {
    const key = contextKey(request);
    let context = contexts.get(key);
    if (context === undefined) {
      contextsMade++;
      context = newContext(tree, records, request);
    }
    // Moved to the end: the first is the one unused for longest.
    contexts.delete(key);
    contexts.set(key, context);
    const [oldest] = contexts.keys();
    if (contexts.size > maxContexts && oldest !== undefined) contexts.delete(oldest);
    return context;
  };

  return {
    closure: (request) => closureIn(contextFor(request), request),
    holds: (closure, epoch) => closureHolds(records, closure, epoch),
    vanished: <E extends TreeEntry>(entries: Iterable<E>, epoch: number): E[] => {
      const look: Look = { epoch, vouchedBy: () => undefined };
      const gone: E[] = [];
      for (const entry of entries) if (isGone(tree, entry, look)) gone.push(entry);
      return gone;
    },
    save: () => saveRecords(records),
    load: (saved) => loadRecords(records, saved),
    counts: () => ({
      filesKnown: records.byPath.size,
      filesRead: records.filesRead,
      fileStats: records.fileStats,
      directoryStats: tree.directoryStats,
      directoriesListed: tree.directoriesListed,
      contextsMade,
      generation: tree.generation,
    }),
  };
}

function isGone(tree: Tree, entry: TreeEntry, look: Look): boolean {
  const place = tree.places[entry.id];
  if (place === undefined) return entry.path !== '/';
  checkDirectory(tree, place.directory, look);
  if (place.kind !== entry.kind) return true;
  return entry.kind === 'symlink' && place.link?.target !== entry.target;
}
