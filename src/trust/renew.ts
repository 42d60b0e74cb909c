// Renewal: a member whose certificate ends soon makes a new key, and any admin signs it for the same name and role. The
// connection's certificate says who asks; the admin's own box asks itself.
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { issueLeaf, makeRequest, requestSubject } from './certificates.ts';
import type { IdentityDesk } from './desk.ts';
import { isIssuedBy, loadIdentity, type Identity } from './identity.ts';
import { writeMember } from './identity-files.ts';
import type { RenewAnswer } from './member-messages.ts';
import { memberId, memberOf, newSerial, type Member } from './member.ts';
import { knownCertificates, recordMember } from './member-files.ts';
import { loadRevocations } from './revocation-files.ts';
import { isRevoked } from './revocations.ts';
import { readCaKey } from './revoke.ts';

const dayMs = 86_400_000;
const hourMs = 3_600_000;
/** Of thirty days: a box that is switched on once in ten still renews. */
export const renewalDueMs = 10 * dayMs;
// Earlier than due only by what clocks differ; and one an hour: a member cannot fill an admin's disk with certificates.
const earliestMs = renewalDueMs + dayMs;
const againMs = hourMs;

type Caller = Pick<Member, 'name' | 'role' | 'serial' | 'notAfter'>;

/** The admin's side. `caller` is what the peer's certificate, verified by the connection, says. */
export async function renewFor(admin: Identity, caller: Caller, csrPem: string, nowMs: number): Promise<RenewAnswer> {
  if (admin.desk !== undefined) return admin.desk.renewFor(caller.serial, csrPem);
  const caKey = readCaKey(admin);
  if (typeof caKey === 'string') return { kind: 'refused', why: caKey };
  const { directory } = admin;
  if (directory === undefined) return { kind: 'refused', why: 'an existing authority renews by itself' };
  if (isRevoked(loadRevocations(admin, nowMs), caller.serial)) {
    return { kind: 'refused', why: `${caller.name} was revoked` };
  }
  if (caller.notAfter - nowMs > earliestMs) return { kind: 'refused', why: 'the certificate is not due for renewal' };
  const member = memberId(caller.serial);
  const issued = knownCertificates(directory, nowMs).filter(({ serial }) => memberId(serial) === member);
  if (issued.some(({ serial, notBefore }) => serial !== caller.serial && notBefore > nowMs - againMs)) {
    return { kind: 'refused', why: 'it was renewed within the last hour' };
  }
  try {
    const wanted = await requestSubject(csrPem);
    if (wanted.name !== caller.name || wanted.role !== caller.role) {
      return { kind: 'refused', why: `a renewal is for the same name and role: ${caller.name}, ${caller.role}` };
    }
    const serial = newSerial(caller.serial);
    const { caPem } = admin;
    const { name, role } = caller;
    const certificatePem = await issueLeaf({ authority: { caPem, caKey }, csrPem, name, role, serial, nowMs });
    recordMember(directory, memberOf(new X509Certificate(certificatePem)));
    return { kind: 'renewed', certificatePem };
  } catch (error) {
    return { kind: 'refused', why: (error as Error).message };
  }
}

export type Renewal =
  | { readonly kind: 'not-due' }
  | { readonly kind: 'renewed'; readonly identity: Identity }
  | { readonly kind: 'failed'; readonly why: string };

/** What is wrong with the certificate that an admin sent. */
function faultOf(certificatePem: string, keyPem: string, identity: Identity): string | undefined {
  const certificate = new X509Certificate(certificatePem);
  const { name, role, serial, notAfter } = memberOf(certificate);
  if (!isIssuedBy(certificate, new X509Certificate(identity.caPem))) return "it is not the farm's";
  if (name !== identity.name || role !== identity.role) return `it is for ${name}, ${role}`;
  if (memberId(serial) !== memberId(identity.serial)) return 'it is for another member';
  if (notAfter <= identity.notAfter) return 'it ends no later than the one before';
  return certificate.checkPrivateKey(createPrivateKey(keyPem)) ? undefined : 'it is for another key';
}

async function renewAtDesk(
  identity: Identity,
  desk: IdentityDesk,
  call: (csrPem: string) => Promise<RenewAnswer>,
): Promise<Renewal> {
  let step = desk.beginRenewal();
  if (step.kind === 'request') step = desk.endRenewal(await call(step.csrPem));
  if (step.kind === 'renewed') return { kind: 'renewed', identity: { ...identity, notAfter: step.notAfter } };
  return step.kind === 'request' ? { kind: 'failed', why: 'it was asked for twice' } : step;
}

/**
 * Renews the identity if it ends soon: through `call`, which carries the request to an admin, or here if this box is one.
 * Key and certificate are replaced as one file: a crash leaves the old pair or the new.
 */
export async function renewIfDue(
  identity: Identity,
  call: (csrPem: string) => Promise<RenewAnswer>,
  nowMs: number,
): Promise<Renewal> {
  const { directory, name, role, desk } = identity;
  if (desk !== undefined) return renewAtDesk(identity, desk, call);
  if (directory === undefined || identity.notAfter - nowMs > renewalDueMs) return { kind: 'not-due' };
  try {
    const { keyPem, csrPem } = await makeRequest(name, role);
    const isAdmin = identity.caKeyPath !== undefined;
    const answer = isAdmin ? await renewFor(identity, identity, csrPem, nowMs) : await call(csrPem);
    if (answer.kind === 'refused') return { kind: 'failed', why: answer.why };
    const fault = faultOf(answer.certificatePem, keyPem, identity);
    if (fault !== undefined) return { kind: 'failed', why: `an admin sent a certificate that does not fit: ${fault}` };
    writeMember(directory, keyPem, answer.certificatePem);
  } catch (error) {
    return { kind: 'failed', why: (error as Error).message };
  }
  const renewed = loadIdentity(directory);
  return renewed.kind === 'identity'
    ? { kind: 'renewed', identity: renewed }
    : { kind: 'failed', why: renewed.kind === 'broken' ? renewed.why : `${directory} has vanished` };
}
