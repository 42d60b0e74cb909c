// A farm for the tests: two workers and a client in network namespaces (see bench/hosts.ts). The client's side sees a /run
// of its own, which the tests can look into, and its processes are in a control group, so that what remains is known.
import { existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { makeCpuGroup } from '../../bench/cpu.ts';
import { makeNetwork } from '../../bench/hosts.ts';
import { run, startDaemon, type Daemon, type Place } from '../../bench/processes.ts';
import { scratchDirectory } from '../../bench/scratch.ts';
import { clientEnvironment, shoalCommand, startWorkers } from '../../bench/sides/shoal.ts';
import { waitUntil } from '../../bench/wait.ts';

export type Outcome = { readonly status: number; readonly wallMs: number; readonly output: string };

export type Command = {
  readonly argv: readonly string[];
  readonly cwd: string;
  /** On top of the client's environment; undefined takes a variable away. */
  readonly env?: Readonly<Record<string, string | undefined>>;
};

export type Farm = {
  /** Empty at the start, removed at the end. */
  readonly directory: string;
  readonly workers: readonly Daemon[];
  /** Where the workers run. */
  readonly places: readonly Place[];
  readonly run: (command: Command) => Promise<Outcome>;
  /** The command that runs `shoal ARGS`. */
  readonly command: (args: readonly string[]) => readonly string[];
  /** The directory of compiler names that `shoal run` puts in front of PATH. */
  readonly names: string;
  readonly shoal: (args: readonly string[], command: Omit<Command, 'argv'>) => Promise<Outcome>;
  /** Processes on the client's side, by what they are. */
  readonly processes: () => readonly FarmProcess[];
  /** Processes on the workers' side: the workers, their sandboxes, compiles. */
  readonly workerProcesses: () => readonly FarmProcess[];
  /** What the client's side has left: processes, sockets and locks, temporary files. Empty when all is gone. */
  readonly remains: () => readonly string[];
};

export type FarmProcess = { readonly pid: number; readonly command: string };

const corpusCache = join(process.cwd(), '.cache/corpus');

/** The corpora's cache, for layOut. */
export function corpus(): string {
  mkdirSync(corpusCache, { recursive: true });
  return corpusCache;
}

/** What a farm ends with: a test, or a program's own list of what has to be undone. */
export type Ending = { readonly after: (end: () => Promise<void>) => void };

/** A farm that ends with the test. */
export async function farmFor(test: Ending, workerCount = 2): Promise<Farm> {
  const directory = scratchDirectory();
  const network = makeNetwork(workerCount);
  const groups = { client: makeCpuGroup('client'), workers: makeCpuGroup('workers') };
  const client: Place = { host: network.client, group: groups.client };
  const places = network.workers.map((host) => ({ host, group: groups.workers }));
  const daemons: Daemon[] = [];
  test.after(async () => {
    for (const daemon of daemons.toReversed()) await daemon.stop();
    groups.client.remove();
    groups.workers.remove();
    network.remove();
  });
  const holder = await holdRun(client, join(directory, 'holder.log'));
  daemons.push(holder);
  const workers = await startWorkers({ workers: places, scratch: directory });
  daemons.push(...workers);
  const temporary = join(directory, 'tmp');
  mkdirSync(temporary);
  const { SHOAL_STRICT: _off, ...base } = clientEnvironment({ workers: places, scratch: directory });
  const runCommand = (command: Command): Promise<Outcome> => {
    return runInside({ client, holder, directory, env: { ...base, TMPDIR: temporary } }, command);
  };
  const processes = (): readonly FarmProcess[] => processesOf(groups.client.pids(), holder.pid);
  const remains = (): readonly string[] => [
    ...processes().map(({ pid, command }) => `process ${pid}: ${command}`),
    ...filesUnder(`/proc/${holder.pid}/root/run/user`),
    ...filesUnder(temporary),
  ];
  return {
    directory,
    workers,
    places,
    run: runCommand,
    command: (args) => shoalCommand(...args),
    names: join(directory, '.cache/shoal/bin'),
    shoal: (args, command) => runCommand({ ...command, argv: shoalCommand(...args) }),
    processes,
    workerProcesses: () => processesOf(groups.workers.pids(), undefined),
    remains,
  };
}

/** Starts what keeps the client's own /run alive between its commands. */
async function holdRun(client: Place, log: string): Promise<Daemon> {
  const holder = startDaemon(client, { argv: ['sleep', 'infinity'], log, ownRun: true });
  await waitUntil('a /run of its own', 5000, () => readFileSync(`/proc/${holder.pid}/comm`, 'utf8') === 'sleep\n');
  return holder;
}

type Inside = {
  readonly client: Place;
  readonly holder: Daemon;
  readonly directory: string;
  readonly env: Readonly<Record<string, string>>;
};

let count = 0;

async function runInside(
  { client, holder, directory, env }: Inside,
  { argv, cwd, env: more }: Command,
): Promise<Outcome> {
  const log = join(directory, `command-${(count += 1)}.log`);
  const merged = Object.entries({ ...env, ...more }).flatMap(([name, value]) =>
    value === undefined ? [] : [[name, value] as const],
  );
  const entered = [
    'nsenter',
    `--mount=/proc/${holder.pid}/ns/mnt`,
    '--',
    '/bin/sh',
    '-c',
    'cd "$0" && exec "$@"',
    cwd,
    ...argv,
  ];
  const { status, wallMs } = await run(client, { argv: entered, env: Object.fromEntries(merged), log });
  return { status, wallMs, output: readFileSync(log, 'utf8') };
}

function processesOf(pids: readonly number[], except: number | undefined): FarmProcess[] {
  return pids.flatMap((pid) => {
    const file = `/proc/${pid}/cmdline`;
    if (pid === except || !existsSync(file)) return [];
    return [{ pid, command: readFileSync(file, 'latin1').replaceAll('\0', ' ').trim() }];
  });
}

function filesUnder(directory: string): string[] {
  const entries = readdirSync(directory, { recursive: true, withFileTypes: true });
  return entries.filter((entry) => !entry.isDirectory()).map((entry) => join(entry.parentPath, entry.name));
}
