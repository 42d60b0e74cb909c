// ByteStream resource names. Pure.
//   read   [instance/]blobs/hash/size            [instance/]compressed-blobs/zstd/hash/size
//   write  [instance/]uploads/uuid/ and the same, optionally followed by more segments
// Only SHA-256 is served, which has no segment of its own.
import { digestKey, parseDigestKey, type Digest } from './digest.ts';

export type Compression = 'identity' | 'zstd';

export type ResourceName = { readonly digest: Digest; readonly compression: Compression; readonly upload: boolean };

export function readName(digest: Digest, compression: Compression, instance = ''): string {
  const prefix = instance === '' ? '' : `${instance}/`;
  return `${prefix}${blobPart(digest, compression)}`;
}

export function writeName(
  digest: Digest,
  compression: Compression,
  upload: { uuid: string; instance?: string },
): string {
  const prefix = upload.instance === undefined || upload.instance === '' ? '' : `${upload.instance}/`;
  return `${prefix}uploads/${upload.uuid}/${blobPart(digest, compression)}`;
}

function blobPart(digest: Digest, compression: Compression): string {
  return compression === 'zstd' ? `compressed-blobs/zstd/${digestKey(digest)}` : `blobs/${digestKey(digest)}`;
}

/** Any instance name is accepted: a worker of ours serves one instance, whatever a client calls it. */
export function parseResourceName(name: string): ResourceName | undefined {
  const segments = name.split('/');
  const at = segments.findIndex((segment) => segment === 'blobs' || segment === 'compressed-blobs');
  if (at < 0) return undefined;
  const upload = at >= 2 && segments[at - 2] === 'uploads';
  if (!upload && segments.includes('uploads')) return undefined;
  const compressed = segments[at] === 'compressed-blobs';
  if (compressed && segments[at + 1] !== 'zstd') return undefined;
  const hashAt = at + (compressed ? 2 : 1);
  if (!upload && segments.length > hashAt + 2) return undefined;
  const digest = parseDigestKey(`${segments[hashAt] ?? ''}/${segments[hashAt + 1] ?? ''}`);
  return digest === undefined ? undefined : { digest, compression: compressed ? 'zstd' : 'identity', upload };
}
