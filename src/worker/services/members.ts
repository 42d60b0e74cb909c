// shoal.v1.Members, as a worker serves it to members of its farm.
import { GrpcError, grpcCode } from '../../reapi/errors.ts';
import { Knowledge, RenewRequest, RenewResponse } from '../../reapi/gen/shoal.ts';
import { knowledgeOf, renewPath, syncPath } from '../../reapi/members.ts';
import { unary, type Handler } from '../../reapi/server.ts';
import { isMemberPeer, type MemberPeer } from '../../trust/admission.ts';
import type { Identity } from '../../trust/identity.ts';
import type { Peer } from '../../trust/peer.ts';
import { renewFor } from '../../trust/renew.ts';
import { RevocationsError } from '../../trust/revocations.ts';
import { acceptSync, syncMessage } from '../../trust/sync.ts';

export type MembersWorld = {
  /** Undefined where this box belongs to no farm. */
  readonly identity: () => Identity | undefined;
  /** The list of revocations may be another now. */
  readonly changed: () => void;
  readonly nowMs: () => number;
};

function between(world: MembersWorld, peer: Peer): { readonly identity: Identity; readonly caller: MemberPeer } {
  const identity = world.identity();
  if (identity === undefined || !isMemberPeer(peer)) {
    throw new GrpcError(grpcCode.PERMISSION_DENIED, 'only between members of one farm');
  }
  return { identity, caller: peer };
}

function accept(identity: Identity, caller: MemberPeer, told: Knowledge, nowMs: number): void {
  try {
    acceptSync(identity, caller, told, nowMs);
  } catch (error) {
    if (!(error instanceof RevocationsError)) throw error;
    throw new GrpcError(grpcCode.INVALID_ARGUMENT, error.message);
  }
}

export function membersService(world: MembersWorld): readonly Handler[] {
  return [
    unary({ path: syncPath, request: Knowledge, response: Knowledge }, (told, { peer }) => {
      const { identity, caller } = between(world, peer);
      const nowMs = world.nowMs();
      accept(identity, caller, told, nowMs);
      world.changed();
      return knowledgeOf(syncMessage(identity, { role: caller.role, stamp: told.stamp }, nowMs));
    }),
    unary({ path: renewPath, request: RenewRequest, response: RenewResponse }, async ({ request }, { peer }) => {
      const { identity, caller } = between(world, peer);
      const answer = await renewFor(identity, caller, request, world.nowMs());
      if (answer.kind === 'refused') throw new GrpcError(grpcCode.PERMISSION_DENIED, answer.why);
      return { certificate: answer.certificatePem };
    }),
  ];
}
