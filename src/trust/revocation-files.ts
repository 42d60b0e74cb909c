// The lists of revocations that a box keeps, a file each, named by content. A new list is added first; only then do those
// go that it makes superfluous. So nothing is read, changed and written back: `shoal revoke` and a running worker may both
// add at the same moment without a lock, and a crash leaves a list too many, never one too few.
import { createHash } from 'node:crypto';
import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Identity } from './identity.ts';
import { identityFiles } from './identity-layout.ts';
import { makePrivateDirectory, readPrivate, writePrivate } from './private-files.ts';
import { decodeRevocations, maxRevocationBytes, mergeRevocations, noRevocations } from './revocations.ts';
import { RevocationsError, type Revocations, type SignedList } from './revocations.ts';

const fileName = ({ text }: SignedList): string => createHash('sha256').update(text).digest('hex').slice(0, 32);
const isListFile = (name: string): boolean => /^[0-9a-f]{32}$/.test(name);

function namesIn(directory: string): readonly string[] {
  try {
    return readdirSync(directory).filter(isListFile);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw new RevocationsError(`cannot read ${directory}: ${(error as Error).message}`, { cause: error });
  }
}

function readList(path: string, caPem: string): Revocations {
  const found = readPrivate(path, maxRevocationBytes);
  // Another process has just replaced it by one that holds all of it.
  if (found.kind === 'absent') return noRevocations;
  if (found.kind === 'refused') throw new RevocationsError(`${found.why}: ${found.remedy}`);
  try {
    return decodeRevocations(found.bytes, caPem);
  } catch (error) {
    throw new RevocationsError(`${path}: ${(error as Error).message}`, { cause: error });
  }
}

function readAll(directory: string, caPem: string, nowMs: number): Revocations {
  let all = noRevocations;
  for (const name of namesIn(directory)) {
    all = mergeRevocations(all, readList(join(directory, name), caPem), nowMs);
  }
  return all;
}

/**
 * What this box knows of revoked members. Nothing for certificates of an existing authority.
 * @throws RevocationsError if a list cannot be read: to go on without it would let somebody in again.
 */
export function loadRevocations(identity: Identity, nowMs: number): Revocations {
  if (identity.directory === undefined) return noRevocations;
  const directory = join(identity.directory, identityFiles.revocations);
  // A list that vanished while they were read was replaced by one that may be new since the names were.
  for (;;) {
    const before = revocationsStamp(identity);
    const all = readAll(directory, identity.caPem, nowMs);
    if (revocationsStamp(identity) === before) return all;
  }
}

/** Changes whenever a list comes or goes: cheap enough to ask every second. */
export function revocationsStamp(identity: Identity): string {
  if (identity.directory === undefined) return '';
  return namesIn(join(identity.directory, identityFiles.revocations)).toSorted().join(' ');
}

/** Adds what `more` holds to what this box keeps, and returns all of it. */
export function keepRevocations(identity: Identity, more: Revocations, nowMs: number): Revocations {
  const known = loadRevocations(identity, nowMs);
  const merged = mergeRevocations(known, more, nowMs);
  if (identity.directory === undefined || merged.stamp === known.stamp) return known;
  const directory = join(identity.directory, identityFiles.revocations);
  makePrivateDirectory(directory);
  const kept = new Set(merged.lists.map(fileName));
  const held = new Set(known.lists.map(fileName));
  for (const list of merged.lists) {
    if (!held.has(fileName(list))) writePrivate(join(directory, fileName(list)), list.text);
  }
  for (const name of held) if (!kept.has(name)) rmSync(join(directory, name), { force: true });
  return merged;
}
