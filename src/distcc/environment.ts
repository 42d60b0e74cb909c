// Every variable that distcc's programs read and their manual pages name: a row each, sorted. The names are those of the
// manual pages and of `strings` in the binaries of 3.4, which disagree in places: then the program is right, and the
// page's name means the same here. Pure. docs/distcc-environment.md is made from it.

type Environment = Readonly<Record<string, string | undefined>>;

export type Reader = 'client' | 'server' | 'pump';

/**
 * `as-distcc`: means what it means to distcc. `otherwise`: the same end is reached in another way. `nothing`: taken, and
 * without effect. `misspelt`: of a manual page; the program reads another name.
 */
export type Treatment = 'as-distcc' | 'otherwise' | 'nothing' | 'misspelt';

export type VariableRow = {
  readonly readers: readonly Reader[];
  /** What it is for. */
  readonly meaning: string;
  readonly treatment: Treatment;
  /** What becomes of it here. */
  readonly here: string;
  /** The name that the programs read. */
  readonly means?: string;
};

const noMail = 'shoal sends no mail; `shoal explain` tells what became of a compile';
const ownTcp = 'requests and answers go out in one piece in any case';

export const distccEnvironment: Readonly<Record<string, VariableRow>> = {
  DCC_EMAILLOG_WHOM_TO_BLAME: {
    readers: ['client'],
    meaning: 'whom the mail about a discrepancy goes to',
    treatment: 'misspelt',
    here: noMail,
    means: 'DISTCC_EMAILLOG_WHOM_TO_BLAME',
  },
  DISTCCD_PATH: {
    readers: ['server'],
    meaning: 'where compilers are looked for',
    treatment: 'as-distcc',
    here: 'in place of PATH',
  },
  DISTCCD_PRINCIPAL: {
    readers: ['server'],
    meaning: 'the GSS-API name of the server',
    treatment: 'as-distcc',
    here: 'shown by `distccd --show-principal`, and used where GSS-API is',
  },
  DISTCC_BACKOFF_PERIOD: {
    readers: ['client'],
    meaning: 'how long a host that failed is left alone, in seconds',
    treatment: 'as-distcc',
    here: 'of hosts that speak distcc’s protocol; unless it is set, a second at first, and longer with each failure that follows; 0: not at all',
  },
  DISTCC_CMDLIST: {
    readers: ['server'],
    meaning: 'a file with the compilers that may be run',
    treatment: 'as-distcc',
    here: 'read again when it changes',
  },
  DISTCC_CMDLIST_MATCHWORDS: {
    readers: ['server'],
    meaning: 'how many words of a compiler’s path have to be those of the list',
    treatment: 'misspelt',
    here: 'means DISTCC_CMDLIST_NUMWORDS',
    means: 'DISTCC_CMDLIST_NUMWORDS',
  },
  DISTCC_CMDLIST_NUMWORDS: {
    readers: ['server'],
    meaning: 'how many words of a compiler’s path, from its end, have to be those of the list',
    treatment: 'as-distcc',
    here: '1 unless it is set',
  },
  DISTCC_DIR: {
    readers: ['client', 'server'],
    meaning: 'the directory of a user’s hosts file and of state',
    treatment: 'as-distcc',
    here: '`hosts` is read there, and `state/binstate_…` written, which distccmon-text shows; `lock` is distcc’s alone',
  },
  DISTCC_EMAILLOG_WHOM_TO_BLAME: {
    readers: ['client'],
    meaning: 'whom the mail about a discrepancy goes to',
    treatment: 'nothing',
    here: noMail,
  },
  DISTCC_ENABLE_DISCREPANCY_EMAIL: {
    readers: ['client'],
    meaning: 'send a mail when a compile failed elsewhere and succeeded here',
    treatment: 'nothing',
    here: noMail,
  },
  DISTCC_EXCLUDE_FRESH_FILES: {
    readers: ['client'],
    meaning: 'with mail on: files that changed lately are no discrepancy',
    treatment: 'nothing',
    here: 'a file that changes while a compile runs makes it run again with what it holds then',
  },
  DISTCC_FALLBACK: {
    readers: ['client'],
    meaning: '0: a compile that could run elsewhere and does not is an error',
    treatment: 'as-distcc',
    here: 'as SHOAL_STRICT=1, which comes first; called as distcc, the status is 116',
  },
  DISTCC_HOSTS: {
    readers: ['client', 'pump'],
    meaning: 'the hosts, in distcc’s syntax',
    treatment: 'as-distcc',
    here: 'used where SHOAL_HOSTS is not set, and said so in the summary; `shoal hosts --explain` tells what each word means',
  },
  DISTCC_IO_TIMEOUT: {
    readers: ['client', 'server'],
    meaning: 'how long to wait for a byte of the other side, in seconds',
    treatment: 'as-distcc',
    here: '300 for a client unless it is set; of hosts that speak distcc’s protocol',
  },
  DISTCC_LOCATION: {
    readers: ['pump'],
    meaning: 'where distcc’s programs are',
    treatment: 'as-distcc',
    here: 'first on PATH in a build that pump runs',
  },
  DISTCC_LOG: {
    readers: ['client'],
    meaning: 'a file for distcc’s own messages',
    treatment: 'as-distcc',
    here: 'gets a line for each compile: where it went, or why it stayed',
  },
  DISTCC_MAX_DISCREPANCY: {
    readers: ['client', 'pump'],
    meaning: 'after how many failures elsewhere pump mode is given up',
    treatment: 'otherwise',
    here: 'each compile that fails elsewhere through no fault of its own runs here; the mode stays',
  },
  DISTCC_NO_CROSS_REWRITE: {
    readers: ['client'],
    meaning: 'do not call gcc x86_64-linux-gnu-gcc for servers',
    treatment: 'misspelt',
    here: 'means DISTCC_NO_REWRITE_CROSS',
    means: 'DISTCC_NO_REWRITE_CROSS',
  },
  DISTCC_NO_REWRITE_CROSS: {
    readers: ['client'],
    meaning: 'do not call gcc x86_64-linux-gnu-gcc for servers',
    treatment: 'as-distcc',
    here: 'of hosts that speak distcc’s protocol; others have the very same compiler in any case',
  },
  DISTCC_PAUSE_TIME_MSEC: {
    readers: ['client'],
    meaning: 'how long to wait before it is looked again for a free host, in milliseconds',
    treatment: 'nothing',
    here: 'a compile that waits begins the moment a slot is free',
  },
  DISTCC_POTENTIAL_HOSTS: {
    readers: ['pump'],
    meaning: 'hosts that lsdistcc asks, to make DISTCC_HOSTS from',
    treatment: 'as-distcc',
    here: 'where DISTCC_HOSTS is not set',
  },
  DISTCC_PRINCIPAL: {
    readers: ['client'],
    meaning: 'the GSS-API name of the servers',
    treatment: 'as-distcc',
    here: 'shown by `distcc --show-principal`, and used for hosts with ,auth: the service, `host` unless it is set',
  },
  DISTCC_PRINICIPAL: {
    readers: ['client'],
    meaning: 'the GSS-API name of the servers',
    treatment: 'misspelt',
    here: 'means DISTCC_PRINCIPAL',
    means: 'DISTCC_PRINCIPAL',
  },
  DISTCC_SAVE_TEMPS: {
    readers: ['client', 'server'],
    meaning: 'keep temporary files',
    treatment: 'as-distcc',
    here: '1: what was preprocessed here and sent stays in TMPDIR as `distcc_….i`; a server has nothing that could stay',
  },
  DISTCC_SKIP_LOCAL_RETRY: {
    readers: ['client'],
    meaning: 'a compile that failed elsewhere is not run here again',
    treatment: 'as-distcc',
    here: 'of hosts that speak distcc’s protocol',
  },
  DISTCC_SSH: {
    readers: ['client'],
    meaning: 'the program in place of ssh',
    treatment: 'as-distcc',
    here: 'of hosts that are written user@host; that of the build, whoever has started the daemon',
  },
  DISTCC_TCP_CORK: {
    readers: ['client', 'server'],
    meaning: '0: do not hold packets back until they are full',
    treatment: 'nothing',
    here: ownTcp,
  },
  DISTCC_TCP_DEFER_ACCEPT: {
    readers: ['server'],
    meaning: '0: do not wait for a request before a connection is accepted',
    treatment: 'nothing',
    here: 'a connection without a request costs a few kilobytes, and ends after a while',
  },
  DISTCC_TESTING_INCLUDE_SERVER: {
    readers: ['client'],
    meaning: 'of distcc’s own tests: no fallback when the include server fails',
    treatment: 'nothing',
    here: 'the client needs no include server',
  },
  DISTCC_VERBOSE: {
    readers: ['client'],
    meaning: 'messages about everything that is done',
    treatment: 'as-distcc',
    here: 'called as distcc, a compile says in a line where it went or why it stayed: in DISTCC_LOG, else on stderr; more tells `shoal explain`',
  },
  INCLUDE_SERVER_ARGS: {
    readers: ['pump'],
    meaning: 'options for the include server',
    treatment: 'nothing',
    here: 'ours has none',
  },
  INCLUDE_SERVER_DIR: {
    readers: ['pump'],
    meaning: 'the directory of an include server that pump has started',
    treatment: 'as-distcc',
    here: 'set by `pump --startup`, for `pump --shutdown`',
  },
  INCLUDE_SERVER_PID: {
    readers: ['pump'],
    meaning: 'the process of an include server that pump has started',
    treatment: 'as-distcc',
    here: 'set by `pump --startup`, for `pump --shutdown`',
  },
  INCLUDE_SERVER_PORT: {
    readers: ['client', 'pump'],
    meaning: 'the socket of the include server',
    treatment: 'otherwise',
    here: 'set by pump, for the stock distcc; ours finds includes by itself',
  },
  INCLUDE_SERVER_STUB: {
    readers: ['client'],
    meaning: 'of distcc’s own tests: an answer in place of the include server’s',
    treatment: 'nothing',
    here: 'the client needs no include server',
  },
  LSDISTCC_ARGS: {
    readers: ['pump'],
    meaning: 'options for lsdistcc',
    treatment: 'as-distcc',
    here: 'words with blanks between',
  },
  TMPDIR: {
    readers: ['client', 'server'],
    meaning: 'where temporary files go',
    treatment: 'otherwise',
    here: 'what a compile leaves half done is in memory, or inside the sandbox, and goes with it; see DISTCC_SAVE_TEMPS',
  },
  UNCACHED_ERR_FD: {
    readers: ['client'],
    meaning: 'ccache’s descriptor for messages that it shall not keep',
    treatment: 'nothing',
    here: 'without DISTCC_VERBOSE nothing is added to a compile’s stderr',
  },
  _DISTCC_SAFEGUARD: {
    readers: ['client', 'server'],
    meaning: 'set by distcc itself, so that it does not call itself',
    treatment: 'otherwise',
    here: 'the launcher never takes itself for the compiler',
  },
};

/** What is set in an environment and means something else than it seems, or nothing: a line each. */
export function environmentNotes(env: Environment): readonly string[] {
  return Object.entries(distccEnvironment).flatMap(([name, { treatment, here, means }]) => {
    const value = env[name];
    if (value === undefined || value === '') return [];
    if (means !== undefined) return [`${name} is a misprint of the manual page: write ${means}`];
    const isDistcc = name.startsWith('DISTCC_');
    return treatment === 'nothing' && isDistcc ? [`${name} does nothing: ${here}`] : [];
  });
}

/** The environment with what the manual pages call otherwise under the programs' own names, where those are not set. */
export function withRightNames(env: Environment): Environment {
  const renamed = Object.entries(distccEnvironment).flatMap(([name, { means }]) =>
    means !== undefined && env[name] !== undefined && env[means] === undefined ? [[means, env[name]] as const] : [],
  );
  return { ...env, ...Object.fromEntries(renamed) };
}

const misprints = Object.entries(distccEnvironment).flatMap(([name, { means }]) =>
  means === undefined ? [] : [[`${name}=`, `${means}=`] as const],
);

/** As `withRightNames`, of an environment as a process has it; mostly the very same. */
export function withRightEntries(entries: readonly string[]): readonly string[] {
  const more = misprints.flatMap(([misprint, right]) => {
    const found = entries.find((entry) => entry.startsWith(misprint));
    if (found === undefined || entries.some((entry) => entry.startsWith(right))) return [];
    return [right + found.slice(misprint.length)];
  });
  return more.length === 0 ? entries : [...entries, ...more];
}
