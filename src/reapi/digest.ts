// A digest names a blob by content: SHA-256 in lower-case hex together with its size. REAPI compares both, never the
// hash alone, so a digest whose size is wrong names nothing.
import { hash } from 'node:crypto';

export type Digest = { readonly hash: string; readonly sizeBytes: number };

/** The digest as one map key or path segment: `hash/size`. */
export type DigestKey = string & { readonly __digest: unique symbol };

const sha256Hex = /^[0-9a-f]{64}$/;

export function digestOf(bytes: Uint8Array): Digest {
  // In one call, without the stream that createHash makes: 1.2 µs for 2 KB instead of 1.6 (more before it is optimised).
  return { hash: hash('sha256', bytes, 'hex'), sizeBytes: bytes.byteLength };
}

export function digestKey(digest: Digest): DigestKey {
  return `${digest.hash}/${digest.sizeBytes}` as DigestKey;
}

/** `hash/size` back to a digest, or undefined if the text is no SHA-256 digest. */
export function parseDigestKey(text: string): Digest | undefined {
  const [hash, size, ...rest] = text.split('/');
  if (hash === undefined || size === undefined || rest.length > 0) return undefined;
  if (!sha256Hex.test(hash) || !/^(0|[1-9][0-9]{0,14})$/.test(size)) return undefined;
  return { hash, sizeBytes: Number(size) };
}

export function isDigest(digest: Digest | undefined): digest is Digest {
  return (
    digest !== undefined &&
    sha256Hex.test(digest.hash) &&
    Number.isSafeInteger(digest.sizeBytes) &&
    digest.sizeBytes >= 0
  );
}

export function sameDigest(a: Digest, b: Digest): boolean {
  return a.hash === b.hash && a.sizeBytes === b.sizeBytes;
}

/** The digest of no bytes: every store acts as if it held this blob (REAPI). */
export const emptyDigest: Digest = digestOf(new Uint8Array(0));
