// `shoal join CODE [HOST[:PORT]]`: makes this box a member of the farm that the code is for. First it meets the farm and
// says who it is; the code's secret is sent only to that farm, and only after a person at a terminal has agreed.
import { hostname } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';
import { addressText } from '../trust/addresses.ts';
import { clientIdentityDirectory, identityDirectoryOf, loadIdentity } from '../trust/identity.ts';
import { meetAnywhere, type MetSomewhere } from '../farm/meet.ts';
import { joinFarm, meetFarm, type FarmAddress, type Joined, type NotJoined, type NotMet } from '../trust/join.ts';
import { keepJoined, placementOf } from '../trust/join-files.ts';
import { isMemberName, memberNameFor } from '../trust/member.ts';
import { decodePairingCode, type PairingCode } from '../trust/pairing-code.ts';
import type { Role } from '../trust/peer.ts';
import { workerStateDir } from '../user-directories.ts';
import { fail } from './fail.ts';
import type { Invocation } from './invocation.ts';
import { fingerprintText } from './pair.ts';

const usage = 'usage: shoal join CODE [HOST[:PORT]] [--name NAME] [--yes] [--state DIR] [--replace]';
const defaultPort = 8475;
const maxPort = 65_535;
const patienceMs = 15_000;
// Somebody else's wrong tries from the same network may keep us waiting for a minute at a time.
const patienceWithRefusalsMs = 180_000;

export type JoinArguments = {
  readonly code: PairingCode;
  /** Undefined: whoever of the farm is on this network. */
  readonly address: FarmAddress | undefined;
  readonly name: string;
  readonly exactName: boolean;
  readonly yes: boolean;
  readonly replace: boolean;
  readonly state: string | undefined;
};

const flags = {
  name: { type: 'string' },
  state: { type: 'string' },
  yes: { type: 'boolean', short: 'y' },
  replace: { type: 'boolean' },
} as const;

/** `HOST`, `HOST:PORT`, `[V6]:PORT`, or an IPv6 address alone. */
export function parseFarmAddress(text: string): FarmAddress | undefined {
  const match = /^(?:\[([^\][\s]+)\]|([^:[\]\s]+))(?::(\d{1,5}))?$/.exec(text);
  if (match === null) return /^[0-9a-fA-F:.]+(%[\w.-]+)?$/.test(text) ? { host: text, port: defaultPort } : undefined;
  const port = Number(match[3] ?? defaultPort);
  const host = match[1] ?? match[2] ?? '';
  return port > 0 && port <= maxPort ? { host, port } : undefined;
}

/** What the arguments ask for, or what is wrong with them. */
export function parseJoinArgs(args: readonly string[]): JoinArguments | string {
  let parsed: ReturnType<typeof parse>;
  try {
    parsed = parse(args);
  } catch (error) {
    return (error as Error).message;
  }
  const { values, positionals } = parsed;
  const [codeText, hostText, ...rest] = positionals;
  if (codeText === undefined) return "which code? Run `shoal pair` on an admin's box, it prints one";
  if (rest.length > 0) return `${rest.join(' ')}: one code and one host are enough`;
  const decoded = decodePairingCode(codeText);
  if (decoded.kind === 'mistyped') return `the code is mistyped: ${decoded.why}`;
  const address = hostText === undefined ? undefined : parseFarmAddress(hostText);
  if (hostText !== undefined && address === undefined) return `${hostText}: not HOST or HOST:PORT`;
  const { name, yes = false, replace = false, state } = values;
  if (name !== undefined && !isMemberName(name)) {
    return `--name ${name}: 1 to 64 letters, digits, dots, hyphens and underscores, a letter or digit first`;
  }
  const { code } = decoded;
  const suggested = memberNameFor(hostname());
  return { code, address, name: name ?? suggested, exactName: name !== undefined, yes, replace, state };
}

function parse(args: readonly string[]) {
  return parseArgs({ args: [...args], options: flags, allowPositionals: true });
}

/** A client's identity is the user's; a worker's and an admin's are the worker's. */
function directoryFor(role: Role, state: string | undefined, env: Invocation['env']): string {
  if (state !== undefined) return identityDirectoryOf(state);
  return role === 'client' ? clientIdentityDirectory(env) : identityDirectoryOf(workerStateDir(env));
}

/** What went wrong, and what to do about it. */
export function notJoinedText(problem: NotJoined): string {
  switch (problem.kind) {
    case 'not-met':
      return `${problem.why}\n${adviceOf(problem.reason)}`;
    case 'broken':
      return `${problem.why}\nThe code may be used up. On the admin's box, \`shoal members\` tells whether this box was admitted (then \`shoal revoke\` it), and \`shoal pair\` makes another code.`;
    case 'refused':
      return `the admin's box refuses: ${problem.why}\n${refusalAdvice(problem.reason)}`;
  }
}

function adviceOf(reason: Extract<NotJoined, { kind: 'not-met' }>['reason']): string {
  switch (reason) {
    case 'unreachable':
      return "Does `shoal worker` run on the admin's box, and does its firewall let port 8475 in? `shoal join CODE HOST` names the box.";
    case 'no-farm':
      return 'Name the box where `shoal pair` was run, with the port of its `shoal worker`.';
    case 'no-admin':
      return 'Name the box where `shoal pair` was run.';
    case 'interfering':
      return 'Either it is the box of another farm, or somebody between here and there pretends to be yours. Nothing was sent; the code is still good.';
    case 'dates':
      return 'The clock of one of the two boxes is wrong. Nothing was sent; the code is still good.';
  }
}

function refusalAdvice(reason: Extract<NotJoined, { kind: 'refused' }>['reason']): string {
  switch (reason) {
    case 'wrong-code':
      return 'The code belongs to that farm, but not to that box: join through the one where `shoal pair` was run.';
    case 'expired-code':
    case 'used-code':
    case 'dead-code':
      return 'Run `shoal pair` there for another one. If you did not use it yourself, look at `shoal members`.';
    case 'name-taken':
      return 'The code is still good.';
    case 'slow-down':
    case 'busy':
      return 'The code is still good: try again in a minute.';
    case 'not-admin':
    case 'bad-request':
    case 'failed':
      return "See the log of `shoal worker` on the admin's box.";
  }
}

async function meet({ address, code }: JoinArguments): Promise<MetSomewhere | NotMet> {
  const bounds = { nowMs: Date.now(), patienceMs };
  if (address === undefined) return meetAnywhere(code, bounds);
  const met = await meetFarm(address, code, bounds);
  return met.kind === 'met' ? { kind: 'somewhere', met, address } : met;
}

async function agreed({ met, address }: MetSomewhere, wanted: JoinArguments): Promise<boolean> {
  const rows = [
    ['farm', met.farm],
    ['fingerprint', fingerprintText(met.fingerprint)],
    ['admitted by', `${met.admin.name} at ${addressText(address)}`],
    ['this box', `${wanted.name}, as ${wanted.code.role}`],
  ];
  for (const [what = '', value = ''] of rows) process.stderr.write(`${what.padEnd(12)} ${value}\n`);
  if (wanted.yes || !process.stdin.isTTY) return true;
  process.stderr.write('Join this farm? [y/N] ');
  // The terminal itself edits the line and knows Ctrl-C; the end of input, or of the terminal, is a no.
  const terminal = createInterface({ input: process.stdin, terminal: false });
  const answer = await new Promise<string>((resolve) => {
    terminal.once('line', resolve);
    terminal.once('close', () => resolve(''));
  });
  terminal.close();
  return /^y(es)?$/i.test(answer.trim());
}

/** Asks again while the admin's box only asks for patience. */
async function joinPatiently(wanted: JoinArguments, address: FarmAddress): Promise<Joined | NotJoined> {
  const giveUpAt = performance.now() + patienceWithRefusalsMs;
  for (;;) {
    const wish = { ...wanted, address, hostname: hostname() };
    const joined = await joinFarm(wish, { nowMs: Date.now(), patienceMs });
    const isPatience = joined.kind === 'refused' && (joined.reason === 'slow-down' || joined.reason === 'busy');
    if (!isPatience || performance.now() + joined.retryAfterMs > giveUpAt) return joined;
    process.stderr.write(`shoal: ${joined.why}: trying again in ${Math.ceil(joined.retryAfterMs / 1000)} s\n`);
    await delay(joined.retryAfterMs);
  }
}

function welcomeText(joined: Joined, directory: string, old: string | undefined): string {
  const { member, farm } = joined;
  const kept = old === undefined ? '' : `; what was there before is in ${old}`;
  const next = member.role === 'client' ? '`shoal make` finds its boxes' : 'start `shoal worker`, or start it again';
  return `joined ${farm.farm} as ${member.name} (${member.role}): ${next}\nkeys are in ${directory}${kept}\n`;
}

export async function joinCommand({ args, env }: Invocation): Promise<void> {
  if (args.includes('--help')) {
    process.stdout.write(`${usage}\n`);
    return;
  }
  const wanted = parseJoinArgs(args);
  if (typeof wanted === 'string') return fail(`${wanted}\n${usage}`, 2);
  const directory = directoryFor(wanted.code.role, wanted.state, env);
  const placement = placementOf(loadIdentity(directory), wanted.code, Date.now());
  if (placement.kind === 'in-the-way' && !wanted.replace) {
    return fail(
      `${placement.why}\nWith --replace, ${directory} is kept aside and replaced. The code is still good.`,
      1,
    );
  }
  const met = await meet(wanted);
  if (met.kind === 'not-met') return fail(notJoinedText(met), 1);
  const { address } = met;
  if (placement.kind === 'replaces') process.stderr.write(`${'replaces'.padEnd(12)} ${placement.what}\n`);
  if (!(await agreed(met, wanted))) return fail('not joined: nothing was sent, the code is still good', 1);
  const joined = await joinPatiently(wanted, address);
  if (joined.kind !== 'joined') return fail(notJoinedText(joined), 1);
  const { identity, old } = keepJoined(directory, joined, addressText(address), Date.now());
  if (identity.kind === 'broken') return fail(`${identity.why}: ${identity.remedy}`, 1);
  process.stdout.write(welcomeText(joined, directory, old));
}
