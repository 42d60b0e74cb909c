// `shoal make ARGS…` and `shoal run -- CMD`: a build through the farm. Everything after the subcommand belongs to the
// user's command and passes untouched.
import { environmentNotes } from '../distcc/environment.ts';
import { nothingReachedText, summaryText } from '../observe/summary.ts';
import { runBuild, strictBreach, writeSummaryFile, type BuildEnd } from '../client/builds/build.ts';
import { settingsFrom, type Settings } from '../client/session/settings.ts';
import { progressLine, progressText, type ProgressLine } from './progress-line.ts';
import type { Invocation } from './invocation.ts';

// Four times a second is as fast as one reads; a log wants fewer lines.
const liveProgressMs = 250;
const plainProgressMs = 5000;

// -j in a bundle comes after letters that take no value of their own: -Cobj is a directory.
const jobsWord = /^(-[bBdehikLmnpqrRsStvw]*j[0-9]*$|--jobs(=|$))/;

/** The words of MAKEFLAGS: the first may be a bundle of letters without its dash. */
function flagWords(text = ''): string[] {
  const [first = '', ...rest] = text.trim().split(/\s+/);
  return [/^[a-zA-Z0-9]+$/.test(first) ? `-${first}` : first, ...rest];
}

/** True if make is told a number of jobs: -j, -j8, --jobs=8, also in a bundle such as -kj8, or in MAKEFLAGS. */
export function choosesJobs(args: readonly string[], env: Invocation['env']): boolean {
  return [...args, ...flagWords(env['MAKEFLAGS'])].some((word) => jobsWord.test(word));
}

// With one more than the slots a build takes a quarter longer (test/simulator): a slot that becomes free then waits for
// make, and there is little to choose from. What comes home waits at the gate, so more does no harm.
const jobsPerSlot = 2;
// GNU make writes a byte for each job but one into a pipe before it reads any, and would wait for ever where they do not
// fit: a pipe of somebody who has many is one page.
const mostJobs = 4096;

/** `shoal make` without -j. */
export function jobsFor(slots: number): number {
  return Math.min(mostJobs, jobsPerSlot * slots);
}

function makeCommand({ args, env }: Invocation): (slots: number) => readonly [string, ...string[]] {
  return (slots) => (choosesJobs(args, env) ? ['make', ...args] : ['make', `-j${jobsFor(slots)}`, ...args]);
}

type ProgressReport = ProgressLine & { readonly everyMs: number };

/** A live line on a terminal, a plain line now and then elsewhere. */
function progressTo(stream: NodeJS.WriteStream): ProgressReport {
  const line = progressLine(stream);
  if (line !== undefined) return { ...line, everyMs: liveProgressMs };
  return {
    show: (progress) => stream.write(`${progressText(progress)}\n`),
    clear: () => undefined,
    everyMs: plainProgressMs,
  };
}

function report(end: BuildEnd, { hostsFrom }: Settings, env: Invocation['env']): void {
  const { summary } = end;
  if (summary === undefined) return;
  const seen = summary.files + summary.others;
  process.stderr.write(`${seen === 0 ? nothingReachedText(end.command.join(' ')) : summaryText(summary)}\n`);
  if (hostsFrom !== undefined) process.stderr.write(`  hosts: those of ${hostsFrom}, for SHOAL_HOSTS is not set\n`);
  for (const note of environmentNotes(env)) process.stderr.write(`  ${note}\n`);
  const file = env['SHOAL_SUMMARY'];
  if (file === undefined || file === '') return;
  try {
    writeSummaryFile(file, summary);
  } catch (error) {
    process.stderr.write(`shoal: the summary could not be written to ${file}: ${(error as Error).message}\n`);
  }
}

/** Ends this process as the command ended: with its status, or by its signal. */
function endAs(status: BuildEnd['status']): void {
  if ('code' in status) {
    process.exitCode = status.code;
    return;
  }
  process.kill(process.pid, status.signal);
}

export async function runCommand(invocation: Invocation): Promise<void> {
  const { name, args, env, mainScript } = invocation;
  const words = args[0] === '--' ? args.slice(1) : args;
  const [program, ...rest] = words;
  if (name === 'run' && program === undefined) {
    process.stderr.write('shoal: run needs a command: shoal run -- ninja -C build\n');
    process.exitCode = 2;
    return;
  }
  const settings = settingsFrom(env);
  const progress = progressTo(process.stderr);
  const end = await runBuild({
    command: name === 'make' ? makeCommand(invocation) : () => [program ?? '', ...rest],
    settings,
    env,
    mainScript,
    progressMs: progress.everyMs,
    onProgress: progress.show,
    warn: (text) => process.stderr.write(`${text}\n`),
  });
  progress.clear();
  report(end, settings, env);
  const broken = strictBreach(end, settings);
  if (broken !== undefined) process.stderr.write(`${broken}\n`);
  endAs(broken !== undefined && 'code' in end.status && end.status.code === 0 ? { code: 1 } : end.status);
}
