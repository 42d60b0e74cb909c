// The identity's files in another's hand: what a process does with them that cannot reach them itself (worker/keeper/). An
// Identity that comes with a desk is used through it by sync.ts, renew.ts, addresses and pairing.
import type { JoinAnswer, JoinRequest } from './pairing-messages.ts';
import type { Role } from './peer.ts';
import type { RenewAnswer, SyncMessage } from './member-messages.ts';

export type RenewalStep =
  | { readonly kind: 'not-due' }
  | { readonly kind: 'failed'; readonly why: string }
  | { readonly kind: 'renewed'; readonly notAfter: number }
  /** An admin has to sign this. */
  | { readonly kind: 'request'; readonly csrPem: string };

export type IdentityDesk = {
  readonly syncMessage: (peer: { readonly role: Role; readonly stamp: string | undefined }) => SyncMessage;
  /** @throws RevocationsError if a list is not the farm's. */
  readonly acceptSync: (peer: { readonly role: Role }, told: SyncMessage) => string;
  readonly addresses: () => readonly string[];
  /** A member was let in. */
  readonly seen: (serial: string) => void;
  readonly renewFor: (serial: string, csrPem: string) => RenewAnswer;
  readonly beginRenewal: () => RenewalStep;
  readonly endRenewal: (answer: RenewAnswer) => RenewalStep;
  /** `reached`: where this box is. */
  readonly admit: (request: JoinRequest, address: string, reached: readonly string[]) => JoinAnswer;
};
