// Where a box keeps what it received when it joined, and what it may put it in the place of.
import { keepAddresses, keepMet } from './addresses.ts';
import { loadIdentity } from './identity.ts';
import type { BrokenIdentity, Identity, IdentityState } from './identity.ts';
import { prepareIdentity, replaceIdentity } from './identity-files.ts';
import type { Joined } from './join.ts';
import { knownCertificates, membersOf, recordMember } from './member-files.ts';
import { pinBytes, type PairingCode } from './pairing-code.ts';
import { keepRevocations, loadRevocations } from './revocation-files.ts';

export type Placement =
  | { readonly kind: 'free' }
  /** What is there is kept aside. */
  | { readonly kind: 'replaces'; readonly what: string }
  | { readonly kind: 'in-the-way'; readonly why: string };

/** Whether an identity by this code may come where `state` was found. Asked before the code is used up. */
export function placementOf(state: IdentityState, { pin, role }: PairingCode, nowMs: number): Placement {
  if (state.kind === 'none') return { kind: 'free' };
  if (state.kind === 'broken') return { kind: 'in-the-way', why: `${state.why}: ${state.remedy}` };
  const isSameFarm = Buffer.from(state.fingerprint, 'hex').subarray(0, pinBytes).equals(pin);
  if (state.caKeyPath === undefined) {
    if (isSameFarm) return { kind: 'replaces', what: `the identity as ${state.name} (${state.role}) in this farm` };
    return { kind: 'in-the-way', why: `this box is ${state.name} (${state.role}) in ${state.farm}` };
  }
  const others = membersOf(knownCertificates(state.directory ?? '', nowMs)).length - 1;
  if (isSameFarm && role !== 'admin') {
    return { kind: 'in-the-way', why: `this box is an admin of ${state.farm} and would be one no more` };
  }
  if (!isSameFarm && others > 0) {
    return { kind: 'in-the-way', why: `this box is an admin of ${state.farm}, which has ${others} more members` };
  }
  return {
    kind: 'replaces',
    what: isSameFarm ? 'the identity in this farm' : `${state.farm}, which has no other members`,
  };
}

export type KeptIdentity = {
  readonly identity: Identity | BrokenIdentity;
  /** Where what was there before is now. */
  readonly old: string | undefined;
};

/** Puts what was received in its place, complete. `metAt` is where the farm was met, as it was written: `HOST:PORT`. */
export function keepJoined(directory: string, joined: Joined, metAt: string, nowMs: number): KeptIdentity {
  const before = loadIdentity(directory);
  const { keyPem, certificatePem, caKeyPem, addresses, member } = joined;
  const { caPem, fingerprint } = joined.farm;
  const fresh = prepareIdentity(directory, { caPem, caKeyPem, keyPem, certificatePem });
  keepAddresses(fresh, addresses);
  keepMet(fresh, { written: metAt, reached: joined.reached });
  const prepared = loadIdentity(fresh);
  if (prepared.kind === 'identity') {
    keepRevocations(prepared, joined.revocations, nowMs);
    if (before.kind === 'identity' && before.fingerprint === fingerprint) {
      try {
        keepRevocations(prepared, loadRevocations(before, nowMs), nowMs);
      } catch {
        // Lists that cannot be read stay where the old identity is kept; the admin has sent its own.
      }
    }
  }
  for (const record of [...joined.members, joined.farm.admin, member]) recordMember(fresh, record);
  const old = replaceIdentity(fresh, directory);
  const identity = loadIdentity(directory);
  if (identity.kind !== 'none') return { identity, old };
  return { identity: { kind: 'broken', directory, why: `${directory} has vanished`, remedy: 'look for it' }, old };
}
