// Who brought what the store holds. Room is made by dropping what was used least of late, whosever it is, until somebody
// has more than half of the store: what such a client adds then takes the place of what it brought itself. So nobody can
// push out another's blobs by filling the store, and one who is alone still has all of it.
import type { DigestKey } from '../reapi/digest.ts';

export type Shares = {
  /** Bytes come, or go again: those of uploads under way count. */
  readonly count: (owner: string | undefined, bytes: number) => void;
  readonly add: (owner: string | undefined, key: DigestKey) => void;
  readonly use: (owner: string | undefined, key: DigestKey) => void;
  readonly remove: (owner: string | undefined, key: DigestKey) => void;
  /** The blobs of an owner for whom room has to be made among its own, least recently used first; else undefined. */
  readonly ownOf: (owner: string | undefined, wantedBytes: number) => Iterable<DigestKey> | undefined;
};

type Share = { bytes: number; readonly keys: Set<DigestKey> };

const mostShare = 0.5;

/** Blobs without an owner, of which it is not known any more who brought them, count for nobody. */
export function newShares(maxBytes: number): Shares {
  const shares = new Map<string, Share>();
  const change = (owner: string | undefined, act: (share: Share) => void): void => {
    if (owner === undefined) return;
    const share = shares.get(owner) ?? { bytes: 0, keys: new Set() };
    act(share);
    if (share.bytes > 0 || share.keys.size > 0) shares.set(owner, share);
    else shares.delete(owner);
  };
  return {
    count: (owner, bytes) => change(owner, (share) => (share.bytes += bytes)),
    add: (owner, key) => change(owner, ({ keys }) => keys.add(key)),
    use: (owner, key) => {
      const keys = owner === undefined ? undefined : shares.get(owner)?.keys;
      if (keys?.delete(key) === true) keys.add(key);
    },
    remove: (owner, key) => change(owner, ({ keys }) => keys.delete(key)),
    ownOf: (owner, wantedBytes) => {
      const share = owner === undefined ? undefined : shares.get(owner);
      return share !== undefined && share.bytes + wantedBytes > maxBytes * mostShare ? share.keys : undefined;
    },
  };
}
