// Issues certificates. The library costs 50 ms to load, so only what makes a farm, pairs or renews imports this file, and
// this file imports the library when it is first needed. Reading and checking certificates is Node's (identity.ts).
import { createPrivateKey, webcrypto, X509Certificate, type KeyObject } from 'node:crypto';
import type { Pkcs10CertificateRequest } from '@peculiar/x509';
import { clientAuth, isMemberName, serverAuth } from './member.ts';
import type { Role } from './peer.ts';

export class CertificateError extends Error {
  readonly code = 'CERTIFICATE';
}

/** An authority and its key. */
export type Authority = { readonly caPem: string; readonly caKey: KeyObject };

const minuteMs = 60_000;
const dayMs = 86_400_000;
/** Clocks of boxes differ: a certificate is valid from a little before it was issued. */
export const clockSkewMs = 5 * minuteMs;
export const leafLifetimeMs = 30 * dayMs;
// It outlives the boxes that it is on: when it ends, everybody pairs again.
const authorityLifetimeMs = 20 * 365 * dayMs;
const ecdsa = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;
const oneSecond = 1000;

async function library() {
  // It needs the metadata of its classes, and leaves loading that to its users.
  await import('reflect-metadata');
  return import('@peculiar/x509');
}

function pem(label: string, der: ArrayBuffer): string {
  const lines =
    Buffer.from(der)
      .toString('base64')
      .match(/.{1,64}/g) ?? [];
  return `-----BEGIN ${label}-----\n${lines.join('\n')}\n-----END ${label}-----\n`;
}

async function newKeys(): Promise<webcrypto.CryptoKeyPair> {
  return webcrypto.subtle.generateKey(ecdsa, true, ['sign', 'verify']);
}

async function keyPemOf(key: webcrypto.CryptoKey): Promise<string> {
  return pem('PRIVATE KEY', await webcrypto.subtle.exportKey('pkcs8', key));
}

function importKey(key: KeyObject): Promise<webcrypto.CryptoKey> {
  const der = key.export({ type: 'pkcs8', format: 'der' });
  return webcrypto.subtle.importKey('pkcs8', der, ecdsa, false, ['sign']);
}

/** Whole seconds: a certificate has no finer ones. */
const wholeSeconds = (ms: number): Date => new Date(Math.floor(ms / oneSecond) * oneSecond);

export async function makeAuthority(farm: string, serial: string, nowMs: number): Promise<Authority> {
  const x509 = await library();
  const keys = await newKeys();
  const certificate = await x509.X509CertificateGenerator.createSelfSigned(
    {
      serialNumber: serial,
      name: [{ CN: [farm] }],
      notBefore: wholeSeconds(nowMs - clockSkewMs),
      notAfter: wholeSeconds(nowMs + authorityLifetimeMs),
      signingAlgorithm: ecdsa,
      keys,
      extensions: [
        new x509.BasicConstraintsExtension(true, 0, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
        await x509.SubjectKeyIdentifierExtension.create(keys.publicKey, false, webcrypto),
        await x509.AuthorityKeyIdentifierExtension.create(keys.publicKey, false, webcrypto),
      ],
    },
    webcrypto,
  );
  return { caPem: `${certificate.toString('pem')}\n`, caKey: createPrivateKey(await keyPemOf(keys.privateKey)) };
}

function subjectOf(name: string, role: Role | undefined): { [field: string]: string[] }[] {
  return role === undefined ? [{ CN: [name] }] : [{ CN: [name] }, { OU: [role] }];
}

/** A new key, and a request that proves to have it. Its subject is what the member would like to be called. */
export async function makeRequest(
  name: string,
  role?: Role,
): Promise<{ readonly keyPem: string; readonly csrPem: string }> {
  const x509 = await library();
  const keys = await newKeys();
  const request = await x509.Pkcs10CertificateRequestGenerator.create(
    { name: subjectOf(name, role), keys, signingAlgorithm: ecdsa },
    webcrypto,
  );
  return { keyPem: await keyPemOf(keys.privateKey), csrPem: `${request.toString('pem')}\n` };
}

async function readRequest(csrPem: string): Promise<Pkcs10CertificateRequest> {
  const x509 = await library();
  try {
    const request = new x509.Pkcs10CertificateRequest(csrPem);
    if (!('namedCurve' in request.publicKey.algorithm) || request.publicKey.algorithm.namedCurve !== ecdsa.namedCurve) {
      throw new CertificateError('its key is not of P-256');
    }
    if (await request.verify(webcrypto)) return request;
  } catch (error) {
    throw new CertificateError(`a certificate request that cannot be read: ${(error as Error).message}`, {
      cause: error,
    });
  }
  throw new CertificateError('a certificate request that does not prove to have its key');
}

/** Name and role that a request asks for. */
export async function requestSubject(csrPem: string): Promise<{ readonly name?: string; readonly role?: string }> {
  const { subjectName } = await readRequest(csrPem);
  const [name] = subjectName.getField('CN');
  const [role] = subjectName.getField('OU');
  return { ...(name === undefined ? {} : { name }), ...(role === undefined ? {} : { role }) };
}

export type LeafRequest = {
  readonly authority: Authority;
  readonly csrPem: string;
  readonly name: string;
  readonly role: Role;
  readonly serial: string;
  readonly nowMs: number;
};

/** A certificate for the key of a request, whose own wishes (subject, extensions) count for nothing. */
export async function issueLeaf({ authority, csrPem, name, role, serial, nowMs }: LeafRequest): Promise<string> {
  if (!isMemberName(name)) throw new CertificateError(`${JSON.stringify(name)} is no member's name`);
  const x509 = await library();
  const request = await readRequest(csrPem);
  const ca = new x509.X509Certificate(authority.caPem);
  const caEnd = Date.parse(new X509Certificate(authority.caPem).validTo);
  const usages = role === 'client' ? [clientAuth] : [serverAuth, clientAuth];
  const certificate = await x509.X509CertificateGenerator.create(
    {
      serialNumber: serial,
      subject: subjectOf(name, role),
      issuer: ca.subjectName,
      notBefore: wholeSeconds(nowMs - clockSkewMs),
      notAfter: wholeSeconds(Math.min(nowMs + leafLifetimeMs, caEnd)),
      signingAlgorithm: ecdsa,
      publicKey: request.publicKey,
      signingKey: await importKey(authority.caKey),
      extensions: [
        new x509.BasicConstraintsExtension(false, undefined, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
        new x509.ExtendedKeyUsageExtension(usages),
        // For other tools (Bazel), which compare a host's name; shoal compares the role.
        new x509.SubjectAlternativeNameExtension([{ type: 'dns', value: name }]),
        await x509.SubjectKeyIdentifierExtension.create(request.publicKey, false, webcrypto),
        await x509.AuthorityKeyIdentifierExtension.create(ca.publicKey, false, webcrypto),
      ],
    },
    webcrypto,
  );
  return `${certificate.toString('pem')}\n`;
}
