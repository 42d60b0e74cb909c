// `shoal pair`: prints a one-time code, with which another box joins this one's farm. Makes the farm if there is none. It
// writes files, and nothing else: the worker that runs here finds the code when somebody brings it.
import { hostname } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { newCode, codeLifetimeMs } from '../trust/code-files.ts';
import { identityDirectoryOf, loadIdentity, type Identity } from '../trust/identity.ts';
import { makeFarm } from '../trust/make-farm.ts';
import { isRole, memberNameFor } from '../trust/member.ts';
import type { Role } from '../trust/peer.ts';
import { workerStateDir } from '../user-directories.ts';
import { answers } from '../worker/state-lock.ts';
import { fail } from './fail.ts';
import type { Invocation } from './invocation.ts';

const usage = 'usage: shoal pair [--role client|worker|admin] [--state DIR]';
const minuteMs = 60_000;

type PairArguments = { readonly role: Role; readonly state: string };

const flags = { role: { type: 'string' }, state: { type: 'string' } } as const;

/** What the arguments ask for, or what is wrong with them. */
export function parsePairArgs(args: readonly string[], env: Invocation['env']): PairArguments | string {
  try {
    const { values } = parseArgs({ args: [...args], options: flags, allowPositionals: false });
    const role = values.role ?? 'client';
    if (!isRole(role)) return `--role ${role}: not client, worker or admin`;
    return { role, state: values.state ?? workerStateDir(env) };
  } catch (error) {
    return (error as Error).message;
  }
}

function tell(text: string): void {
  process.stderr.write(`${text}\n`);
}

/** Fingerprints are compared by eye. */
export function fingerprintText(fingerprint: string): string {
  return (fingerprint.slice(0, 32).match(/.{4}/g) ?? []).join(' ');
}

const rights: Readonly<Record<Role, string>> = {
  client: 'have its compiles done by the farm',
  worker: 'compile for the farm, and have its compiles done by it',
  admin: "compile, admit others and put them out: it receives the key of the farm's authority",
};

function explain({ farm, fingerprint }: Identity, role: Role, code: string): void {
  tell(`farm         ${farm}`);
  tell(`fingerprint  ${fingerprintText(fingerprint)}`);
  tell(`lets one box ${rights[role]}; it expires in ${codeLifetimeMs / minuteMs} minutes. On that box:`);
  tell('');
  tell(`  shoal join ${code} ${hostname()}`);
  tell('');
}

async function ownFarm(directory: string): Promise<Identity | string> {
  const found = loadIdentity(directory);
  if (found.kind === 'broken') return `${found.why}: ${found.remedy}`;
  if (found.kind === 'identity') {
    if (found.caKeyPath !== undefined) return found;
    return `this box is a ${found.role} of ${found.farm}: run \`shoal pair\` on an admin's box, or have it admitted as one`;
  }
  const made = await makeFarm(directory, memberNameFor(hostname()), Date.now());
  if (made.kind === 'broken') return `${made.why}: ${made.remedy}`;
  tell(`made a farm, with this box as its admin; its keys are in ${directory}`);
  return made;
}

export async function pairCommand({ args, env }: Invocation): Promise<void> {
  if (args.includes('--help')) {
    process.stdout.write(`${usage}\n`);
    return;
  }
  const wanted = parsePairArgs(args, env);
  if (typeof wanted === 'string') return fail(`${wanted}\n${usage}`, 2);
  const directory = identityDirectoryOf(wanted.state);
  const farm = await ownFarm(directory);
  if (typeof farm === 'string') return fail(farm, 1);
  const { text } = newCode({ ...farm, directory }, wanted.role, Date.now());
  explain(farm, wanted.role, text);
  if (!(await answers(join(wanted.state, 'lock')))) {
    tell(`No worker runs here with ${wanted.state}: start \`shoal worker\`, it is the one that admits the other box.`);
  }
  process.stdout.write(`${text}\n`);
}
