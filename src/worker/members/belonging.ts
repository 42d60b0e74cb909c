// A worker as a member of its farm, for as long as it serves: who is put out goes at once, the certificate is renewed,
// the network is told where the worker is.
import { announce } from '../../farm/discovery.ts';
import { startMembership, type MembershipEvent } from '../../farm/membership.ts';
import { reachedAt } from './pairing.ts';
import { version } from '../../observe/version.ts';
import type { Serving } from '../../reapi/server.ts';
import { isMemberPeer, judge } from '../../trust/admission.ts';
import type { LiveTrust, Trust } from '../../trust/live-trust.ts';
import type { Peer } from '../../trust/peer.ts';
import { noRevocations, type Revocations } from '../../trust/revocations.ts';

/** This box has heard of it just now. */
export type RevokedEvent = { readonly kind: 'revoked'; readonly name: string };

export type BelongingWorld = {
  readonly trust: LiveTrust;
  readonly serving: Pick<Serving, 'expel'>;
  /** Listeners that other boxes reach. */
  readonly listeners: readonly { readonly host: string; readonly port: number }[];
  readonly log: (event: MembershipEvent | RevokedEvent) => void;
};

// A certificate that ends while its bearer is connected.
const expiryLookMs = 60_000;

const revokedIn = (now: Trust): Revocations['members'] =>
  now.kind === 'farm' ? now.revocations.members : noRevocations.members;

/** Ends when the function that it returns is called. */
export function belong({ trust, serving, listeners, log }: BelongingWorld): () => Promise<void> {
  let farm: string | undefined;
  let silence: readonly (() => Promise<void>)[] = [];
  const expelOthers = (now: Trust): void => {
    if (now.kind !== 'farm') return;
    const isSame = farm === now.identity.fingerprint;
    const goes = (peer: Peer): boolean =>
      isMemberPeer(peer) && (!isSame || judge(peer, now.revocations, Date.now()).kind === 'refused');
    serving.expel(goes);
  };
  const announceIn = (now: Trust): void => {
    if (now.kind !== 'farm' || now.identity.fingerprint === farm) return;
    const { name, fingerprint } = now.identity;
    farm = fingerprint;
    for (const stop of silence) void stop();
    silence = listeners.map(({ port }) => announce({ name, port, fingerprint, version }));
  };
  const known = new Set(revokedIn(trust.current()).keys());
  const follow = (now: Trust): void => {
    for (const [member, { name }] of revokedIn(now)) {
      if (known.has(member)) continue;
      known.add(member);
      log({ kind: 'revoked', name });
    }
    expelOthers(now);
    announceIn(now);
  };
  announceIn(trust.current());
  trust.onChange(follow);
  const timer = setInterval(() => expelOthers(trust.current()), expiryLookMs).unref();
  const endMembership = startMembership({ trust, log, random: Math.random, own: reachedAt(listeners) });
  return async () => {
    clearInterval(timer);
    endMembership();
    trust.close();
    await Promise.all(silence.map(async (stop) => stop()));
  };
}
