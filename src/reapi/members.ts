// shoal.v1.Members: what two members tell each other on every connection, and renewal through an admin.
import type { Identity } from '../trust/identity.ts';
import { isMemberPeer, type MemberPeer } from '../trust/admission.ts';
import type { Peer } from '../trust/peer.ts';
import { renewFor, type RenewAnswer } from '../trust/renew.ts';
import { RevocationsError } from '../trust/revocations.ts';
import { acceptSync, syncMessage } from '../trust/sync.ts';
import type { Role } from '../trust/peer.ts';
import { GrpcError, grpcCode } from './errors.ts';
import { Knowledge, RenewRequest, RenewResponse } from './gen/shoal.ts';
import type { Channel } from './grpc-client.ts';
import { unary, type Handler } from './server.ts';

const syncPath = '/shoal.v1.Members/Sync';
const renewPath = '/shoal.v1.Members/Renew';
const patienceMs = 10_000;

const toMessage = (told: ReturnType<typeof syncMessage>): Knowledge => ({
  stamp: told.stamp,
  revocations: Buffer.from(told.revocations),
  addresses: [...told.addresses],
  members: told.members,
});

/** Tells the peer what this box knows, and takes over what it tells. @throws GrpcError, RevocationsError */
export async function syncOver(channel: Channel, identity: Identity, peer: { readonly role: Role }): Promise<void> {
  const say = async (told: Knowledge): Promise<Knowledge> =>
    Knowledge.decode(await channel.unary(syncPath, Knowledge.encode(told).finish(), { deadlineMs: patienceMs }));
  const { role } = peer;
  const first = toMessage(syncMessage(identity, { role, stamp: undefined }, Date.now()));
  // Mostly both have the same, which a stamp tells.
  const answer = await say({ ...first, revocations: Buffer.alloc(0) });
  const stamp = acceptSync(identity, peer, answer, Date.now());
  if (stamp !== answer.stamp) {
    await say(toMessage(syncMessage(identity, { role, stamp: answer.stamp }, Date.now())));
  }
}

/** Asks an admin for a new certificate. @throws GrpcError */
export async function renewOver(channel: Channel, csrPem: string): Promise<RenewAnswer> {
  const request = RenewRequest.encode({ request: csrPem }).finish();
  try {
    const answer = await channel.unary(renewPath, request, { deadlineMs: patienceMs });
    return { kind: 'renewed', certificatePem: RenewResponse.decode(answer).certificate };
  } catch (error) {
    if (!(error instanceof GrpcError) || error.code !== grpcCode.PERMISSION_DENIED) throw error;
    return { kind: 'refused', why: error.message };
  }
}

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
      return toMessage(syncMessage(identity, { role: caller.role, stamp: told.stamp }, nowMs));
    }),
    unary({ path: renewPath, request: RenewRequest, response: RenewResponse }, async ({ request }, { peer }) => {
      const { identity, caller } = between(world, peer);
      const answer = await renewFor(identity, caller, request, world.nowMs());
      if (answer.kind === 'refused') throw new GrpcError(grpcCode.PERMISSION_DENIED, answer.why);
      return { certificate: answer.certificatePem };
    }),
  ];
}
