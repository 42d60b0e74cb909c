// What a certificate says about the member who has it.
//
// A serial number is 16 bytes: the first 8 are the member's, the same in each renewal, the others the certificate's own.
// A revocation names the member's half, so that it also holds for a renewal that another admin gave at the same moment.
import { randomBytes, type X509Certificate } from 'node:crypto';
import type { Role } from './peer.ts';

export type Member = {
  readonly name: string;
  readonly role: Role;
  /** As Node prints it: upper case hexadecimal. */
  readonly serial: string;
  readonly notBefore: number;
  readonly notAfter: number;
};

export const serverAuth = '1.3.6.1.5.5.7.3.1';
export const clientAuth = '1.3.6.1.5.5.7.3.2';
const maxName = 64;
const serialPattern = /^[4-7][0-9A-F]{31}$/;
const memberDigits = 16;

/** Names stand in logs, tables and file names of others, and as a host's name in the certificate. */
export function isMemberName(text: string): boolean {
  return text.length <= maxName && /^[A-Za-z0-9][A-Za-z0-9._-]*$/.test(text);
}

/** What a box is called unless somebody says otherwise. */
export function memberNameFor(hostname: string): string {
  const name = hostname
    .replaceAll(/[^A-Za-z0-9._-]/g, '-')
    .replace(/^[^A-Za-z0-9]+/, '')
    .slice(0, maxName);
  return isMemberName(name) ? name : 'box';
}

export function isRole(text: unknown): text is Role {
  return text === 'client' || text === 'worker' || text === 'admin';
}

export function isSerial(text: string): boolean {
  return serialPattern.test(text);
}

/** The half of a serial number that all certificates of one member share. */
export function memberId(serial: string): string {
  return serial.toUpperCase().slice(0, memberDigits);
}

/** A serial number for a new member, or for the next certificate of one. */
export function newSerial(member?: string): string {
  const bytes = randomBytes(16);
  // Neither negative in ASN.1 nor with a leading zero, which some print and some do not.
  bytes[0] = ((bytes[0] ?? 0) & 0x3f) | 0x40;
  const serial = bytes.toString('hex').toUpperCase();
  return member === undefined ? serial : memberId(member) + serial.slice(memberDigits);
}

function words(value: unknown): readonly string[] {
  const list: readonly unknown[] = Array.isArray(value) ? value : [value];
  return list.filter((word) => typeof word === 'string');
}

/** Names by an existing authority are whatever it likes: made fit for logs, and kept apart by the serial number. */
function fitName(name: string, serial: string): string {
  if (isMemberName(name)) return name;
  const fit = name.replaceAll(/[^A-Za-z0-9._-]/g, '_').replace(/^[^A-Za-z0-9]+/, '');
  const tail = `-${serial.slice(-8)}`;
  return `${fit.slice(0, maxName - tail.length)}${tail}`.replace(/^-/, '');
}

/**
 * Name and role by a certificate that was verified before. A role that is not one of ours (another authority's
 * certificate) follows from what it may be used for.
 */
export function memberOf(certificate: X509Certificate): Member {
  const subject = certificate.toLegacyObject().subject as Readonly<Record<string, unknown>>;
  const serial = certificate.serialNumber;
  const unit = words(subject['OU']).find(isRole);
  // Node calls the extended key usage so; absent without the extension.
  const usage = certificate.keyUsage as readonly string[] | undefined;
  return {
    name: fitName(words(subject['CN'])[0] ?? '', serial),
    role: unit ?? ((usage ?? []).includes(serverAuth) ? 'worker' : 'client'),
    serial,
    notBefore: Date.parse(certificate.validFrom),
    notAfter: Date.parse(certificate.validTo),
  };
}
