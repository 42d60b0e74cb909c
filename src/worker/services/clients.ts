// What each client may see of the store (docs/decisions/digest-ownership.md). The blobs that it *holds* it brought, or got
// in a result. A Directory is *whole* for it if it holds everything below; a job may run on whole trees only, or a client
// could name another's blob in a tree of its own and have the compiler print it.
import { readFileSync } from 'node:fs';
import type { Digest } from '../../reapi/digest.ts';
import { missingBlobsError } from '../../reapi/errors.ts';
import { Directory, Tree, type ActionResult } from '../../reapi/gen/remote_execution.ts';
import type { BlobStore } from '../../store/blob-store.ts';
import { newDigestSet, savedBytesEach, type DigestSet } from '../../store/digest-set.ts';
import { heldStore, holds } from '../../store/held.ts';
import { writeWhole, type StoreWriter } from '../../store/store-writer.ts';
import { clientOf, type Peer } from '../../trust/peer.ts';
import { invalidTree, type Directories } from '../trees/directories.ts';

export type Client = {
  readonly store: BlobStore;
  /** @throws GrpcError FAILED_PRECONDITION with what this client has to send before a job of its can run on the tree. */
  readonly checkTree: (root: Digest) => void;
  /** The client may read what the result names. */
  readonly give: (result: ActionResult) => void;
};

export type Clients = {
  readonly of: (peer: Peer) => Client;
  /** Nothing is known any more to be with the member: its certificate was revoked. */
  readonly forget: (member: string) => void;
  readonly close: () => void;
};

export type ClientsOptions = {
  readonly store: BlobStore;
  readonly directories: Directories;
  /** The file `holders` of the writer's store: where it is kept who holds what while no worker runs. */
  readonly path: string;
  readonly writer: StoreWriter;
};

// The store holds 200,000 blobs at most; a set keeps up to twice its bound.
const mostHeld = 100_000;
const mostWhole = 20_000;
// Of all clients together, 16 bytes at half load each: 48 MB. Who came last then longest ago has to send again.
const mostEntries = 1_500_000;
const mostClients = 256;
const maxDepth = 256;
const maxDirectories = 300_000;

type Holdings = { readonly held: DigestSet; readonly whole: DigestSet };

const newHoldings = (): Holdings => ({ held: newDigestSet(mostHeld), whole: newDigestSet(mostWhole) });

/** Members are told apart by name. All of this box's own users of the Unix socket are one, as are all strangers. */
function poolOf(peer: Peer): string {
  return peer.kind === 'stranger' ? 'strangers' : clientOf(peer);
}

export function openClients({ store, directories, path, writer }: ClientsOptions): Clients {
  // Least recently seen first.
  const all = take(path, writer);
  const clients = new Map<string, Client>();

  const forgetPool = (pool: string): void => {
    all.delete(pool);
    clients.delete(pool);
  };

  const makeRoom = (): void => {
    let entries = 0;
    for (const { held, whole } of all.values()) entries += held.size() + whole.size();
    for (const [pool, { held, whole }] of all) {
      if (all.size <= mostClients && entries <= mostEntries) return;
      entries -= held.size() + whole.size();
      forgetPool(pool);
    }
  };

  const of: Clients['of'] = (peer) => {
    const pool = poolOf(peer);
    const known = clients.get(pool);
    if (known !== undefined) return known;
    makeRoom();
    const holdings = all.get(pool) ?? newHoldings();
    all.delete(pool);
    all.set(pool, holdings);
    const client = clientWith(holdings, pool, { store, directories });
    clients.set(pool, client);
    return client;
  };

  const close = (): void => {
    try {
      writeWhole(writer, { kind: 'replace', file: 'holders' }, encodeHoldings(all));
    } catch {
      // No room: clients send again what they have.
    }
  };

  return { of, forget: (member) => forgetPool(`member ${member}`), close };
}

function clientWith(
  { held, whole }: Holdings,
  pool: string,
  { store, directories }: Pick<ClientsOptions, 'store' | 'directories'>,
): Client {
  const checkTree = (root: Digest): void => {
    const absent = notHeldBelow({ held, whole }, directories, root);
    if (absent.length > 0) throw missingBlobsError(absent);
  };
  return { store: heldStore(store, held, pool), checkTree, give: (result) => giveResult(held, store, result) };
}

/** What of the tree the client does not hold; of a Directory that it does not hold, not what is below. */
function notHeldBelow({ held, whole }: Holdings, directories: Directories, root: Digest): Digest[] {
  const absent = new Map<string, Digest>();
  const incomplete = new Set<string>();
  const isWhole = (digest: Digest, depth: number): boolean => {
    if (whole.has(digest)) return true;
    if (incomplete.has(digest.hash)) return false;
    if (depth > maxDepth || incomplete.size > maxDirectories) throw invalidTree('it has too many directories');
    const entries = holds(held, digest) ? directories.read(digest) : undefined;
    if (entries === undefined) absent.set(digest.hash, digest);
    let complete = entries !== undefined;
    for (const file of entries?.files.values() ?? []) {
      if (holds(held, file.digest)) continue;
      absent.set(file.digest.hash, file.digest);
      complete = false;
    }
    for (const child of entries?.directories.values() ?? []) complete = isWhole(child, depth + 1) && complete;
    if (complete) whole.add(digest);
    else incomplete.add(digest.hash);
    return complete;
  };
  isWhole(root, 0);
  return [...absent.values()];
}

function giveResult(held: DigestSet, store: BlobStore, result: ActionResult): void {
  const give = (digest: Digest | undefined): void => void (digest !== undefined && held.add(digest));
  give(result.stdoutDigest);
  give(result.stderrDigest);
  for (const { digest } of result.outputFiles) give(digest);
  for (const { treeDigest, rootDirectoryDigest } of result.outputDirectories) {
    give(treeDigest);
    give(rootDirectoryDigest);
    const tree = treeDigest === undefined ? undefined : store.readNow(treeDigest);
    if (tree !== undefined) {
      const { root, children } = Tree.decode(tree);
      for (const directory of [root, ...children]) for (const { digest } of directory?.files ?? []) give(digest);
    }
    if (rootDirectoryDigest !== undefined) giveBelow(held, store, rootDirectoryDigest);
  }
}

function giveBelow(held: DigestSet, store: BlobStore, digest: Digest): void {
  const bytes = store.readNow(digest);
  if (bytes === undefined) return;
  const { files, directories } = Directory.decode(bytes);
  for (const { digest: file } of files) if (file !== undefined) held.add(file);
  for (const { digest: child } of directories) {
    if (child === undefined) continue;
    held.add(child);
    giveBelow(held, store, child);
  }
}

// The file, written at the end and taken away at the start, so that after a crash nobody is known to hold anything: for
// each client the length of its name (u32 LE), the name, and twice a number of entries (u32 LE) and the entries.
function encodeHoldings(all: ReadonlyMap<string, Holdings>): Buffer {
  const parts: Buffer[] = [];
  const put = (bytes: Buffer, count: number): void => {
    const head = Buffer.alloc(4);
    head.writeUInt32LE(count);
    parts.push(head, bytes);
  };
  for (const [pool, { held, whole }] of all) {
    const name = Buffer.from(pool);
    put(name, name.length);
    for (const set of [held, whole]) {
      const entries = set.save();
      put(entries, entries.length / savedBytesEach);
    }
  }
  return Buffer.concat(parts);
}

/** @throws RangeError if the file ends too early. */
export function decodeHoldings(file: Buffer): Map<string, Holdings> {
  const all = new Map<string, Holdings>();
  let at = 0;
  const bytes = (each: number): Buffer => {
    const end = at + 4 + file.readUInt32LE(at) * each;
    if (end > file.length) throw new RangeError('the file is cut off');
    const found = file.subarray(at + 4, end);
    at = end;
    return found;
  };
  while (at < file.length) {
    const pool = bytes(1).toString();
    const holdings = newHoldings();
    holdings.held.load(bytes(savedBytesEach));
    holdings.whole.load(bytes(savedBytesEach));
    all.set(pool, holdings);
  }
  return all;
}

function take(path: string, writer: StoreWriter): Map<string, Holdings> {
  try {
    const file = readFileSync(path);
    writer.remove('holders');
    return decodeHoldings(file);
  } catch {
    return new Map();
  }
}
