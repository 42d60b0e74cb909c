// Certificates of an existing authority, in place of a farm of our own: --tls-ca, --tls-cert and --tls-key, or SHOAL_TLS_CA,
// SHOAL_TLS_CERT and SHOAL_TLS_KEY. The authority issues and renews them; shoal reads them.
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { commonName, publicKeyFingerprint, type BrokenIdentity, type Identity } from './identity.ts';
import { memberOf } from './member.ts';

export type ExternalFiles = { readonly ca: string; readonly certificate: string; readonly key: string };

type Environment = Readonly<Record<string, string | undefined>>;
/** Of the flags --tls-ca, --tls-cert and --tls-key. */
type ExternalFlags = { readonly [Flag in 'tls-ca' | 'tls-cert' | 'tls-key']?: string | undefined };

/** The files that flags, or else the environment, name. Undefined if none; a text if only some. */
export function externalFiles(flags: ExternalFlags, env: Environment): ExternalFiles | string | undefined {
  const ca = flags['tls-ca'] ?? env['SHOAL_TLS_CA'] ?? '';
  const certificate = flags['tls-cert'] ?? env['SHOAL_TLS_CERT'] ?? '';
  const key = flags['tls-key'] ?? env['SHOAL_TLS_KEY'] ?? '';
  if (ca === '' && certificate === '' && key === '') return undefined;
  if (ca !== '' && certificate !== '' && key !== '') return { ca, certificate, key };
  return 'an existing authority needs all three of --tls-ca, --tls-cert and --tls-key (or SHOAL_TLS_CA, _CERT and _KEY)';
}

const maxBytes = 1 << 20;

function read(path: string, what: string): string {
  try {
    const { size } = statSync(path);
    if (size > maxBytes) throw new Error('too large');
    return readFileSync(path, 'latin1');
  } catch (error) {
    throw new Error(`cannot read the ${what}: ${(error as Error).message}`, { cause: error });
  }
}

function parsed<Value>(path: string, what: string, parse: () => Value): Value {
  try {
    return parse();
  } catch (error) {
    throw new Error(`${path} holds no ${what} (${(error as Error).message})`, { cause: error });
  }
}

/** Links are followed and owners are not compared: tools that hand out certificates work with both. */
function load(files: ExternalFiles): Identity {
  const caPem = read(files.ca, 'authority');
  const certificatePem = read(files.certificate, 'certificate');
  const keyPem = read(files.key, 'key');
  if ((statSync(files.key).mode & 0o007) !== 0) throw new Error(`${files.key} is open to everybody: chmod o= it`);
  const ca = parsed(files.ca, 'certificate', () => new X509Certificate(caPem));
  const certificate = parsed(files.certificate, 'certificate', () => new X509Certificate(certificatePem));
  const key = parsed(files.key, 'private key', () => createPrivateKey(keyPem));
  if (!certificate.checkPrivateKey(key)) throw new Error(`${files.key} is not the key of ${files.certificate}`);
  const fingerprint = publicKeyFingerprint(ca).toString('hex');
  return {
    kind: 'identity',
    directory: undefined,
    ...memberOf(certificate),
    farm: commonName(ca),
    fingerprint,
    certificatePem,
    keyPem,
    caPem,
  };
}

/** The identity that such files give. The certificate may be followed by those between it and the authority. */
export function externalIdentity(files: ExternalFiles): Identity | BrokenIdentity {
  try {
    return load(files);
  } catch (error) {
    const why = (error as Error).message;
    return { kind: 'broken', directory: files.certificate, why, remedy: 'have the authority issue them anew' };
  }
}
