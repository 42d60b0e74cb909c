// Who may come in: a certificate of this farm's authority, valid now, of somebody who was not put out.
import type { X509Certificate } from 'node:crypto';
import type { TLSSocket } from 'node:tls';
import { memberOf, type Member } from './member.ts';
import type { Peer } from './peer.ts';
import { isRevoked, type Revocations } from './revocations.ts';

/** Why a connection was refused, as the audit log has it. */
export type RefusalReason = 'no-certificate' | 'foreign-certificate' | 'expired' | 'wrong-role' | 'revoked';

export type Shown =
  | { readonly kind: 'member'; readonly member: Member }
  | { readonly kind: 'refused'; readonly reason: RefusalReason; readonly name?: string };

// What OpenSSL found, as Node calls it.
const dateErrors: ReadonlySet<string> = new Set(['CERT_HAS_EXPIRED', 'CERT_NOT_YET_VALID']);
const usageErrors: ReadonlySet<string> = new Set(['INVALID_PURPOSE']);

function reasonOf(error: string): RefusalReason {
  if (dateErrors.has(error)) return 'expired';
  return usageErrors.has(error) ? 'wrong-role' : 'foreign-certificate';
}

/** The peer that a member is, with all that its certificate says. */
export type MemberPeer = Extract<Peer, { readonly kind: 'member' }> & Member;

export function isMemberPeer(peer: Peer): peer is MemberPeer {
  return peer.kind === 'member' && 'notAfter' in peer;
}

/** A name that a stranger's certificate claims: for the log, if it is one. */
function claimedName(certificate: X509Certificate): { readonly name?: string } {
  try {
    return { name: memberOf(certificate).name };
  } catch {
    return {};
  }
}

/** Who the other end of a connection is: chain, dates and usage were checked by the handshake, which let all pass. */
export function shownBy(socket: TLSSocket, revocations: Revocations, nowMs: number): Shown {
  const certificate = socket.getPeerX509Certificate();
  if (certificate === undefined) return { kind: 'refused', reason: 'no-certificate' };
  if (!socket.authorized) {
    const reason = reasonOf(String(socket.authorizationError));
    return { kind: 'refused', reason, ...claimedName(certificate) };
  }
  return judge(memberOf(certificate), revocations, nowMs);
}

/** The same for a member known by its certificate, whenever something has changed. */
export function judge(member: Member, revocations: Revocations, nowMs: number): Shown {
  // A session that was resumed does not look at dates.
  if (nowMs > member.notAfter) return { kind: 'refused', reason: 'expired', name: member.name };
  if (isRevoked(revocations, member.serial)) return { kind: 'refused', reason: 'revoked', name: member.name };
  return { kind: 'member', member };
}
