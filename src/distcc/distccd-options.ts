// distccd's command line and environment, as its manual page and the program itself have them: a row each. Pure. What has
// no meaning here is taken all the same, and what stands in its place is said once.
import { accessList, privateNetworks } from '../trust/access-list.ts';
import { levels, type Level } from './log-lines.ts';

export type DistccdSettings = {
  readonly mode: 'daemon' | 'inetd';
  readonly listen: readonly { readonly host: string; readonly port: number }[];
  readonly allow: readonly string[];
  readonly jobs: number | undefined;
  readonly nice: number;
  readonly user: string | undefined;
  readonly pidFile: string | undefined;
  readonly log: { readonly kind: 'syslog' | 'stderr' } | { readonly kind: 'file'; readonly path: string };
  readonly level: Level;
  readonly lifetimeSeconds: number | undefined;
  readonly daemonSeconds: number | undefined;
  readonly statsPort: number | undefined;
  readonly sysroot: string | undefined;
  readonly detach: boolean;
  readonly state: string | undefined;
  readonly list: { readonly path: string; readonly words: number } | undefined;
  readonly searchPath: string | undefined;
  readonly idleSeconds: number | undefined;
  readonly auth:
    | {
        readonly principal: string;
        readonly list: { readonly kind: 'white' | 'black'; readonly path: string } | undefined;
      }
    | undefined;
  readonly audit: string | undefined;
  readonly zeroconf: boolean;
  /** What was asked for and is done otherwise. */
  readonly notes: readonly string[];
};

export type ParsedDistccd =
  | { readonly kind: 'run'; readonly settings: DistccdSettings }
  | { readonly kind: 'text'; readonly what: 'help' | 'version' | 'principal' }
  | { readonly kind: 'wrong'; readonly why: string };

type OptionRow = {
  readonly short?: string;
  /** What the value is called; without it there is none. */
  readonly value?: string;
  readonly help: string;
  /** Where it does something else, or nothing. */
  readonly note?: string;
};

const contained = 'compiles always run in a sandbox, and only compilers of this box do';
const oneProcess = 'one process serves all clients; compiles are processes of their own';

export const distccdOptions: Readonly<Record<string, OptionRow>> = {
  allow: { short: 'a', value: 'IP[/BITS]', help: 'an address or a network that may connect (again for more)' },
  'allow-private': { help: 'all addresses that the internet does not route' },
  audit: { value: 'FILE', help: 'who compiled, in lines of JSON (audit.log of --state); or off' },
  auth: { help: 'clients have to prove who they are, by GSS-API' },
  blacklist: { value: 'FILE', help: 'with --auth: who may not compile, a principal a line' },
  daemon: { help: 'listen on a port' },
  'enable-tcp-insecure': { help: 'nothing', note: `--enable-tcp-insecure: ${contained}` },
  help: { help: 'show this' },
  inetd: { help: 'serve the client at standard input and output' },
  'job-lifetime': { value: 'SECONDS', help: 'end a compile after that long (600)' },
  jobs: { short: 'j', value: 'N', help: 'compiles at once (processors and two)' },
  lifetime: { value: 'SECONDS', help: 'end after that long' },
  listen: { value: 'ADDRESS', help: 'listen on that address only' },
  'log-file': { value: 'FILE', help: 'log there, not to syslog' },
  'log-level': { value: 'LEVEL', help: `the least that is logged: ${Object.keys(levels).join(', ')}` },
  'log-stderr': { help: 'log to standard error' },
  'make-me-a-botnet': { help: 'nothing', note: `--make-me-a-botnet: ${contained}` },
  nice: { short: 'N', value: 'N', help: 'give way to other work (5)' },
  'no-detach': { help: 'stay in the foreground' },
  'no-fifo': { help: 'nothing', note: `--no-fifo: ${oneProcess}` },
  'no-fork': { help: 'nothing', note: `--no-fork: ${oneProcess}` },
  'pid-file': { short: 'P', value: 'FILE', help: 'write the process id there' },
  port: { short: 'p', value: 'PORT', help: 'the port to listen on (3632)' },
  'show-principal': { help: 'show DISTCCD_PRINCIPAL' },
  state: { value: 'DIR', help: 'where copies of compilers are kept' },
  stats: { help: 'serve counters over HTTP' },
  'stats-port': { value: 'PORT', help: 'the port for them (3633)' },
  sysroot: { value: 'DIR', help: 'look for files of -specs= below that directory' },
  user: { value: 'USER', help: 'started by root, run as that user' },
  verbose: { help: 'log everything' },
  version: { help: 'show the version' },
  whitelist: { value: 'FILE', help: 'with --auth: who alone may compile, a principal a line' },
  wizard: { short: 'W', help: 'all of --daemon --no-detach --log-stderr --verbose' },
  zeroconf: { help: 'tell the network that this server is there' },
};

type VariableRow = { readonly note?: string };

/** What the program reads, by `strings`; where the manual page has another name, that is one that means the same. */
export const distccdVariables: Readonly<Record<string, VariableRow>> = {
  DISTCCD_PATH: {},
  DISTCCD_PRINCIPAL: {},
  DISTCC_CMDLIST: {},
  DISTCC_CMDLIST_MATCHWORDS: { note: 'DISTCC_CMDLIST_MATCHWORDS: the program calls it DISTCC_CMDLIST_NUMWORDS' },
  DISTCC_CMDLIST_NUMWORDS: {},
  DISTCC_DIR: { note: 'DISTCC_DIR: a server keeps nothing there' },
  DISTCC_IO_TIMEOUT: {},
  DISTCC_SAVE_TEMPS: { note: 'DISTCC_SAVE_TEMPS: temporary files are inside the sandbox, and go with it' },
  // Of TCP's own ways: an answer is written in one piece here, and a connection without a request costs a few kilobytes.
  DISTCC_TCP_CORK: {},
  DISTCC_TCP_DEFER_ACCEPT: {},
};

export type Environment = Readonly<Record<string, string | undefined>>;

type Given = { readonly values: ReadonlyMap<string, readonly string[]>; readonly wrong?: string };

function longNameOf(short: string): string | undefined {
  return Object.keys(distccdOptions).find((name) => distccdOptions[name]?.short === short);
}

/** `--name value`, `--name=value`, `-n value`, `-nvalue`, `-n=value`. */
function given(args: readonly string[]): Given {
  const values = new Map<string, string[]>();
  for (let at = 0; at < args.length; at += 1) {
    const word = args[at] ?? '';
    const match = /^--([a-z][a-z-]*)(?:=(.*))?$/s.exec(word) ?? /^-([a-zA-Z])=?(.+)?$/s.exec(word);
    const name = word.startsWith('--') ? match?.[1] : longNameOf(match?.[1] ?? '');
    const row = name === undefined || !Object.hasOwn(distccdOptions, name) ? undefined : distccdOptions[name];
    if (name === undefined || row === undefined) return { values, wrong: `${word}: unknown option` };
    const attached = match?.[2];
    if (row.value === undefined && attached !== undefined) return { values, wrong: `--${name} takes no value` };
    const value = row.value === undefined ? '' : (attached ?? args[(at += 1)]);
    if (value === undefined) return { values, wrong: `${word}: missing argument` };
    values.set(name, [...(values.get(name) ?? []), value]);
  }
  return { values };
}

type Numbers = { readonly least: number; readonly most: number };

const numbers: Readonly<Record<string, Numbers>> = {
  'job-lifetime': { least: 0, most: 86_400 },
  jobs: { least: 1, most: 200 },
  lifetime: { least: 0, most: 10_000_000 },
  nice: { least: -20, most: 20 },
  port: { least: 0, most: 65_535 },
  'stats-port': { least: 0, most: 65_535 },
};

export function parseDistccd(args: readonly string[], env: Environment): ParsedDistccd {
  const { values, wrong } = given(args);
  const has = (name: string): boolean => values.has(name);
  if (has('help')) return { kind: 'text', what: 'help' };
  if (has('version')) return { kind: 'text', what: 'version' };
  if (wrong !== undefined) return { kind: 'wrong', why: wrong };
  if (has('show-principal')) return { kind: 'text', what: 'principal' };
  const unproved = authTrouble(has, env);
  if (unproved !== undefined) return { kind: 'wrong', why: unproved };
  for (const [name, { least, most }] of Object.entries(numbers)) {
    for (const text of values.get(name) ?? []) {
      const isNumber = /^-?\d{1,9}$/.test(text) && Number(text) >= least && Number(text) <= most;
      if (!isNumber) return { kind: 'wrong', why: `--${name} argument must be between ${least} and ${most}` };
    }
  }
  const level = values.get('log-level')?.at(-1);
  if (level !== undefined && !Object.hasOwn(levels, level))
    return { kind: 'wrong', why: `invalid --log-level argument "${level}"` };
  const allow = [...(values.get('allow') ?? []), ...(has('allow-private') ? privateNetworks : [])];
  try {
    accessList(allow);
  } catch (error) {
    return { kind: 'wrong', why: `--allow ${(error as Error).message}` };
  }
  return { kind: 'run', settings: settingsFrom(values, allow, env) };
}

function listOf(kind: 'white' | 'black', path: string | undefined): NonNullable<DistccdSettings['auth']>['list'] {
  return path === undefined ? undefined : { kind, path };
}

/** What would open what was meant to be closed does not start. */
function authTrouble(has: (name: string) => boolean, env: Environment): string | undefined {
  const list = ['blacklist', 'whitelist'].find(has);
  if (!has('auth')) return list && `--${list} needs --auth: without it nobody proves who they are`;
  if (has('blacklist') && has('whitelist')) return 'cannot specify both --blacklist and --whitelist';
  if (has('inetd') && !has('daemon')) return '--auth is for --daemon: over ssh, ssh has proved who the client is';
  if ((env['DISTCCD_PRINCIPAL'] ?? '') !== '') return undefined;
  return '--auth needs DISTCCD_PRINCIPAL: the principal whose key is in the keytab, such as host/box.example.com';
}

function settingsFrom(values: Given['values'], allow: readonly string[], env: Environment): DistccdSettings {
  const has = (name: string): boolean => values.has(name);
  const text = (name: string): string | undefined => values.get(name)?.at(-1);
  const number = (name: string): number | undefined => (has(name) ? Number(text(name)) : undefined);
  const wizard = has('wizard');
  const logFile = text('log-file');
  const listed = env['DISTCC_CMDLIST'];
  const words = Number(env['DISTCC_CMDLIST_NUMWORDS'] ?? env['DISTCC_CMDLIST_MATCHWORDS'] ?? 1);
  const port = number('port') ?? 3632;
  const lifetime = number('job-lifetime') ?? 0;
  const ioTimeout = Number(env['DISTCC_IO_TIMEOUT'] ?? 0);
  return {
    mode: has('inetd') && !has('daemon') && !wizard ? 'inetd' : 'daemon',
    listen: listening(text('listen'), port, allow),
    allow,
    jobs: number('jobs'),
    nice: number('nice') ?? 5,
    user: text('user'),
    pidFile: text('pid-file'),
    log:
      wizard || has('log-stderr')
        ? { kind: 'stderr' }
        : logFile === undefined
          ? { kind: 'syslog' }
          : { kind: 'file', path: logFile },
    level: has('verbose') || wizard ? 'debug' : ((text('log-level') as Level | undefined) ?? 'notice'),
    lifetimeSeconds: lifetime > 0 ? lifetime : undefined,
    daemonSeconds: number('lifetime') === 0 ? undefined : number('lifetime'),
    statsPort: has('stats') ? (number('stats-port') ?? 3633) : undefined,
    sysroot: text('sysroot'),
    detach: !has('no-detach') && !wizard,
    state: text('state'),
    list: listed === undefined ? undefined : { path: listed, words: Number.isInteger(words) && words > 0 ? words : 1 },
    searchPath: env['DISTCCD_PATH'],
    auth: has('auth')
      ? {
          principal: env['DISTCCD_PRINCIPAL'] ?? '',
          list: listOf('white', text('whitelist')) ?? listOf('black', text('blacklist')),
        }
      : undefined,
    audit: text('audit'),
    zeroconf: has('zeroconf'),
    idleSeconds: Number.isInteger(ioTimeout) && ioTimeout > 0 ? ioTimeout : undefined,
    notes: [
      ...[...values.keys()].flatMap((name) => distccdOptions[name]?.note ?? []),
      ...Object.keys(distccdVariables).flatMap((name) =>
        env[name] === undefined ? [] : (distccdVariables[name]?.note ?? []),
      ),
    ],
  };
}

/** Without an address: every one of this box, if others may connect at all; stock distccd takes those of IPv4. */
function listening(address: string | undefined, port: number, allow: readonly string[]): DistccdSettings['listen'] {
  if (address !== undefined) return [{ host: address, port }];
  const wantsIpv6 = allow.some((entry) => entry.includes(':'));
  return [{ host: wantsIpv6 ? '::' : '0.0.0.0', port }];
}

export function distccdHelp(): string {
  const rows = Object.entries(distccdOptions).map(([name, { short, value, help }]) => {
    const head = `${short === undefined ? '' : `-${short}, `}--${name}${value === undefined ? '' : ` ${value}`}`;
    return `    ${head.padEnd(28)} ${help}`;
  });
  return ['Usage:', '   distccd [OPTIONS]', '', 'Options:', ...rows, ''].join('\n');
}
