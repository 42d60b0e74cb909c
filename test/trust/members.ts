// Farms and members for tests, without pairing.
import assert from 'node:assert/strict';
import { mkdtempSync } from 'node:fs';
import { join } from 'node:path';
import { issueLeaf, makeRequest } from '../../src/trust/certificates.ts';
import { loadIdentity, type Identity } from '../../src/trust/identity.ts';
import { placeIdentity, prepareIdentity } from '../../src/trust/identity-files.ts';
import { makeFarm } from '../../src/trust/make-farm.ts';
import { newSerial } from '../../src/trust/member.ts';
import { recordMember } from '../../src/trust/member-files.ts';
import type { Role } from '../../src/trust/peer.ts';
import { readCaKey } from '../../src/trust/revoke.ts';

export type Kept = Identity & { readonly directory: string };

export function identityIn(directory: string): Kept {
  const identity = loadIdentity(directory);
  assert.equal(identity.kind, 'identity', JSON.stringify(identity));
  return { ...identity, directory };
}

/** A farm whose admin's identity is in `directory`, or in a new one under `scratch`. */
export async function newFarm(scratch: string, directory?: string): Promise<Kept> {
  const place = directory ?? join(mkdtempSync(join(scratch, 'farm-')), 'identity');
  await makeFarm(place, 'admin-1', Date.now());
  return identityIn(place);
}

export type NewMember = {
  readonly name: string;
  readonly role: Role;
  readonly scratch: string;
  /** When it joined. */
  readonly nowMs?: number;
};

export async function newMember(admin: Kept, { name, role, scratch, nowMs = Date.now() }: NewMember): Promise<Kept> {
  const directory = join(mkdtempSync(join(scratch, `${name}-`)), 'identity');
  const { keyPem, csrPem } = await makeRequest(name);
  const caKey = readCaKey(admin);
  assert.ok(typeof caKey !== 'string');
  const { caPem } = admin;
  const serial = newSerial();
  const certificatePem = await issueLeaf({ authority: { caPem, caKey }, csrPem, name, role, serial, nowMs });
  assert.equal(placeIdentity(prepareIdentity(directory, { caPem, keyPem, certificatePem }), directory), true);
  const member = identityIn(directory);
  recordMember(admin.directory, member);
  return member;
}
