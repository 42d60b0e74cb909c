// What members of a farm say to each other: the news (sync.ts), and what becomes of a renewal (renew.ts).

export type SyncMessage = {
  /** Revocations.stamp of the sender. */
  readonly stamp: string;
  /** Lists of revocations, encoded; empty where the other side has the same. */
  readonly revocations: Uint8Array;
  readonly addresses: readonly string[];
  /** JSON of MemberRecords; empty unless both are admins. */
  readonly members: string;
};

export type RenewAnswer =
  { readonly kind: 'renewed'; readonly certificatePem: string } | { readonly kind: 'refused'; readonly why: string };
