// The front's side of the identity: a LiveTrust whose files are the keeper's.
import type { IdentityDesk, RenewalStep } from '../../trust/desk.ts';
import { keptCurrent, type LiveTrust } from '../../trust/live-trust.ts';
import type { JoinAnswer } from '../../trust/pairing-messages.ts';
import type { RenewAnswer } from '../../trust/member-messages.ts';
import { decodeRevocations, RevocationsError } from '../../trust/revocations.ts';
import type { DeskAnswer, Question, SyncText, TrustText } from './identity-desk.ts';

/** The keeper's answers are taken at their word: it is the one of the two that is trusted. */
type Ask = (question: Question) => unknown;

function askerOver(ask: (question: string) => string): Ask {
  return (question) => {
    const told = JSON.parse(ask(JSON.stringify(question))) as DeskAnswer;
    if (told.kind === 'answer') return told.answer;
    throw told.isRevocations ? new RevocationsError(told.why) : new Error(told.why);
  };
}

function deskOver(ask: Ask): IdentityDesk {
  return {
    syncMessage: ({ role, stamp }) => {
      const told = ask({ ask: 'sync-message', role, stamp }) as SyncText;
      return { ...told, revocations: Buffer.from(told.revocations, 'base64') };
    },
    acceptSync: ({ role }, told) => {
      const revocations = Buffer.from(told.revocations).toString('base64');
      return ask({ ask: 'accept-sync', role, told: { ...told, revocations } }) as string;
    },
    addresses: () => ask({ ask: 'addresses' }) as readonly string[],
    seen: (serial) => void ask({ ask: 'seen', serial }),
    renewFor: (serial, csrPem) => ask({ ask: 'renew-for', serial, csrPem }) as RenewAnswer,
    beginRenewal: () => ask({ ask: 'begin-renewal' }) as RenewalStep,
    endRenewal: (answer) => ask({ ask: 'end-renewal', answer }) as RenewalStep,
    admit: (request, address, reached) => {
      const secret = Buffer.from(request.secret).toString('base64') as unknown as Buffer;
      return ask({ ask: 'admit', request: { ...request, secret }, address, reached }) as JoinAnswer;
    },
  };
}

export function remoteTrust(askKeeper: (question: string) => string): LiveTrust {
  const ask = askerOver(askKeeper);
  const desk = deskOver(ask);
  let stamp = 0;
  return keptCurrent(() => {
    const news = ask({ ask: 'trust', stamp }) as { readonly stamp: number; readonly trust: TrustText } | undefined;
    if (news === undefined) return undefined;
    stamp = news.stamp;
    const told = news.trust;
    if (told.kind !== 'farm') return told;
    const identity = told.identity.directory === undefined ? told.identity : { ...told.identity, desk };
    const bytes = Buffer.from(told.revocations, 'base64');
    return { kind: 'farm', identity, revocations: decodeRevocations(bytes, identity.caPem) };
  });
}
