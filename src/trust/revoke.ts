// Puts members out. Only a box that has the authority's key can; the list that it signs reaches the others with their
// next connection.
import { createPrivateKey, type KeyObject } from 'node:crypto';
import type { Identity } from './identity.ts';
import { isSerial, memberId } from './member.ts';
import { knownCertificates, membersOf, type MemberRecord } from './member-files.ts';
import { readPrivate } from './private-files.ts';
import { keepRevocations, loadRevocations } from './revocation-files.ts';
import { isRevoked, signRevocations } from './revocations.ts';

const maxKeyBytes = 64 << 10;

/** The authority's key, or why there is none. */
export function readCaKey({ caKeyPath, name }: Identity): KeyObject | string {
  if (caKeyPath === undefined) return `${name} is no admin of the farm: it does not have the authority's key`;
  const found = readPrivate(caKeyPath, maxKeyBytes);
  if (found.kind === 'read') return createPrivateKey(found.bytes);
  return found.kind === 'absent' ? `${caKeyPath} is missing` : `${found.why}: ${found.remedy}`;
}

export type Revoked =
  | { readonly kind: 'revoked'; readonly members: readonly MemberRecord[]; readonly number: number }
  | { readonly kind: 'refused'; readonly why: string };

/** Whom the box knows by that name, or whose that serial number is, known or not: another admin may have admitted it. */
function calledSo(name: string, known: readonly MemberRecord[], nowMs: number): readonly MemberRecord[] {
  const serial = name.toUpperCase();
  if (!isSerial(serial)) return known.filter((member) => member.name.toLowerCase() === name.toLowerCase());
  const found = known.filter((member) => memberId(member.serial) === memberId(serial));
  const unknown = {
    name: `member-${memberId(serial)}`,
    role: 'client',
    serial,
    notBefore: nowMs,
    notAfter: nowMs,
  } as const;
  return found.length > 0 ? found : [unknown];
}

/** Every member called `name` whose certificate has not expired, or the one with that serial number. */
export function revokeMember(identity: Identity, name: string, nowMs: number): Revoked {
  const caKey = readCaKey(identity);
  if (typeof caKey === 'string') return { kind: 'refused', why: `${caKey}: do it on an admin's box` };
  if (identity.directory === undefined) return { kind: 'refused', why: 'an existing authority revokes by itself' };
  if (name.toLowerCase() === identity.name.toLowerCase() || memberId(name) === memberId(identity.serial)) {
    return { kind: 'refused', why: `${name} is this box itself: do it on another admin's box` };
  }
  const known = loadRevocations(identity, nowMs);
  const called = calledSo(name, membersOf(knownCertificates(identity.directory, nowMs)), nowMs);
  const members = called.filter(({ serial }) => !isRevoked(known, serial));
  if (members.length === 0) {
    const why = called.length > 0 ? `${name} was revoked before` : `no member is called ${name}: see \`shoal members\``;
    return { kind: 'refused', why };
  }
  const added = members.map((member) => ({ member: memberId(member.serial), name: member.name, revokedAt: nowMs }));
  const { caPem } = identity;
  const { number } = keepRevocations(identity, signRevocations({ known, added, caPem, caKey, nowMs }), nowMs);
  return { kind: 'revoked', members, number };
}
