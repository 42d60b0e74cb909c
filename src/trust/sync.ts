// What two boxes of a farm tell each other now and then: whom it has put out, where its boxes are, and, between admins,
// which certificates were issued.
import type { Identity } from './identity.ts';
import { addressesIn, farmAddresses, keepAddresses } from './addresses.ts';
import { knownCertificates, learnMembers, parseRecord, type MemberRecord } from './member-files.ts';
import type { SyncMessage } from './member-messages.ts';
import type { Role } from './peer.ts';
import { keepRevocations, loadRevocations } from './revocation-files.ts';
import { decodeRevocations, encodeRevocations } from './revocations.ts';

// 160 bytes each: it fits a message of 4 MB.
const maxRecordsSent = 20_000;
const maxMembersText = 4 << 20;

/** What to tell a peer of that role, whose lists have `peerStamp` as far as is known. */
export function syncMessage(
  identity: Identity,
  peer: { readonly role: Role; readonly stamp: string | undefined },
  nowMs: number,
): SyncMessage {
  if (identity.desk !== undefined) return identity.desk.syncMessage(peer);
  const revocations = loadRevocations(identity, nowMs);
  const { directory } = identity;
  const both = identity.role === 'admin' && peer.role === 'admin' && directory !== undefined;
  const records = both ? knownCertificates(directory, nowMs).slice(-maxRecordsSent) : [];
  return {
    stamp: revocations.stamp,
    revocations: revocations.stamp === peer.stamp ? new Uint8Array() : encodeRevocations(revocations),
    addresses: directory === undefined ? [] : farmAddresses(directory),
    members: both ? JSON.stringify(records) : '',
  };
}

/** Records as a message has them. */
export function decodeRecords(text: string): readonly MemberRecord[] {
  if (text === '' || text.length > maxMembersText) return [];
  try {
    const list = JSON.parse(text) as unknown;
    if (!Array.isArray(list)) return [];
    return list.map(parseRecord).filter((record) => record !== undefined);
  } catch {
    return [];
  }
}

/**
 * Takes over what a peer of that role told. Addresses count from those who serve, members from admins; lists of
 * revocations prove themselves. Returns the stamp of what this box holds then.
 * @throws RevocationsError if a list is not the farm's.
 */
export function acceptSync(
  identity: Identity,
  peer: { readonly role: Role },
  told: SyncMessage,
  nowMs: number,
): string {
  if (identity.desk !== undefined) return identity.desk.acceptSync(peer, told);
  const more = decodeRevocations(told.revocations, identity.caPem);
  const { stamp } = keepRevocations(identity, more, nowMs);
  if (identity.directory === undefined) return stamp;
  if (peer.role !== 'client') {
    const known = farmAddresses(identity.directory);
    keepAddresses(identity.directory, [...known, ...addressesIn(told.addresses)]);
  }
  if (peer.role === 'admin' && identity.role === 'admin') {
    learnMembers(identity.directory, decodeRecords(told.members), nowMs);
  }
  return stamp;
}
