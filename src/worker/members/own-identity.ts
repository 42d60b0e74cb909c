// Whose worker this is: its identity, and where it listens if nobody said. A farm is made where that was left to it.
import { hostname } from 'node:os';
import { nativePort } from '../../farm/host-spec.ts';
import { externalIdentity, type ExternalFiles } from '../../trust/external.ts';
import { findClientIdentity, identityDirectoryOf, loadIdentity } from '../../trust/identity.ts';
import { filesOfIdentity, openLiveTrust, type LiveTrust } from '../../trust/live-trust.ts';
import { memberNameFor } from '../../trust/member.ts';
import type { ListenAddress, WorkerRefusal } from '../claims.ts';

export type OwnIdentity = {
  readonly kind: 'belongs';
  /** Undefined for a worker of this box alone, or one that everybody may use. */
  readonly trust: LiveTrust | undefined;
  readonly listen: readonly ListenAddress[];
};

export type IdentityRequest = {
  /** Undefined where nobody said. */
  readonly listen: readonly ListenAddress[] | undefined;
  readonly insecure: boolean;
  readonly external: ExternalFiles | undefined;
  readonly stateDir: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** A new farm was made, and this box is its admin by that name. */
  readonly madeFarm: (name: string) => void;
};

// The usual port; where another worker has it, any: this box finds it by its socket, others by what the network says.
const onThisBox: readonly ListenAddress[] = [{ host: '127.0.0.1', port: nativePort, orAnyPort: true }];
const everywhere: readonly ListenAddress[] = [{ host: '::', port: nativePort, orAnyPort: true }];

const nowMs = (): number => Date.now();

export async function findOwnIdentity(request: IdentityRequest): Promise<OwnIdentity | WorkerRefusal> {
  const { listen, insecure, external, stateDir } = request;
  if (external !== undefined) {
    const { ca, certificate, key } = external;
    const find = () => externalIdentity(external);
    return {
      kind: 'belongs',
      trust: openLiveTrust({ find, files: [ca, certificate, key], nowMs }),
      listen: everywhere,
    };
  }
  const directory = identityDirectoryOf(stateDir);
  const state = loadIdentity(directory);
  if (insecure && state.kind === 'none') return { kind: 'belongs', trust: undefined, listen: onThisBox };
  if (listen === undefined && state.kind === 'none') {
    const why = await makeOwnFarm(directory, request);
    if (why !== undefined) return { kind: 'refused', reason: 'identity', why };
  }
  const find = () => loadIdentity(directory);
  return {
    kind: 'belongs',
    trust: openLiveTrust({ find, files: filesOfIdentity(directory), nowMs }),
    listen: everywhere,
  };
}

/** Text says why not. */
async function makeOwnFarm(directory: string, { env, madeFarm }: IdentityRequest): Promise<string | undefined> {
  const own = findClientIdentity(env);
  if (own.kind === 'identity') {
    return (
      `this box is ${own.name} (${own.role}) in ${own.farm}: as a worker it joins by a code of ` +
      '`shoal pair --role worker` on an admin; or give --listen 127.0.0.1 for a worker of this box alone'
    );
  }
  // Seldom needed, and megabytes.
  const { makeFarm } = await import('../../trust/make-farm.ts');
  const made = await makeFarm(directory, memberNameFor(hostname()), nowMs());
  if (made.kind === 'broken') return `${made.why}: ${made.remedy}`;
  madeFarm(made.name);
  return undefined;
}
