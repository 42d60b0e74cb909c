// What is known of files, kept for the next daemon: a line that names the format, a SHA-256 of the rest in hexadecimal on
// a line of its own, and one JSON array of rows [path, dev, ino, mode, nlink, size, mtimeNs, ctimeNs, hash or null, scan,
// names of macros or null].
// Numbers beyond 2^53 are strings. JSON, because V8 reads it faster than code of ours would read anything denser.
import { createHash } from 'node:crypto';
import type { DefinedNames } from './definitions.ts';
import type { SavedRecord, Records } from './records.ts';
import type { ScanResult } from './scan.ts';

// The number rises whenever a scan of the same bytes may find something else.
const header = 'shoal includes 4';

type Row = readonly [
  path: string,
  dev: string,
  ino: string,
  mode: number,
  nlink: number,
  size: number,
  mtimeNs: string,
  ctimeNs: string,
  hash: string | null,
  scan: ScanResult,
  definedNames: DefinedNames | null,
];

export function saveRecords(records: Records): Buffer {
  const rows = new Map<string, Row>();
  for (const [path, { stat, digest, scan, definedNames }] of records.saved)
    rows.set(path, [path, ...statRow(stat), digest?.hash ?? null, scan, definedNames ?? null]);
  for (const record of records.byPath.values()) {
    const { place, state, isSettled, stat, digest, scan, definedNames } = record;
    if (state !== 'read' || !isSettled || stat === undefined || scan === undefined) continue;
    rows.set(place.path, [place.path, ...statRow(stat), digest?.hash ?? null, scan, definedNames ?? null]);
  }
  const json = JSON.stringify([...rows.values()]);
  return Buffer.from(`${header}\n${sha256(json)}\n${json}`);
}

type StatRow = readonly [string, string, number, number, number, string, string];

function statRow({ dev, ino, mode, nlink, size, mtimeNs, ctimeNs }: SavedRecord['stat']): StatRow {
  return [String(dev), String(ino), Number(mode), Number(nlink), Number(size), String(mtimeNs), String(ctimeNs)];
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

/** False, and nothing taken, unless every byte is as it was written. */
export function loadRecords(records: Records, saved: Buffer): boolean {
  const text = saved.toString('utf8');
  const [first, sum] = text.slice(0, header.length + 66).split('\n', 2);
  const json = text.slice(header.length + 66);
  if (first !== header || sum !== sha256(json)) return false;
  for (const row of JSON.parse(json) as readonly Row[]) records.saved.set(row[0], fromRow(row));
  return true;
}

function fromRow(row: Row): SavedRecord {
  const [, dev, ino, mode, nlink, size, mtimeNs, ctimeNs, hash, scan, definedNames] = row;
  const stat = {
    dev: BigInt(dev),
    ino: BigInt(ino),
    mode: BigInt(mode),
    nlink: BigInt(nlink),
    size: BigInt(size),
    mtimeNs: BigInt(mtimeNs),
    ctimeNs: BigInt(ctimeNs),
  };
  const digest = hash === null ? undefined : { hash, sizeBytes: size };
  return { stat, digest, scan, definedNames: definedNames ?? undefined };
}
