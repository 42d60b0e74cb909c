// `distcc --scan-includes COMPILER …`: the files that a compile is sent with, a line each, as distcc prints them.
import { includeWorld } from '../client/compose.ts';
import { answerQuestion, type SentFiles } from '../client/pump/include-question.ts';
import { distccExit } from '../distcc/exit-codes.ts';
import type { Invocation } from './invocation.ts';

const line = (category: string, path: string): string => `${category.padEnd(9)} ${path}\n`;

function scanText({ left, links, files, directories }: SentFiles): string {
  return [
    ...left.map((path) => line('SYSTEMDIR', path)),
    ...links.map(({ path }) => line('SYMLINK', path)),
    ...files.map(({ path }) => line('FILE', path)),
    ...directories.map((path) => line('DIRECTORY', path)),
  ].join('');
}

export async function scanIncludes(argv: readonly string[], env: Invocation['env']): Promise<void> {
  const named = argv[0] === undefined || argv[0].startsWith('-') ? ['cc', ...argv] : argv;
  const answer = await answerQuestion({ ...includeWorld(), env }, { cwd: process.cwd(), argv: named });
  if (answer.kind === 'files') {
    process.stdout.write(scanText(answer));
    return;
  }
  process.stderr.write(`distcc: this compile is sent nowhere: ${answer.why}\n`);
  process.exitCode = distccExit.failed;
}
