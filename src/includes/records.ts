// Files: content read once per version, what a scan found in it, and its digest.
import { digestOf, sameDigest, type Digest } from '../reapi/digest.ts';
import { kindOfMode, type FileStat } from './files.ts';
import { usesIn, type Uses } from './questions.ts';
import { scan, type ScanResult } from './scan.ts';
import { definedNames, definitionsIn, mayDefine } from './definitions.ts';
import type { DefinedNames, Definition, Definitions } from './definitions.ts';
import { isSettled, sameStat, type Place, type Tree } from './tree.ts';
import { FileChangedError, type FileEntry } from './types.ts';

export type FileState = 'unread' | 'read' | 'gone' | 'unreadable' | 'special';

export type FileRecord = {
  readonly place: Place;
  state: FileState;
  stat: FileStat | undefined;
  isSettled: boolean;
  checkedEpoch: number;
  vouchedBy: string | undefined;
  /** Rises with each new content or time. */
  version: number;
  digest: Digest | undefined;
  scan: ScanResult | undefined;
  definitions: Definitions | undefined;
  /** Of this content, from an earlier process or from its definitions. */
  definedNames: DefinedNames | undefined;
  /** By the words. */
  readonly uses: Map<string, Uses>;
  entry: FileEntry | undefined;
};

/** What an earlier process knew of a file. */
export type SavedRecord = {
  readonly stat: FileStat;
  readonly digest: Digest | undefined;
  readonly scan: ScanResult;
  readonly definedNames: DefinedNames | undefined;
};

export type Records = {
  readonly tree: Tree;
  readonly byPath: Map<string, FileRecord>;
  readonly saved: Map<string, SavedRecord>;
  /** Contents read lately: the digest and the upload mostly follow at once. */
  readonly recent: Map<FileRecord, Buffer>;
  recentBytes: number;
  filesRead: number;
  fileStats: number;
};

// The first job that needs a file sends it: of the ones that follow each, hardly any asks for its content again.
const recentLimitBytes = 8 * 1024 * 1024;

export function newRecords(tree: Tree): Records {
  return { tree, byPath: new Map(), saved: new Map(), recent: new Map(), recentBytes: 0, filesRead: 0, fileStats: 0 };
}

export function recordAt(records: Records, place: Place): FileRecord {
  let record = records.byPath.get(place.path);
  if (record?.place === place) return record;
  record = {
    place,
    state: 'unread',
    stat: undefined,
    isSettled: false,
    checkedEpoch: -1,
    vouchedBy: undefined,
    version: 0,
    digest: undefined,
    scan: undefined,
    definitions: undefined,
    definedNames: undefined,
    uses: new Map(),
    entry: undefined,
  };
  records.byPath.set(place.path, record);
  return record;
}

export type FileLook = { readonly epoch: number; readonly vouchedBy: string | undefined };

// Kernel views whose size is 0 and whose content changes with the reader.
const kernelPath = /^\/(?:proc|sys|dev)\//;

/** Brings a record up to date; `state` says how that went. */
export function checkFile(records: Records, record: FileRecord, { epoch, vouchedBy }: FileLook): void {
  if (record.checkedEpoch === epoch) return;
  if (vouchedBy !== undefined && record.vouchedBy === vouchedBy) return;
  record.checkedEpoch = epoch;
  if (record.state === 'unread' && records.saved.size === 0) {
    readAnew(records, record);
  } else {
    const stat = records.tree.files.stat(record.place.path);
    records.fileStats++;
    const isSame = record.stat !== undefined && stat !== undefined && sameStat(record.stat, stat);
    if (!(isSame && record.isSettled && record.state === 'read') && !takeSaved(records, record, stat)) {
      readAnew(records, record, stat);
    }
  }
  record.vouchedBy = record.state === 'read' && record.isSettled ? vouchedBy : undefined;
}

function takeSaved(records: Records, record: FileRecord, stat: FileStat | undefined): boolean {
  const saved = records.saved.get(record.place.path);
  if (saved === undefined) return false;
  records.saved.delete(record.place.path);
  if (stat === undefined || record.state !== 'unread' || !sameStat(saved.stat, stat)) return false;
  const { digest, scan: found, definedNames: names } = saved;
  Object.assign(record, { state: 'read', stat, isSettled: true, digest, scan: found, definedNames: names });
  record.version++;
  return true;
}

function fail(record: FileRecord, state: FileState): void {
  record.state = state;
  record.stat = undefined;
  record.version++;
}

function readAnew(records: Records, record: FileRecord, known?: FileStat): void {
  const { files, nowNs } = records.tree;
  const { path } = record.place;
  const stat = known ?? (record.state === 'unread' && record.place.kind === 'file' ? undefined : files.stat(path));
  if (kernelPath.test(path) || record.place.kind === 'other') return fail(record, 'special');
  if (stat !== undefined && kindOfMode(stat.mode) !== 'file') return fail(record, 'special');
  const readAtNs = nowNs();
  const content = files.read(path);
  records.filesRead++;
  if (content === undefined) return fail(record, files.stat(path) === undefined ? 'gone' : 'unreadable');
  const { bytes } = content;
  const isSameContent = isContent(records, record, bytes);
  const isSameEntry = isSameContent && sameIdentity(record.stat, content.stat);
  record.stat = content.stat;
  record.isSettled = isSettled(content.stat, readAtNs);
  record.state = 'read';
  keep(records, record, bytes);
  if (isSameEntry) return;
  record.entry = undefined;
  record.version++;
  if (isSameContent) return;
  record.digest = undefined;
  record.scan = undefined;
  record.definitions = undefined;
  record.definedNames = undefined;
  record.uses.clear();
}

function isContent(records: Records, record: FileRecord, bytes: Buffer): boolean {
  if (record.digest !== undefined) return sameDigest(record.digest, digestOf(bytes));
  return records.recent.get(record)?.equals(bytes) ?? false;
}

/** Whatever an entry says beside the content. */
function sameIdentity(a: FileStat | undefined, b: FileStat): boolean {
  return (
    a !== undefined &&
    a.mtimeNs === b.mtimeNs &&
    a.mode === b.mode &&
    a.ino === b.ino &&
    a.nlink === b.nlink &&
    a.dev === b.dev
  );
}

function keep(records: Records, record: FileRecord, bytes: Buffer): void {
  const before = records.recent.get(record);
  records.recent.delete(record);
  records.recent.set(record, bytes);
  records.recentBytes += bytes.length - (before?.length ?? 0);
  for (const [oldest, content] of records.recent) {
    if (records.recentBytes <= recentLimitBytes) break;
    records.recent.delete(oldest);
    records.recentBytes -= content.length;
  }
}

type Version = { readonly number: number; readonly stat: FileStat | undefined; readonly digest: Digest | undefined };

/** The bytes of one version: those at hand, or read again and found to be the same. */
function contentOf(records: Records, record: FileRecord, version: Version): Buffer {
  const kept = record.version === version.number ? records.recent.get(record) : undefined;
  if (kept !== undefined) return kept;
  const { files } = records.tree;
  const content = files.read(record.place.path);
  records.filesRead++;
  if (content === undefined) throw new FileChangedError(record.place.path);
  const isIntact =
    version.digest === undefined
      ? version.stat !== undefined && sameStat(version.stat, content.stat)
      : sameDigest(version.digest, digestOf(content.bytes));
  if (!isIntact) throw new FileChangedError(record.place.path);
  if (record.version === version.number) keep(records, record, content.bytes);
  return content.bytes;
}

function currentVersion({ version, stat, digest }: FileRecord): Version {
  return { number: version, stat, digest };
}

/** What a scan of the file finds; the file was checked before. */
export function scanOf(records: Records, record: FileRecord): ScanResult {
  record.scan ??= scan(contentOf(records, record, currentVersion(record)));
  return record.scan;
}

/** What the file defines as `name`, in whatever branch. */
export function definitionsOf(records: Records, record: FileRecord, name: string): readonly Definition[] {
  if (record.definedNames !== undefined && !mayDefine(record.definedNames, name)) return [];
  record.definitions ??= definitionsIn(contentOf(records, record, currentVersion(record)));
  record.definedNames ??= definedNames(record.definitions);
  return record.definitions.get(name) ?? [];
}

// A build has few macros that ask, and most of its compiles the same ones.
const mostUses = 8;

/** Where the file has to do with one of the words. */
export function usesOf(records: Records, record: FileRecord, words: ReadonlySet<string>): Uses {
  const key = [...words].join(' ');
  let found = record.uses.get(key);
  if (found === undefined) {
    if (record.uses.size >= mostUses) record.uses.clear();
    found = usesIn(contentOf(records, record, currentVersion(record)), words);
    record.uses.set(key, found);
  }
  return found;
}

export function entryOf(records: Records, record: FileRecord): FileEntry {
  record.entry ??= newEntry(records, record);
  return record.entry;
}

const anyExecute = 0o111n;

function newEntry(records: Records, record: FileRecord): FileEntry {
  const { place, stat, version } = record;
  if (stat === undefined) throw new FileChangedError(place.path);
  let digest: Digest | undefined = record.digest;
  const bytes = (): Buffer => contentOf(records, record, { number: version, stat, digest });
  return {
    kind: 'file',
    id: place.id,
    path: place.path,
    get digest(): Digest {
      digest ??= digestOf(bytes());
      if (record.version === version) record.digest = digest;
      return digest;
    },
    sizeBytes: Number(stat.size),
    executable: (stat.mode & anyExecute) !== 0n,
    mtimeNs: stat.mtimeNs,
    ...(stat.nlink > 1n ? { hardLink: `${stat.dev}:${stat.ino}` } : {}),
    bytes,
  };
}
