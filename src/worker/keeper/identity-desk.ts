// The keeper's side of the identity: answers what the front asks of it, each answer from the files. The front has the
// leaf's key, for TLS is spoken there; never the authority's, nor the codes. It says who is at the other end of a
// connection, and could lie: so a certificate is renewed only for a member whose last one is known here and ends soon,
// and a new one is given only for a code.
import { addressesIn, farmAddresses } from '../../trust/addresses.ts';
import type { RenewalStep } from '../../trust/desk.ts';
import type { Identity } from '../../trust/identity.ts';
import type { FarmTrust, LiveTrust, Trust } from '../../trust/live-trust.ts';
import { isRole } from '../../trust/member.ts';
import { knownCertificates, noteSeen } from '../../trust/member-files.ts';
import type { JoinAnswer, JoinRequest } from '../../trust/pairing-messages.ts';
import type { PairingEvent } from '../../trust/pairing-server.ts';
import type { Role } from '../../trust/peer.ts';
import type { Renewal } from '../../trust/renew.ts';
import type { RenewAnswer, SyncMessage } from '../../trust/member-messages.ts';
import { encodeRevocations, RevocationsError } from '../../trust/revocations.ts';
import { acceptSync, syncMessage } from '../../trust/sync.ts';

export type TrustText =
  { readonly kind: 'farm'; readonly identity: Identity; readonly revocations: string } | Exclude<Trust, FarmTrust>;

/** Revocations in base64. */
export type SyncText = Omit<SyncMessage, 'revocations'> & { readonly revocations: string };

export type Question =
  | { readonly ask: 'trust'; readonly stamp: number }
  | { readonly ask: 'sync-message'; readonly role: Role; readonly stamp?: string | undefined }
  | { readonly ask: 'accept-sync'; readonly role: Role; readonly told: SyncText }
  | { readonly ask: 'addresses' | 'begin-renewal' }
  | { readonly ask: 'seen'; readonly serial: string }
  | { readonly ask: 'renew-for'; readonly serial: string; readonly csrPem: string }
  | { readonly ask: 'end-renewal'; readonly answer: RenewAnswer }
  | {
      readonly ask: 'admit';
      readonly request: JoinRequest;
      readonly address: string;
      readonly reached: readonly string[];
    };

export type DeskAnswer =
  | { readonly kind: 'answer'; readonly answer: unknown }
  | { readonly kind: 'error'; readonly isRevocations: boolean; readonly why: string };

type World = { readonly trust: LiveTrust; readonly nowMs: () => number; readonly log: (event: PairingEvent) => void };

function textOf(value: unknown, most = 64 << 10): string {
  if (typeof value === 'string' && value.length <= most) return value;
  throw new TypeError('a text is missing, or too long');
}

function roleOf(value: unknown): Role {
  if (isRole(value)) return value;
  throw new TypeError('a role is missing');
}

function trustText(trust: Trust): TrustText {
  if (trust.kind !== 'farm') return trust;
  const { identity, revocations } = trust;
  return { kind: 'farm', identity, revocations: encodeRevocations(revocations).toString('base64') };
}

function requestOf(request: JoinRequest): JoinRequest {
  const { secret, name, exactName, csrPem, hostname } = request;
  return {
    secret: Buffer.from(textOf(secret as unknown), 'base64'),
    name: textOf(name, 64),
    exactName: (exactName as unknown) === true,
    csrPem: textOf(csrPem),
    hostname: textOf(hostname, 300),
  };
}

export function openIdentityDesk({ trust, nowMs, log }: World): (question: string) => Promise<string> {
  let stamp = 1;
  trust.onChange(() => (stamp += 1));
  let decisions: ((request: JoinRequest, address: string) => Promise<JoinAnswer>) | undefined;
  let reached: readonly string[] = [];
  let renewal: { readonly answer: (answer: RenewAnswer) => void; readonly done: Promise<Renewal> } | undefined;

  const own = (): Identity & { readonly directory: string } => {
    const now = trust.current();
    if (now.kind !== 'farm' || now.identity.directory === undefined)
      throw new Error('this box has no identity of its own');
    return { ...now.identity, directory: now.identity.directory };
  };
  const stepOf = (ended: Renewal): RenewalStep =>
    ended.kind === 'renewed' ? { kind: 'renewed', notAfter: ended.identity.notAfter } : ended;

  const beginRenewal = async (): Promise<RenewalStep> => {
    // What is seldom needed is loaded then: it takes megabytes.
    const { renewIfDue } = await import('../../trust/renew.ts');
    renewal?.answer({ kind: 'refused', why: 'it was asked for anew' });
    let toSign: (csrPem: string) => void = () => undefined;
    const request = new Promise<RenewalStep>((resolve) => (toSign = (csrPem) => resolve({ kind: 'request', csrPem })));
    let answer: (answer: RenewAnswer) => void = () => undefined;
    const answered = new Promise<RenewAnswer>((resolve) => (answer = resolve));
    const call = async (csrPem: string): Promise<RenewAnswer> => {
      toSign(csrPem);
      return answered;
    };
    const done = renewIfDue(own(), call, nowMs());
    renewal = { answer, done };
    return Promise.race([request, done.then(stepOf)]);
  };

  const endRenewal = async (answer: RenewAnswer): Promise<RenewalStep> => {
    if (renewal === undefined) return { kind: 'failed', why: 'nothing was asked for' };
    const { done } = renewal;
    renewal.answer(
      answer.kind === 'renewed'
        ? { kind: 'renewed', certificatePem: textOf(answer.certificatePem) }
        : { kind: 'refused', why: textOf(answer.why) },
    );
    renewal = undefined;
    return stepOf(await done);
  };

  const renewFor = async (serial: string, csrPem: string): Promise<RenewAnswer> => {
    const admin = own();
    const caller = knownCertificates(admin.directory, nowMs()).find((each) => each.serial === serial);
    if (caller === undefined) return { kind: 'refused', why: 'this admin does not know that certificate yet' };
    const { renewFor } = await import('../../trust/renew.ts');
    return renewFor(admin, caller, textOf(csrPem), nowMs());
  };

  const admit = async (request: JoinRequest, address: string): Promise<JoinAnswer> => {
    const { openDecisions } = await import('../../trust/pairing-server.ts');
    decisions ??= openDecisions(own().directory, { now: nowMs, addresses: () => reached, log });
    return decisions(request, address);
  };

  const answerTo = async (question: Question): Promise<unknown> => {
    switch (question.ask) {
      case 'trust':
        trust.refresh();
        return question.stamp === stamp ? undefined : { stamp, trust: trustText(trust.current()) };
      case 'sync-message': {
        const peerStamp = question.stamp === undefined ? undefined : textOf(question.stamp);
        const told = syncMessage(own(), { role: roleOf(question.role), stamp: peerStamp }, nowMs());
        return { ...told, revocations: Buffer.from(told.revocations).toString('base64') };
      }
      case 'accept-sync': {
        const { stamp: theirs, revocations, addresses, members } = question.told;
        const told = {
          stamp: textOf(theirs),
          revocations: Buffer.from(textOf(revocations, 8 << 20), 'base64'),
          addresses: addressesIn(addresses),
          members: textOf(members, 8 << 20),
        };
        const held = acceptSync(own(), { role: roleOf(question.role) }, told, nowMs());
        trust.refresh();
        return held;
      }
      case 'addresses':
        return farmAddresses(own().directory);
      case 'seen':
        return noteSeen(own().directory, textOf(question.serial, 100), nowMs());
      case 'renew-for':
        return renewFor(textOf(question.serial), question.csrPem);
      case 'begin-renewal':
        return beginRenewal();
      case 'end-renewal':
        return endRenewal(question.answer);
      case 'admit':
        reached = addressesIn(question.reached);
        return admit(requestOf(question.request), textOf(question.address, 100));
    }
    throw new TypeError('a question that is none');
  };

  return async (question) => {
    let told: DeskAnswer;
    try {
      told = { kind: 'answer', answer: await answerTo(JSON.parse(question) as Question) };
    } catch (error) {
      told = { kind: 'error', isRevocations: error instanceof RevocationsError, why: (error as Error).message };
    }
    return JSON.stringify(told);
  };
}
