// A line for each compile in the file that DISTCC_LOG names, or on its stderr, as distcc has its messages there: where it
// went, or why it stayed. The file is the user's, and so is this process; whatever keeps it from being written costs no compile anything.
import { constants, writeSync, closeSync, openSync } from 'node:fs';
import { resolve } from 'node:path';
import type { JobAnswer } from '../job/answer.ts';
import type { LauncherRequest } from '../launcher-wire.ts';
import { sourceWord } from '../session/trail.ts';

type Logged = Pick<LauncherRequest, 'argv' | 'env' | 'cwd' | 'pid'>;

export function jobLine({ argv, pid }: Pick<Logged, 'argv' | 'pid'>, answer: JobAnswer): string {
  const because = (reason: string, detail: string): string => (detail === '' ? reason : `${reason} (${detail})`);
  const head = `distcc[${pid}] (shoal) compile ${sourceWord(argv)}`;
  switch (answer.kind) {
    case 'completed':
      return `${head} on ${answer.end.host}: status ${answer.completed.waitStatus >> 8}`;
    case 'here':
      return `${head} on localhost: ${because(answer.reason, answer.detail)}`;
    case 'refused':
      return `${head}: failed to distribute and fallbacks are disabled: ${because(answer.reason, answer.detail)}`;
  }
}

const valueIn = ({ env }: Logged, name: string): string =>
  env.find((entry) => entry.startsWith(`${name}=`))?.slice(name.length + 1) ?? '';

/** What a compile that was called as distcc shall say on stderr, by DISTCC_VERBOSE: with a log file, nothing. */
export function spokenLine(request: Logged & Pick<LauncherRequest, 'asDistcc'>, answer: JobAnswer): string {
  const isAsked = request.asDistcc && !['', '0'].includes(valueIn(request, 'DISTCC_VERBOSE'));
  return isAsked && valueIn(request, 'DISTCC_LOG') === '' ? `${jobLine(request, answer)}\n` : '';
}

export function logJob(request: Logged, answer: JobAnswer): void {
  const named = valueIn(request, 'DISTCC_LOG');
  if (named === '') return;
  try {
    // A pipe that nobody reads must not hold up the others.
    const { O_WRONLY, O_APPEND, O_CREAT, O_NONBLOCK } = constants;
    const fd = openSync(resolve(request.cwd, named), O_WRONLY | O_APPEND | O_CREAT | O_NONBLOCK, 0o666);
    try {
      writeSync(fd, `${jobLine(request, answer)}\n`);
    } finally {
      closeSync(fd);
    }
  } catch {
    // As distcc: who cannot log goes on.
  }
}
