// `shoal members [--json]`: who belongs to the farm, as far as this box knows.
import { parseArgs } from 'node:util';
import { findClientIdentity, identityDirectoryOf, loadIdentity, type IdentityState } from '../trust/identity.ts';
import { knownCertificates, membersOf } from '../trust/member-files.ts';
import { memberId } from '../trust/member.ts';
import type { Role } from '../trust/peer.ts';
import { loadRevocations } from '../trust/revocation-files.ts';
import { workerStateDir } from '../user-directories.ts';
import { fail } from './fail.ts';
import type { Invocation } from './invocation.ts';
import { fingerprintText } from './pair.ts';

const usage = 'usage: shoal members [--json] [--state DIR]';

const flags = { json: { type: 'boolean' }, state: { type: 'string' } } as const;

export type MemberRow = {
  readonly name: string;
  readonly role: Role | undefined;
  readonly serial: string | undefined;
  /** When the certificate ends. */
  readonly until: string | undefined;
  readonly lastSeen: string | undefined;
  readonly revoked: string | undefined;
  readonly thisBox: boolean;
};

export type FarmReport = {
  readonly farm: string;
  readonly fingerprint: string;
  readonly revocations: number;
  readonly members: readonly MemberRow[];
};

/** The worker's identity on this box knows most; then a client's own. */
export function identityHere(state: string | undefined, env: Invocation['env']): IdentityState {
  if (state !== undefined) return loadIdentity(identityDirectoryOf(state));
  const workers = loadIdentity(identityDirectoryOf(workerStateDir(env)));
  return workers.kind === 'none' ? findClientIdentity(env) : workers;
}

const timeText = (ms: number): string => new Date(ms).toISOString();

export function farmReport(identity: Extract<IdentityState, { kind: 'identity' }>, nowMs: number): FarmReport {
  const revocations = loadRevocations(identity, nowMs);
  const { directory } = identity;
  const known = directory === undefined ? [] : membersOf(knownCertificates(directory, nowMs));
  const rows = known.map((member): MemberRow => {
    const revoked = revocations.members.get(memberId(member.serial));
    return {
      name: member.name,
      role: member.role,
      serial: member.serial,
      until: timeText(member.notAfter),
      lastSeen: member.lastSeen === undefined ? undefined : timeText(member.lastSeen),
      revoked: revoked === undefined ? undefined : timeText(revoked.revokedAt),
      thisBox: memberId(member.serial) === memberId(identity.serial),
    };
  });
  const ids = new Set(known.map(({ serial }) => memberId(serial)));
  const elsewhere = [...revocations.members.values()]
    .filter(({ member }) => !ids.has(member))
    .map(({ name, revokedAt }): MemberRow => {
      const unknown = { role: undefined, serial: undefined, until: undefined, lastSeen: undefined };
      return { name, ...unknown, revoked: timeText(revokedAt), thisBox: false };
    });
  const { farm, fingerprint } = identity;
  return { farm, fingerprint, revocations: revocations.number, members: [...rows, ...elsewhere] };
}

function standing({ revoked, thisBox }: MemberRow): string {
  if (revoked !== undefined) return `revoked ${revoked.slice(0, 10)}`;
  return thisBox ? 'this box' : '';
}

export function membersText({ farm, fingerprint, members }: FarmReport): string {
  const heading = ['member', 'role', 'until', 'last seen', ''];
  const rows = members.map((row) => [
    row.name,
    row.role ?? '-',
    row.until?.slice(0, 10) ?? '-',
    row.lastSeen?.slice(0, 16).replace('T', ' ') ?? '-',
    standing(row),
  ]);
  const all = [heading, ...rows];
  const widths = heading.map((_, column) => Math.max(...all.map((row) => row[column]?.length ?? 0)));
  const lines = all.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd(),
  );
  return `${farm}, fingerprint ${fingerprintText(fingerprint)}\n\n${lines.join('\n')}\n`;
}

export async function membersCommand({ args, env }: Invocation): Promise<void> {
  if (args.includes('--help')) {
    process.stdout.write(`${usage}\n`);
    return;
  }
  let values: { readonly json?: boolean | undefined; readonly state?: string | undefined };
  try {
    ({ values } = parseArgs({ args: [...args], options: flags, allowPositionals: false }));
  } catch (error) {
    return fail(`${(error as Error).message}\n${usage}`, 2);
  }
  const identity = identityHere(values.state, env);
  if (identity.kind === 'broken') return fail(`${identity.why}: ${identity.remedy}`, 1);
  if (identity.kind === 'none') return fail(noFarm, 1);
  const report = farmReport(identity, Date.now());
  if (values.json === true) process.stdout.write(`${JSON.stringify(report)}\n`);
  else {
    process.stdout.write(membersText(report));
    if (identity.caKeyPath === undefined) process.stderr.write("Only an admin's box knows all members.\n");
  }
}

export const noFarm =
  'this box is in no farm: `shoal pair` makes one, `shoal join CODE` makes it a member of another box’s';
