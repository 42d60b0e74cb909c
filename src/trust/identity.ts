// Who this box is in its farm: a directory (identity-layout.ts), read and checked.
import { createHash, createPrivateKey, X509Certificate, type KeyObject } from 'node:crypto';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { stateDir, workerStateDir } from '../user-directories.ts';
import type { IdentityDesk } from './desk.ts';
import { identityFiles } from './identity-layout.ts';
import { memberOf } from './member.ts';
import { directoryRefusal, readPrivate } from './private-files.ts';
import type { Role } from './peer.ts';

export type Identity = {
  readonly kind: 'identity';
  /** Undefined where the certificates are an existing authority's: nothing is paired, renewed or revoked by us then. */
  readonly directory: string | undefined;
  readonly name: string;
  readonly role: Role;
  readonly serial: string;
  readonly notBefore: number;
  readonly notAfter: number;
  /** The authority's name, and SHA-256 of its public key as 64 hexadecimal digits. */
  readonly farm: string;
  readonly fingerprint: string;
  readonly certificatePem: string;
  readonly keyPem: string;
  readonly caPem: string;
  /** Where the authority's key is: only on an admin's box. */
  readonly caKeyPath?: string;
  /** Where the directory is out of this process's reach. */
  readonly desk?: IdentityDesk;
};

export type NoIdentity = { readonly kind: 'none'; readonly directory: string };
/** Something is there that cannot or must not be used: never a reason to go on without identity. */
export type BrokenIdentity = {
  readonly kind: 'broken';
  readonly directory: string;
  readonly why: string;
  readonly remedy: string;
};
export type IdentityState = NoIdentity | BrokenIdentity | Identity;

const maxPemBytes = 64 << 10;

/** SHA-256 of a certificate's public key (SubjectPublicKeyInfo): what a pairing code carries the first 80 bits of. */
export function publicKeyFingerprint(certificate: X509Certificate): Buffer {
  return createHash('sha256')
    .update(certificate.publicKey.export({ type: 'spki', format: 'der' }))
    .digest();
}

/** The name that a certificate bears. */
export function commonName(certificate: X509Certificate): string {
  const subject = certificate.toLegacyObject().subject as Readonly<Record<string, unknown>>;
  const name = subject['CN'];
  return typeof name === 'string' ? name.replaceAll(/[^\x20-\x7e]/g, '?') : 'without a name';
}

/** True if `leaf` was signed by `ca`, an authority. Says nothing of dates. */
export function isIssuedBy(leaf: X509Certificate, ca: X509Certificate): boolean {
  return ca.ca && leaf.checkIssued(ca) && leaf.verify(ca.publicKey);
}

/** A worker's state directory keeps it here. */
export function identityDirectoryOf(workerState: string): string {
  return join(workerState, 'identity');
}

type Environment = Readonly<Record<string, string | undefined>>;

/** Where `shoal join` puts what a client gets. */
export function clientIdentityDirectory(env: Environment): string {
  return join(stateDir(env), 'identity');
}

/**
 * The identity that this user's builds have: SHOAL_IDENTITY names a directory, else the client's own, else that of the
 * worker on this box. One that is broken is reported, not passed over for the next.
 */
export function findClientIdentity(env: Environment): IdentityState {
  const named = env['SHOAL_IDENTITY'];
  if (named !== undefined && named !== '') {
    const found = loadIdentity(named);
    if (found.kind !== 'none') return found;
    return { kind: 'broken', directory: named, why: `SHOAL_IDENTITY: ${named} is not there`, remedy: 'name another' };
  }
  const own = loadIdentity(clientIdentityDirectory(env));
  if (own.kind !== 'none') return own;
  const workers = loadIdentity(identityDirectoryOf(workerStateDir(env)));
  return workers.kind === 'none' ? own : workers;
}

class Broken extends Error {
  readonly remedy: string;

  constructor(why: string, remedy: string) {
    super(why);
    this.remedy = remedy;
  }
}

const restore = 'restore it from a backup, or remove the directory and join the farm again with `shoal join CODE`';

function readText(path: string): string {
  const found = readPrivate(path, maxPemBytes);
  if (found.kind === 'refused') throw new Broken(found.why, found.remedy);
  if (found.kind === 'absent') throw new Broken(`${path} is missing`, restore);
  return found.bytes.toString('latin1');
}

function certificateFrom(pem: string, path: string): X509Certificate {
  try {
    return new X509Certificate(pem);
  } catch (error) {
    throw new Broken(`${path} holds no certificate (${(error as Error).message})`, restore);
  }
}

function keyFrom(pem: string, path: string): KeyObject {
  try {
    return createPrivateKey(pem);
  } catch (error) {
    throw new Broken(
      `${path} holds no private key (${(error as NodeJS.ErrnoException).code ?? 'unreadable'})`,
      restore,
    );
  }
}

const pemBlock = (label: string, text: string): string | undefined =>
  new RegExp(`-----BEGIN ${label}-----[^-]+-----END ${label}-----\n?`).exec(text)?.[0];

function load(directory: string): Identity {
  const memberPath = join(directory, identityFiles.member);
  const caPath = join(directory, identityFiles.caCertificate);
  const caKeyPath = join(directory, identityFiles.caKey);
  const member = readText(memberPath);
  const keyPem = pemBlock('PRIVATE KEY', member) ?? '';
  const certificatePem = pemBlock('CERTIFICATE', member) ?? '';
  const caPem = readText(caPath);
  const certificate = certificateFrom(certificatePem, memberPath);
  const ca = certificateFrom(caPem, caPath);
  if (!certificate.checkPrivateKey(keyFrom(keyPem, memberPath))) {
    throw new Broken(`${memberPath}: key and certificate are not of one pair`, restore);
  }
  if (!isIssuedBy(certificate, ca)) throw new Broken(`${memberPath} was not issued by ${caPath}`, restore);
  const hasCaKey = existsSync(caKeyPath);
  if (hasCaKey && !ca.checkPrivateKey(keyFrom(readText(caKeyPath), caKeyPath))) {
    throw new Broken(`${caKeyPath} is not the key of ${caPath}`, restore);
  }
  return {
    kind: 'identity',
    directory,
    ...memberOf(certificate),
    farm: commonName(ca),
    fingerprint: publicKeyFingerprint(ca).toString('hex'),
    certificatePem,
    keyPem,
    caPem,
    ...(hasCaKey ? { caKeyPath } : {}),
  };
}

/** Reads and checks an identity directory. An expired certificate is still an identity: see `notAfter`. */
export function loadIdentity(directory: string): IdentityState {
  const refused = directoryRefusal(directory);
  if (refused?.kind === 'absent') return { kind: 'none', directory };
  if (refused !== undefined) return { kind: 'broken', directory, why: refused.why, remedy: refused.remedy };
  try {
    return load(directory);
  } catch (error) {
    const { message } = error as Error;
    return { kind: 'broken', directory, why: message, remedy: error instanceof Broken ? error.remedy : restore };
  }
}
