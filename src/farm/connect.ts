// From a host as it is written to a connection, with this box's identity. Nothing here steps down by itself: a host that
// speaks no TLS to a member, or TLS to somebody who is none, is an error that says what to do.
import { rootCertificates, type TLSSocket } from 'node:tls';
import { connect as connectClient, type ReapiClient, type Target } from '../reapi/client.ts';
import { syncOver } from '../reapi/members.ts';
import type { TlsTrust } from '../reapi/wire.ts';
import { addressText, keepMet, reachedBy } from '../trust/addresses.ts';
import { judge, shownBy, type RefusalReason, type Shown } from '../trust/admission.ts';
import { externalFiles, externalIdentity } from '../trust/external.ts';
import { clientIdentityDirectory, findClientIdentity, identityDirectoryOf } from '../trust/identity.ts';
import { filesOfIdentity, openLiveTrust, type FarmTrust, type LiveTrust } from '../trust/live-trust.ts';
import type { Member } from '../trust/member.ts';
import { workerStateDir } from '../user-directories.ts';
import { isLoopback } from './home.ts';
import type { NativeAddress } from './host-spec.ts';
import type { Connect } from './host.ts';
import { sshCommand } from './ssh.ts';

type Environment = Readonly<Record<string, string | undefined>>;

export class TrustError extends Error {
  readonly code = 'TRUST';
}

/** The identity that builds of this user have, followed as its files change. */
export function clientTrust(env: Environment): LiveTrust {
  const files = externalFiles({}, env);
  const nowMs = (): number => Date.now();
  if (typeof files === 'string') {
    const broken = { kind: 'broken', directory: '', why: files, remedy: 'set the others' } as const;
    return openLiveTrust({ find: () => broken, files: [], nowMs });
  }
  if (files !== undefined) {
    const { ca, certificate, key } = files;
    return openLiveTrust({ find: () => externalIdentity(files), files: [ca, certificate, key], nowMs });
  }
  const named = env['SHOAL_IDENTITY'] ?? '';
  const own = [clientIdentityDirectory(env), identityDirectoryOf(workerStateDir(env))];
  const directories = named === '' ? own : [named];
  return openLiveTrust({ find: () => findClientIdentity(env), files: directories.flatMap(filesOfIdentity), nowMs });
}

type Shared = {
  readonly trust: LiveTrust;
  readonly env: Environment;
  readonly connectTimeoutMs: number;
  readonly open: Map<ReapiClient, () => Member | undefined>;
};

/** How the farm connects. A host that is put out while it is connected is left. */
export function connectWith(trust: LiveTrust, env: Environment, connectTimeoutMs: number): Connect {
  const shared: Shared = { trust, env, connectTimeoutMs, open: new Map() };
  trust.onChange((now) => {
    if (now.kind !== 'farm') return;
    for (const [client, member] of shared.open) {
      const met = member();
      if (met !== undefined && judge(met, now.revocations, Date.now()).kind === 'refused') client.close();
    }
  });
  return (address) => connectTo(shared, address);
}

function connectTo(shared: Shared, address: NativeAddress): ReapiClient {
  const { trust, env, connectTimeoutMs } = shared;
  const now = trust.current();
  if (address.kind !== 'worker') return connectClient(openTarget(address, env), { connectTimeoutMs });
  if (now.kind === 'broken') throw new TrustError(`this box's identity cannot be used: ${now.why}; ${now.remedy}`);
  const { host, port } = address;
  if (now.kind === 'none') return connectClient({ kind: 'tcp', host, port }, { connectTimeoutMs });
  const { identity } = now;
  if (Date.now() > identity.notAfter) {
    throw new TrustError(
      `this box's certificate (${identity.name}) has expired: join the farm again, by a code of \`shoal pair\` on an admin`,
    );
  }
  let met: Member | undefined;
  let reached: string | undefined;
  const meet = (member: Member, at: string | undefined): void => {
    met = member;
    reached = at;
  };
  const target: Target = { kind: 'tls', host, port, trust: farmTrust(now, trust, meet) };
  const client = connectClient(target, {
    connectTimeoutMs,
    greet: (channel) => {
      const { directory } = identity;
      if (met === undefined || directory === undefined) return;
      const written = addressText({ host, port });
      // Others reach this very box elsewhere. Its own name often stands for 127.0.1.1.
      const isHere = isLoopback(host) || /^(?:127\.|\[::1\])/.test(reached ?? '');
      const keep = (): void => (isHere ? undefined : keepMet(directory, { written, reached }));
      keep();
      const told = (): void => {
        keep(); // by then the farm may have told the address behind the name
        trust.refresh();
      };
      // A build does not wait for it, nor end with it.
      void syncOver(channel, identity, met).then(told, () => undefined);
    },
  });
  shared.open.set(client, () => met);
  client.onClose(() => shared.open.delete(client));
  return client;
}

const faults: Readonly<Record<RefusalReason, string>> = {
  'no-certificate': 'it shows no certificate',
  'foreign-certificate': 'its certificate is of another farm than ours',
  expired: 'its certificate has expired',
  revoked: 'it was revoked',
  'wrong-role': 'it is a client of the farm, not a worker: nothing is sent there',
};

/** What is wrong with a host of the farm, by the certificate that it showed. */
function faultOf(shown: Shown): string | undefined {
  if (shown.kind === 'refused') return `${shown.name ?? 'the host'}: ${faults[shown.reason]}`;
  const { name, role } = shown.member;
  return role === 'client' ? `${name}: ${faults['wrong-role']}` : undefined;
}

/** `meet` is told the member and its address. */
export function farmTrust(
  { identity }: FarmTrust,
  trust: LiveTrust,
  meet: (member: Member, at: string | undefined) => void,
): TlsTrust {
  const { name, certificatePem, keyPem, caPem } = identity;
  return {
    kind: 'farm',
    name,
    context: { cert: certificatePem, key: keyPem, ca: caPem },
    fault: (socket: TLSSocket) => {
      const now = trust.current();
      if (now.kind !== 'farm') return "this box's identity has gone";
      const shown = shownBy(socket, now.revocations, Date.now());
      const fault = faultOf(shown);
      if (fault === undefined && shown.kind === 'member') meet(shown.member, reachedBy(socket));
      return fault;
    },
  };
}

function openTarget(address: Exclude<NativeAddress, { readonly kind: 'worker' }>, env: Environment): Target {
  switch (address.kind) {
    case 'tcp':
    case 'unix':
      return address;
    case 'ssh':
      return { kind: 'program', argv: sshCommand(address, env) };
    case 'tls':
      return { ...address, trust: { kind: 'host-name', context: ownCertificate(env) } };
  }
}

/** Where others' clusters ask for a client's certificate, or have an authority of their own. */
function ownCertificate(env: Environment): TlsTrust['context'] {
  const files = externalFiles({}, env);
  if (files === undefined) return {};
  if (typeof files === 'string') throw new TrustError(files);
  const found = externalIdentity(files);
  if (found.kind === 'broken') throw new TrustError(`${found.why}; ${found.remedy}`);
  const { certificatePem, keyPem, caPem } = found;
  return { cert: certificatePem, key: keyPem, ca: [...rootCertificates, caPem] };
}
