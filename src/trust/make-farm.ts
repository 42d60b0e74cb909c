// A farm begins on one box: an authority, and that box as its first admin.
import { X509Certificate } from 'node:crypto';
import { issueLeaf, makeAuthority, makeRequest } from './certificates.ts';
import { loadIdentity, type BrokenIdentity, type Identity } from './identity.ts';
import { discardIdentity, placeIdentity, prepareIdentity } from './identity-files.ts';
import { memberOf, newSerial } from './member.ts';
import { recordMember } from './member-files.ts';

/**
 * Makes a farm in the identity directory `directory`, with this box, called `name`, as its admin. Where two processes do
 * it at once, both get the farm of the faster one.
 * @throws PrivateFileError if it cannot be written.
 */
export async function makeFarm(directory: string, name: string, nowMs: number): Promise<Identity | BrokenIdentity> {
  const authority = await makeAuthority(`shoal farm of ${name}`, newSerial(), nowMs);
  const { keyPem, csrPem } = await makeRequest(name);
  const serial = newSerial();
  const certificatePem = await issueLeaf({ authority, csrPem, name, role: 'admin', serial, nowMs });
  const caKeyPem = authority.caKey.export({ type: 'pkcs8', format: 'pem' }).toString();
  const fresh = prepareIdentity(directory, { caPem: authority.caPem, caKeyPem, keyPem, certificatePem });
  recordMember(fresh, memberOf(new X509Certificate(certificatePem)));
  if (!placeIdentity(fresh, directory)) discardIdentity(fresh);
  const made = loadIdentity(directory);
  if (made.kind !== 'none') return made;
  return { kind: 'broken', directory, why: `${directory} has vanished`, remedy: 'try again' };
}
