// What happens to a worker that somebody may want to know of: its log and its audit log are told.
import type { MembershipEvent } from '../farm/membership.ts';
import type { PairingEvent } from '../trust/pairing-server.ts';
import type { RevokedEvent } from './members/belonging.ts';
import type { ToldRefusal } from './members/refusals.ts';
import type { ToolchainEvent } from './toolchains/toolchains.ts';

export type WorkerEvent =
  | ToolchainEvent
  | MembershipEvent
  | ({ readonly kind: 'refused-peer' } & ToldRefusal)
  | { readonly kind: 'pairing'; readonly event: PairingEvent }
  | RevokedEvent
  | { readonly kind: 'listening'; readonly address: string }
  | { readonly kind: 'socket-taken'; readonly path: string }
  /** By hand: jobs run without namespaces. */
  | { readonly kind: 'uncontained' };
