// The certificates that were issued here or heard of, a file each, named by serial number. What they tell is for people
// (`shoal members`) and for new names to be unlike those in use; who is let in follows from certificate and revocations.
import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { identityFiles } from './identity-layout.ts';
import { isMemberName, isRole, isSerial, memberId, type Member } from './member.ts';
import { makePrivateDirectory, readPrivate, writePrivate } from './private-files.ts';

export type MemberRecord = Member & { readonly lastSeen?: number };

const maxRecordBytes = 4096;
const maxRecords = 100_000;

/** A record as a file or another admin has it; undefined if it is none. */
export function parseRecord(value: unknown): MemberRecord | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const { name, role, serial, notBefore, notAfter, lastSeen } = value as Partial<Record<keyof MemberRecord, unknown>>;
  if (typeof name !== 'string' || !isMemberName(name) || !isRole(role)) return undefined;
  if (typeof serial !== 'string' || !isSerial(serial)) return undefined;
  if (!Number.isSafeInteger(notBefore) || !Number.isSafeInteger(notAfter)) return undefined;
  const seen = Number.isSafeInteger(lastSeen) ? { lastSeen: lastSeen as number } : {};
  return { name, role, serial, notBefore: notBefore as number, notAfter: notAfter as number, ...seen };
}

const directoryOf = (identityDirectory: string): string => join(identityDirectory, identityFiles.members);

function readRecord(path: string): MemberRecord | undefined {
  const found = readPrivate(path, maxRecordBytes);
  if (found.kind !== 'read') return undefined;
  try {
    return parseRecord(JSON.parse(found.bytes.toString()));
  } catch {
    return undefined;
  }
}

/** All certificates known here that have not expired. Files of those that have are removed. */
export function knownCertificates(identityDirectory: string, nowMs: number): readonly MemberRecord[] {
  const directory = directoryOf(identityDirectory);
  const found: MemberRecord[] = [];
  let names: readonly string[];
  try {
    names = readdirSync(directory);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
  for (const name of names.slice(0, maxRecords)) {
    if (!isSerial(name.replace(/\.json$/, ''))) continue;
    const record = readRecord(join(directory, name));
    if (record === undefined) continue;
    if (record.notAfter < nowMs) rmSync(join(directory, name), { force: true });
    else found.push(record);
  }
  return found;
}

export function recordMember(identityDirectory: string, record: MemberRecord): void {
  const directory = directoryOf(identityDirectory);
  makePrivateDirectory(directory);
  const { name, role, serial, notBefore, notAfter, lastSeen } = record;
  const text = JSON.stringify({ name, role, serial, notBefore, notAfter, lastSeen });
  writePrivate(join(directory, `${serial}.json`), `${text}\n`);
}

/** Takes over what another admin knows: what is news here. Returns how many were. */
export function learnMembers(identityDirectory: string, records: readonly MemberRecord[], nowMs: number): number {
  const known = new Set(knownCertificates(identityDirectory, nowMs).map(({ serial }) => serial));
  const news = records.filter(({ serial, notAfter }) => notAfter >= nowMs && !known.has(serial));
  for (const record of news.slice(0, maxRecords)) recordMember(identityDirectory, record);
  return news.length;
}

const seenEveryMs = 3_600_000;

/** Notes that a member was here: at most once an hour, and only if its certificate is known. */
export function noteSeen(identityDirectory: string, serial: string, nowMs: number): void {
  if (!isSerial(serial)) return;
  const record = readRecord(join(directoryOf(identityDirectory), `${serial}.json`));
  if (record === undefined || nowMs - (record.lastSeen ?? 0) < seenEveryMs) return;
  recordMember(identityDirectory, { ...record, lastSeen: nowMs });
}

/** One row a member: its last certificate. */
export function membersOf(certificates: readonly MemberRecord[]): readonly MemberRecord[] {
  const latest = new Map<string, MemberRecord>();
  for (const record of certificates) {
    const id = memberId(record.serial);
    const before = latest.get(id);
    const seen = Math.max(before?.lastSeen ?? 0, record.lastSeen ?? 0);
    const last = before === undefined || before.notAfter < record.notAfter ? record : before;
    latest.set(id, seen === 0 ? last : { ...last, lastSeen: seen });
  }
  return [...latest.values()].toSorted((a, b) => a.name.localeCompare(b.name) || a.notAfter - b.notAfter);
}
