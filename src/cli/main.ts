// The command line: finds the subcommand, loads only its file (an import costs start-up time, and the CLI starts once a
// build), and hands it what follows. Flags before the subcommand become the SHOAL_ variables that they stand for.
import { fileURLToPath } from 'node:url';
import type { Invocation } from './invocation.ts';

type Subcommand = {
  readonly summary?: string;
  readonly load: () => Promise<(invocation: Invocation) => Promise<void>>;
};

const subcommands: Readonly<Record<string, Subcommand>> = {
  daemon: {
    summary: 'the client daemon, in the foreground',
    load: async () => (await import('./daemon.ts')).daemonCommand,
  },
  // For the launcher that is called so, and npm's link; not in the help.
  distcc: { load: async () => (await import('./distcc.ts')).distccCommand },
  distccd: {
    summary: "a server for distcc's clients, by distccd's own options",
    load: async () => (await import('./distccd.ts')).distccdCommand,
  },
  'distccmon-text': { load: async () => (await import('./distccmon-text.ts')).distccmonTextCommand },
  explain: {
    summary: 'where a compile went, and why: FILE or last [--json]',
    load: async () => (await import('./explain.ts')).explainCommand,
  },
  // For the worker's own use, so not in the help.
  front: { load: async () => (await import('./front.ts')).frontCommand },
  hosts: {
    summary: 'the farm: slots, queue, speed, round trip, failures [--json] [--forgive NAME] [--explain [SPEC]]',
    load: async () => (await import('./hosts.ts')).hostsCommand,
  },
  // For pump's own use.
  'include-server': { load: async () => (await import('./include-server.ts')).includeServerCommand },
  join: {
    summary: "become a member of another box's farm: CODE [HOST]",
    load: async () => (await import('./join.ts')).joinCommand,
  },
  lsdistcc: { load: async () => (await import('./lsdistcc.ts')).lsdistccCommand },
  make: { summary: 'make, through the farm: shoal make -j40', load: async () => (await import('./run.ts')).runCommand },
  members: {
    summary: 'who belongs to the farm [--json]',
    load: async () => (await import('./members.ts')).membersCommand,
  },
  pair: {
    summary: 'a one-time code that lets another box join [--role client|worker|admin]',
    load: async () => (await import('./pair.ts')).pairCommand,
  },
  pump: { load: async () => (await import('./pump.ts')).pumpCommand },
  revoke: {
    summary: 'put a member out of the farm: NAME',
    load: async () => (await import('./revoke.ts')).revokeCommand,
  },
  run: {
    summary: 'any build, through the farm: shoal run -- ninja',
    load: async () => (await import('./run.ts')).runCommand,
  },
  status: {
    summary: 'hosts, slots, jobs in flight, totals [--json]',
    load: async () => (await import('./status.ts')).statusCommand,
  },
  stop: {
    summary: 'end the client daemon; returns when nothing is left',
    load: async () => (await import('./stop.ts')).stopCommand,
  },
  worker: { summary: 'compile for others on this box', load: async () => (await import('./worker.ts')).workerCommand },
};

/** `without`: what the flag means without a value. */
const flags: Readonly<Record<string, { readonly variable: string; readonly without: string | undefined }>> = {
  '--hosts': { variable: 'SHOAL_HOSTS', without: undefined },
  '--strict': { variable: 'SHOAL_STRICT', without: '1' },
  '--summary': { variable: 'SHOAL_SUMMARY', without: undefined },
};

export function isSubcommand(word: string): boolean {
  return word === 'help' || word === 'version' || Object.hasOwn(subcommands, word);
}

export function helpText(): string {
  const rows = Object.entries(subcommands).flatMap(([name, { summary }]) =>
    summary === undefined ? [] : [`  shoal ${name.padEnd(8)} ${summary}`],
  );
  const head = [
    'shoal: a compile farm for several Linux boxes',
    '',
    ...rows,
    '  shoal gcc …    one compile through the farm',
  ];
  const tail = ['', 'before the subcommand: --hosts "BOX:PORT/SLOTS …", --strict[=2%], --summary FILE'];
  return `${[...head, ...tail].join('\n')}\n`;
}

type Parsed =
  | { readonly kind: 'run'; readonly invocation: Invocation }
  | { readonly kind: 'text'; readonly text: string; readonly status: number };

export function parseCommandLine(argv: readonly string[], env: Invocation['env'], mainScript: string): Parsed {
  const changed: Record<string, string | undefined> = { ...env };
  for (let at = 0; at < argv.length; at += 1) {
    const word = argv[at] ?? '';
    if (word === '--help' || word === '-h' || word === 'help') return { kind: 'text', text: helpText(), status: 0 };
    if (word === '--version' || word === 'version') return { kind: 'text', text: 'shoal 0.1.0\n', status: 0 };
    const [name = '', ...rest] = word.split('=');
    const flag = flags[name];
    if (flag !== undefined) {
      const given = rest.length > 0 ? rest.join('=') : undefined;
      const value = given ?? flag.without ?? argv[(at += 1)];
      if (value === undefined) return { kind: 'text', text: `shoal: ${name} needs a value\n`, status: 2 };
      changed[flag.variable] = value;
      continue;
    }
    if (subcommands[word] !== undefined) {
      return { kind: 'run', invocation: { name: word, args: argv.slice(at + 1), env: changed, mainScript } };
    }
    return { kind: 'text', text: `shoal: ${word}: no such subcommand\n\n${helpText()}`, status: 2 };
  }
  return { kind: 'text', text: helpText(), status: argv.length === 0 ? 0 : 2 };
}

/** Errors whose messages say all, by code, and the exit status. Their classes are of files that only some commands load. */
const expectedErrors: ReadonlyMap<unknown, number> = new Map([
  ['SETTINGS', 2],
  ['PRIVATE_FILE', 1],
  ['REVOCATIONS', 1],
  ['PAIRING_CODE', 1],
  ['CERTIFICATE', 1],
  ['RUNTIME_DIR', 1],
  ['STUCK_DAEMON', 1],
]);

/** Runs the command line `argv` (without node and script). Sets process.exitCode. */
export async function main(argv: readonly string[]): Promise<void> {
  // Whoever reads what we say may go away (`2>&1 | head`): the build goes on, and ends as it ends.
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => undefined);
  const parsed = parseCommandLine(argv, process.env, fileURLToPath(import.meta.url));
  if (parsed.kind === 'text') {
    (parsed.status === 0 ? process.stdout : process.stderr).write(parsed.text);
    process.exitCode = parsed.status;
    return;
  }
  const subcommand = subcommands[parsed.invocation.name];
  const run = await subcommand?.load();
  try {
    await run?.(parsed.invocation);
  } catch (error) {
    const status = expectedErrors.get((error as { code?: unknown }).code);
    if (status === undefined) throw error;
    process.stderr.write(`shoal: ${(error as Error).message}\n`);
    process.exitCode = status;
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main(process.argv.slice(2));
