// A process's own identity and the list of those who were put out, as the files have them now: `shoal pair` may make the
// first, a renewal replaces it, `shoal revoke` and every connection may bring the second. Looked at each second.
//
// What has been an identity stays one for this process: a directory that breaks or vanishes never makes it open again.
import { statSync } from 'node:fs';
import { join } from 'node:path';
import type { Identity, IdentityState } from './identity.ts';
import { identityFiles } from './identity-layout.ts';
import { loadRevocations, revocationsStamp } from './revocation-files.ts';
import type { Revocations } from './revocations.ts';

export type FarmTrust = { readonly kind: 'farm'; readonly identity: Identity; readonly revocations: Revocations };

export type BrokenTrust = {
  readonly kind: 'broken';
  /** Of the identity, where that is one. */
  readonly directory?: string;
  readonly why: string;
  readonly remedy: string;
};

export type Trust = FarmTrust | { readonly kind: 'none' } | BrokenTrust;

export type LiveTrust = {
  readonly current: () => Trust;
  /** Looks at the files now. */
  readonly refresh: () => void;
  readonly onChange: (listener: (trust: Trust) => void) => void;
  readonly close: () => void;
};

export type TrustSource = {
  readonly find: () => IdentityState;
  /** Files whose change means that `find` has to be asked again. */
  readonly files: readonly string[];
  readonly nowMs: () => number;
};

/** Of an identity's directory: what changes when it is made, joined or renewed. */
export function filesOfIdentity(directory: string): readonly string[] {
  return [join(directory, identityFiles.member), join(directory, identityFiles.caCertificate)];
}

const lookMs = 1000;

function stampOf(path: string): string {
  const found = statSync(path, { throwIfNoEntry: false });
  return found === undefined ? '' : `${found.ino} ${found.mtimeMs} ${found.size}`;
}

/** Looks each second, and when asked to. `look` answers undefined where all is as it was. */
export function keptCurrent(look: (trust: Trust) => Trust | undefined): LiveTrust {
  const listeners: ((trust: Trust) => void)[] = [];
  let trust: Trust = { kind: 'none' };
  const refresh = (): void => {
    const next = look(trust);
    if (next === undefined) return;
    trust = next;
    for (const tell of listeners) tell(trust);
  };
  refresh();
  const timer = setInterval(refresh, lookMs).unref();
  return {
    current: () => trust,
    refresh,
    onChange: (listener) => void listeners.push(listener),
    close: () => clearInterval(timer),
  };
}

export function openLiveTrust({ find, files, nowMs }: TrustSource): LiveTrust {
  let stamp = '';
  const filesStamp = (): string => files.map(stampOf).join('\n');
  const listsStamp = (of: Trust): string => (of.kind === 'farm' ? revocationsStamp(of.identity) : '');
  // The stamps are of before the reading: what changes meanwhile is read again.
  const load = (): { readonly trust: Trust; readonly lists: string } => {
    const identity = find();
    if (identity.kind !== 'identity') return { trust: identity, lists: '' };
    const lists = revocationsStamp(identity);
    return { trust: { kind: 'farm', identity, revocations: loadRevocations(identity, nowMs()) }, lists };
  };
  return keptCurrent((trust) => {
    const before = filesStamp();
    let next: ReturnType<typeof load>;
    try {
      if (`${before}\n${listsStamp(trust)}` === stamp) return undefined;
      next = load();
    } catch (error) {
      const broken = { kind: 'broken', why: (error as Error).message, remedy: 'repair it, or join again' } as const;
      next = { trust: broken, lists: '' };
    }
    stamp = `${before}\n${next.lists}`;
    return trust.kind === 'farm' && next.trust.kind !== 'farm' ? undefined : next.trust;
  });
}
