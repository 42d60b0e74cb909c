// shoal.v1.Members, the caller's side: what two members tell each other on every connection, and renewal through an admin.
import type { Identity } from '../trust/identity.ts';
import type { RenewAnswer } from '../trust/member-messages.ts';
import { acceptSync, syncMessage } from '../trust/sync.ts';
import type { Role } from '../trust/peer.ts';
import { GrpcError, grpcCode } from './errors.ts';
import { Knowledge, RenewRequest, RenewResponse } from './gen/shoal.ts';
import type { Channel } from './grpc-client.ts';

export const syncPath = '/shoal.v1.Members/Sync';
export const renewPath = '/shoal.v1.Members/Renew';
const patienceMs = 10_000;

export const knowledgeOf = (told: ReturnType<typeof syncMessage>): Knowledge => ({
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
  const first = knowledgeOf(syncMessage(identity, { role, stamp: undefined }, Date.now()));
  // Mostly both have the same, which a stamp tells.
  const answer = await say({ ...first, revocations: Buffer.alloc(0) });
  const stamp = acceptSync(identity, peer, answer, Date.now());
  if (stamp !== answer.stamp) {
    await say(knowledgeOf(syncMessage(identity, { role, stamp: answer.stamp }, Date.now())));
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
