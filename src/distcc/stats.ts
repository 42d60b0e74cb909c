// What a distcc server counts, and the page that tells it, in the words of stock distccd's: programs read it. Pure.
import type { DistccErrorCode } from './errors.ts';
import type { ServerEvent } from './server.ts';

export type Outcome =
  'REJ_BAD_REQ' | 'REJ_OVERLOAD' | 'COMPILE_OK' | 'COMPILE_ERROR' | 'COMPILE_TIMEOUT' | 'CLI_DISCONN' | 'OTHER';

export type Stats = {
  readonly note: (event: ServerEvent) => void;
  readonly page: (box: BoxState) => string;
};

export type BoxState = {
  readonly jobs: number;
  readonly running: number;
  readonly load: readonly number[];
  readonly freeMb: number;
  readonly processes: { readonly waiting: number; readonly largestKb: number; readonly largest: string };
};

const outcomeOf: Readonly<Record<DistccErrorCode, Outcome>> = {
  PROTOCOL: 'REJ_BAD_REQ',
  TOO_LARGE: 'REJ_BAD_REQ',
  TRUNCATED: 'CLI_DISCONN',
  TIMEOUT: 'CLI_DISCONN',
  REFUSED: 'OTHER',
  BUSY: 'REJ_OVERLOAD',
  GONE: 'CLI_DISCONN',
  UNREACHABLE: 'OTHER',
  SILENT: 'CLI_DISCONN',
  FAILED: 'OTHER',
};

type Ended = Extract<ServerEvent, { readonly kind: 'answered' | 'unanswered' }>;

export function outcome(event: Ended, timeoutStatus: number): Outcome {
  if (event.kind === 'unanswered') return outcomeOf[event.error.code];
  const { waitStatus } = event.response;
  if (waitStatus === 0) return 'COMPILE_OK';
  return waitStatus === timeoutStatus ? 'COMPILE_TIMEOUT' : 'COMPILE_ERROR';
}

const minuteMs = 60_000;
const windowsMs = [minuteMs, 5 * minuteMs, 15 * minuteMs] as const;
// A quarter of an hour of a box that compiles a hundred files a second.
const mostRemembered = 90_000;

export function newStats(nowMs: () => number, timeoutStatus: number): Stats {
  const counts = new Map<Outcome | 'TCP_ACCEPT', number>();
  const longest = { ms: -1, input: 'none', compiler: 'none' };
  let compiles: { readonly atMs: number; readonly ms: number }[] = [];
  const count = (what: Outcome | 'TCP_ACCEPT'): void => void counts.set(what, (counts.get(what) ?? 0) + 1);

  const note: Stats['note'] = (event) => {
    if (event.kind === 'accepted') return count('TCP_ACCEPT');
    if (event.kind === 'authenticated') return undefined;
    if (event.kind === 'turned-away') return count('OTHER');
    const what = outcome(event, timeoutStatus);
    count(what);
    if (event.kind === 'unanswered') return;
    const oldest = nowMs() - windowsMs[2];
    if (compiles.length >= mostRemembered)
      compiles = compiles.filter(({ atMs }) => atMs > oldest).slice(-mostRemembered / 2);
    compiles.push({ atMs: nowMs(), ms: event.ms });
    if (what !== 'COMPILE_OK' || event.ms <= longest.ms) return;
    longest.ms = event.ms;
    longest.compiler = printable(event.request.argv[0] ?? '');
    longest.input = printable(event.request.argv.find((word) => /\.[a-zA-Z+]+$/.test(word)) ?? '');
  };

  const page: Stats['page'] = ({ jobs, running, load, freeMb, processes }) => {
    const of = (what: Outcome | 'TCP_ACCEPT'): number => counts.get(what) ?? 0;
    const within = windowsMs.map((window) => compiles.filter(({ atMs }) => atMs > nowMs() - window));
    const rows: (readonly [string, string | number])[] = [
      ['dcc_tcp_accept', of('TCP_ACCEPT')],
      ['dcc_rej_bad_req', of('REJ_BAD_REQ')],
      ['dcc_rej_overload', of('REJ_OVERLOAD')],
      ['dcc_compile_ok', of('COMPILE_OK')],
      ['dcc_compile_error', of('COMPILE_ERROR')],
      ['dcc_compile_timeout', of('COMPILE_TIMEOUT')],
      ['dcc_cli_disconnect', of('CLI_DISCONN')],
      ['dcc_other', of('OTHER')],
      ['dcc_longest_job', longest.input],
      ['dcc_longest_job_compiler', longest.compiler],
      ['dcc_longest_job_time_msecs', longest.ms],
      ['dcc_max_kids', jobs],
      ...within.map((some, at) => [`dcc_avg_kids${at + 1}`, average(some, windowsMs[at] ?? minuteMs)] as const),
      ['dcc_current_load', running],
      ...load.map((value, at) => [`dcc_load${at + 1}`, value.toFixed(2)] as const),
      ...within.map((some, at) => [`dcc_num_compiles${at + 1}`, some.length] as const),
      ['dcc_num_procstate_D', processes.waiting],
      ['dcc_max_RSS', processes.largestKb],
      ['dcc_max_RSS_name', printable(processes.largest)],
      // As stock has it where it knows none.
      ['dcc_io_rate', -1],
      ['dcc_free_space', `${freeMb} MB`],
    ];
    return `argv /distccd\n<distccstats>\n${rows.map((row) => `${row.join(' ')}\n`).join('')}</distccstats>\n`;
  };

  return { note, page };
}

/** How many ran at once, over the window. */
function average(compiles: readonly { readonly ms: number }[], windowMs: number): number {
  return Math.round(compiles.reduce((sum, { ms }) => sum + ms, 0) / windowMs);
}

/** Text of a client's, for a line of a log or a page. */
export function printable(text: string): string {
  return text.replaceAll(/[\p{Cc}\u2028\u2029]/gu, '?').slice(0, 300);
}
