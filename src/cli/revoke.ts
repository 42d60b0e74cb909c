// `shoal revoke NAME`: puts a member out of the farm. The worker that runs here notices by itself, and tells the others.
import { parseArgs } from 'node:util';
import { revokeMember } from '../trust/revoke.ts';
import { fail } from './fail.ts';
import type { Invocation } from './invocation.ts';
import { identityHere, noFarm } from './members.ts';

const usage = 'usage: shoal revoke NAME|SERIAL [--state DIR]';

export async function revokeCommand({ args, env }: Invocation): Promise<void> {
  if (args.includes('--help')) {
    process.stdout.write(`${usage}\n`);
    return;
  }
  let state: string | undefined;
  let names: readonly string[];
  try {
    const parsed = parseArgs({ args: [...args], options: { state: { type: 'string' } }, allowPositionals: true });
    ({ state } = parsed.values);
    names = parsed.positionals;
  } catch (error) {
    return fail(`${(error as Error).message}\n${usage}`, 2);
  }
  const [name] = names;
  if (name === undefined || names.length > 1) return fail(`one name, as \`shoal members\` shows it\n${usage}`, 2);
  const identity = identityHere(state, env);
  if (identity.kind === 'broken') return fail(`${identity.why}: ${identity.remedy}`, 1);
  if (identity.kind === 'none') return fail(noFarm, 1);
  const revoked = revokeMember(identity, name, Date.now());
  if (revoked.kind === 'refused') return fail(revoked.why, 1);
  for (const { name, role } of revoked.members) process.stdout.write(`revoked ${name} (${role})\n`);
  if (revoked.members.some(({ role }) => role === 'admin')) {
    process.stderr.write(
      "An admin has the key of the farm's authority, and could admit itself again. If it is in wrong hands, make a new farm:\n" +
        'move the identity directories away, run `shoal pair`, and have every box join.\n',
    );
  }
}
