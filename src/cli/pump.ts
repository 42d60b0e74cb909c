// `pump COMMAND…`, `pump --startup`, `pump --shutdown`: an include server of ours for the stock distcc, which needs one for
// hosts with `,cpp`. As distcc's own pump has it: what is printed for a shell, what is set, and the statuses.
import { spawn, spawnSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { constants } from 'node:os';
import { setTimeout as pause } from 'node:timers/promises';
import { lives, makePumpDirectory, ownerOf, shellAbove, sweepPumps, type PumpOwner } from '../client/pump/directory.ts';
import { distccHostSource } from '../distcc/host-source.ts';
import { parseDistccHosts } from '../distcc/host-words.ts';
import { serveIncludes } from './include-server.ts';
import type { Invocation } from './invocation.ts';

const usage = `Usage:
    pump COMMAND [ARG...]
or
    pump --startup
    pump --shutdown

Starts an include server for distcc, runs COMMAND, and ends the server. In a shell:

    eval \`pump --startup\`
    make -j80 CC="distcc gcc"
    pump --shutdown

A server ends with the shell that has started it, too.

Environment variables (all optional): DISTCC_HOSTS, DISTCC_POTENTIAL_HOSTS, LSDISTCC_ARGS, DISTCC_LOCATION.
docs/distcc-environment.md tells of them.
`;

const startPatienceMs = 10_000;
const endPatienceMs = 5000;

type Variables = Readonly<Record<string, string>>;

function complain(text: string): void {
  process.stderr.write(`pump: ${text}\n`);
}

/** Those of DISTCC_POTENTIAL_HOSTS that answer, where no others are named. */
function asked({ env, mainScript }: Invocation): string | undefined {
  const potential = env['DISTCC_POTENTIAL_HOSTS'] ?? '';
  if (potential === '' || env['DISTCC_HOSTS'] !== undefined) return undefined;
  const words = `${env['LSDISTCC_ARGS'] ?? ''} ${potential}`.split(/\s+/).filter((word) => word !== '');
  const { stdout } = spawnSync(process.execPath, [mainScript, 'lsdistcc', ...words], { encoding: 'utf8' });
  return stdout.trim().split(/\s+/).join(' ');
}

/** The list of hosts; undefined, and said, where none of it preprocesses. */
function hostsWithCpp(invocation: Invocation): string | undefined {
  const found = asked(invocation);
  const source = distccHostSource(found === undefined ? invocation.env : { ...invocation.env, DISTCC_HOSTS: found });
  const text = source.kind === 'found' ? source.text : '';
  const parsed = parseDistccHosts(text);
  if (parsed.kind === 'invalid') {
    complain(`error: hosts are wrong at "${parsed.word}": ${parsed.mistake.what}; ${parsed.mistake.remedy}`);
    return undefined;
  }
  const { hosts, localhost } = parsed.list;
  const able = hosts.filter(({ protocol }) => protocol === 3).length;
  if (able === 0) {
    complain("error: pump mode requested, but distcc hosts list does not contain any hosts with ',cpp' option");
    return undefined;
  }
  const all = hosts.length + (localhost === undefined ? 0 : 1);
  if (able < all)
    process.stderr.write(`__________Using ${all} distcc servers, of which only ${able} support(s) pump mode\n`);
  return text;
}

function variables(
  directory: string,
  pid: number,
  { hosts, env }: { readonly hosts: string; readonly env: Invocation['env'] },
): Variables {
  const location = env['DISTCC_LOCATION'];
  return {
    INCLUDE_SERVER_PID: String(pid),
    INCLUDE_SERVER_DIR: directory,
    INCLUDE_SERVER_PORT: `${directory}/socket`,
    ...(env['DISTCC_HOSTS'] === undefined ? {} : { DISTCC_HOSTS: env['DISTCC_HOSTS'] }),
    ...(env['DISTCC_HOSTS'] === undefined && env['DISTCC_POTENTIAL_HOSTS'] !== undefined
      ? { DISTCC_HOSTS: hosts }
      : {}),
    ...(location === undefined ? {} : { PATH: `${location}:${env['PATH'] ?? ''}` }),
  };
}

/** For a shell: nothing in a value is anything but text. */
export function assignments(values: Variables): string {
  return Object.entries(values)
    .map(([name, value]) => `export ${name}='${value.replaceAll("'", String.raw`'\''`)}'\n`)
    .join('');
}

async function ended({ server }: PumpOwner, directory: string): Promise<void> {
  if (lives(server)) process.kill(server.pid, 'SIGTERM');
  for (const until = performance.now() + endPatienceMs; lives(server) && performance.now() < until;) await pause(20);
  if (lives(server)) process.kill(server.pid, 'SIGKILL');
  rmSync(directory, { recursive: true, force: true });
}

/** The server that this environment names, if it is one of ours. */
function named(env: Invocation['env']): { readonly directory: string; readonly owner: PumpOwner } | undefined {
  const directory = env['INCLUDE_SERVER_DIR'] ?? '';
  const owner = ownerOf(directory);
  return owner === undefined ? undefined : { directory, owner };
}

async function startup(invocation: Invocation): Promise<number> {
  const { env, mainScript } = invocation;
  const shell = shellAbove(process.ppid);
  const hosts = hostsWithCpp(invocation);
  if (hosts === undefined || shell === undefined) return 1;
  sweepPumps();
  const before = named(env);
  // Its variables are about to be those of another.
  if (before?.owner.shell.pid === shell.pid) await ended(before.owner, before.directory);
  const directory = makePumpDirectory();
  const words = [mainScript, 'include-server', directory, String(shell.pid), shell.startTicks];
  const child = spawn(process.execPath, words, { detached: true, stdio: 'ignore', cwd: '/', env });
  child.on('error', () => undefined);
  child.unref();
  const until = performance.now() + startPatienceMs;
  while (ownerOf(directory) === undefined && child.exitCode === null && performance.now() < until) await pause(5);
  if (ownerOf(directory) === undefined || child.pid === undefined) {
    child.kill('SIGKILL');
    rmSync(directory, { recursive: true, force: true });
    complain('could not start the include server');
    return 1;
  }
  process.stdout.write(assignments(variables(directory, child.pid, { hosts, env })));
  return 0;
}

async function shutdown(env: Invocation['env']): Promise<number> {
  const server = named(env);
  if (server === undefined) return 0;
  process.stderr.write('__________Shutting down distcc-pump include server\n');
  await ended(server.owner, server.directory);
  return 0;
}

const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** The command's own status, as a shell would have it. */
function run(command: readonly string[], env: NodeJS.ProcessEnv): Promise<number> {
  const [file = '', ...args] = command;
  const child = spawn(file, args, { stdio: 'inherit', env });
  // From a terminal it has them already, and decides itself when to end.
  for (const signal of signals) process.on(signal, () => child.kill(signal));
  return new Promise((resolve) => {
    child.once('error', ({ message }) => {
      complain(message);
      resolve(127);
    });
    child.once('close', (code, signal) => resolve(code ?? 128 + (signal === null ? 0 : constants.signals[signal])));
  });
}

async function wrap(invocation: Invocation): Promise<number> {
  const { args, env } = invocation;
  const hosts = hostsWithCpp(invocation);
  const shell = shellAbove(process.pid);
  if (hosts === undefined || shell === undefined) return 1;
  sweepPumps();
  const directory = makePumpDirectory();
  const server = await serveIncludes(directory, { shell, env });
  try {
    return await run(args, { ...env, ...variables(directory, process.pid, { hosts, env }) });
  } finally {
    await server.close();
    process.stderr.write('__________Shutting down distcc-pump include server\n');
  }
}

export async function pumpCommand(invocation: Invocation): Promise<void> {
  const [word] = invocation.args;
  switch (word) {
    case undefined:
    case '--help':
      process.stdout.write(usage);
      return;
    case '--startup':
      process.exitCode = await startup(invocation);
      return;
    case '--shutdown':
      process.exitCode = await shutdown(invocation.env);
      return;
    default:
      process.exitCode = await wrap(invocation);
  }
}
